"use strict";
(() => {
	const at = id => document.getElementById(id)
	const picture = document.querySelector("svg.patchbay")
	const boxes = [...picture.querySelectorAll("g.box[tabindex]")]
	const lines = [...picture.querySelectorAll("path.line")]
	const sections = new Map([...document.querySelectorAll("#details section")].map(s => [s.dataset.box, s]))
	const search = at("search")
	let selected = ""
	let found = []

	// fit shows the whole picture in the window, or each pixel of it.
	function fit(whole) {
		at("picture").classList.toggle("whole", whole)
		at("scale").textContent = whole ? "full size" : "whole picture"
	}

	function select(id) {
		for (const [box, section] of sections) section.hidden = box !== id
		at("hint").hidden = sections.has(id)
		for (const b of boxes) b.classList.toggle("selected", b.id === id)
		for (const l of lines) l.classList.toggle("selected", l.dataset.from === id || l.dataset.to === id)
		selected = id
	}

	function go(id) {
		fit(false)
		select(id)
		at(id).scrollIntoView({block: "center", inline: "center"})
	}

	function find() {
		const words = search.value.toLowerCase().split(/\s+/).filter(w => w)
		const has = b => words.every(w => sections.get(b.id).textContent.toLowerCase().includes(w))
		found = words.length ? boxes.filter(has) : []
		for (const b of boxes) b.classList.toggle("found", found.includes(b))
		for (const b of picture.querySelectorAll("g.box")) b.classList.toggle("holds", b.querySelector(".found") !== null)
		for (const l of lines) l.classList.toggle("found", found.some(b => b.id === l.dataset.from || b.id === l.dataset.to))
		picture.classList.toggle("searching", words.length > 0)
		at("found").textContent = words.length ? found.length + " found" : ""
	}

	at("scale").addEventListener("click", () => fit(!at("picture").classList.contains("whole")))
	picture.addEventListener("click", e => {
		const box = e.target.closest("g.box[tabindex]")
		select(box ? box.id : "")
	})
	picture.addEventListener("keydown", e => {
		if (e.key !== "Enter" && e.key !== " " || !e.target.id) return
		e.preventDefault()
		select(e.target.id)
	})
	at("details").addEventListener("click", e => {
		if (e.target.dataset.go) go(e.target.dataset.go)
	})
	search.addEventListener("input", find)
	search.addEventListener("keydown", e => {
		if (e.key !== "Enter" || !found.length) return
		go(found[(found.findIndex(b => b.id === selected) + 1) % found.length].id)
	})
	document.addEventListener("keydown", e => {
		if (e.key === "Escape") {
			search.value = ""
			find()
			select("")
		}
		if (e.key === "/" && document.activeElement !== search) {
			e.preventDefault()
			search.focus()
		}
	})

	// The style has the dark colours behind a media query: a theme replaces the query.
	const dark = [...document.styleSheets[0].cssRules].filter(r => r instanceof CSSMediaRule && r.media.mediaText.includes("prefers-color-scheme"))
	const queries = {auto: "(prefers-color-scheme: dark)", dark: "all", light: "not all"}
	at("theme").addEventListener("click", e => {
		const names = Object.keys(queries)
		const next = names[(names.indexOf(e.target.value) + 1) % names.length]
		for (const rule of dark) rule.media.mediaText = queries[next]
		e.target.value = next
		e.target.textContent = "theme: " + next
	})
})()
