package pictures

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/diagram"
	"github.com/patchbay-cni/patchbay/pkg/topo"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// click clicks what a selector finds, as a mouse does.
func (b *browser) click(selector string) {
	b.t.Helper()
	var at struct{ X, Y float64 }
	b.eval(fmt.Sprintf(`(() => { const e = document.querySelector(%q); e.scrollIntoView({block: "center"}); const r = e.getBoundingClientRect()
		return {x: r.left + Math.min(20, r.width / 2), y: r.top + Math.min(10, r.height / 2)} })()`, selector), &at)
	for _, kind := range []string{"mousePressed", "mouseReleased"} {
		b.call("Input.dispatchMouseEvent", map[string]any{"type": kind, "x": at.X, "y": at.Y, "button": "left", "clickCount": 1}, nil)
	}
}

// key presses a key.
func (b *browser) key(name string) {
	b.t.Helper()
	for _, kind := range []string{"keyDown", "keyUp"} {
		b.call("Input.dispatchKeyEvent", map[string]any{"type": kind, "key": name}, nil)
	}
}

// shown returns the text of the details that are visible.
func (b *browser) shown() string {
	b.t.Helper()
	var text string
	b.eval(`[...document.querySelectorAll("#details section, #hint")].filter(e => e.getClientRects().length).map(e => e.innerText).join("\n---\n")`, &text)
	return text
}

// found returns the titles of the boxes that a search found.
func (b *browser) found() []string {
	b.t.Helper()
	var titles []string
	b.eval(`[...document.querySelectorAll("g.box.found > text:first-of-type")].map(e => e.textContent)`, &titles)
	slices.Sort(titles)
	return titles
}

func (b *browser) search(text string) {
	b.t.Helper()
	b.eval(`document.getElementById("search").select()`, nil)
	b.call("Input.insertText", map[string]any{"text": text}, nil)
}

// openPage opens the page of a view, which must have loaded nothing else.
func openPage(t *testing.T, v *topo.View) *browser {
	t.Helper()
	var page strings.Builder
	if err := diagram.HTML(&page, diagram.Of(v)); err != nil {
		t.Fatal(err)
	}
	return browse(t, keep(t, "page.html", page.String()))
}

// TestPageInBrowser: a click shows the details of a box, a search finds boxes by everything that their details have, and both work by the
// keyboard; the page is light or dark as the desktop is, or as its button says. It loads nothing, and nothing overlaps.
//
// Claim: `show -o html` is one file that loads nothing: its content security policy allows only its own style and script, and names of
// others are text
func TestPageInBrowser(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	drift(s)
	v := s.view()
	if page := s.show("-o", "html"); !strings.HasPrefix(page, "<!DOCTYPE html>") {
		t.Errorf("not a page: %.200s", page)
	}
	b := openPage(t, v)
	expect.Equal(t, "details at first", b.shown(), "Click a box for its details.")
	first := slices.IndexFunc(diagram.Of(v).Lines, func(l *diagram.Line) bool { return l.From.Title == v.Attachments[0].HostLink.Name })
	b.click("#" + diagram.Of(v).Lines[first].To.ID + " > rect")
	expect.Contains(t, b.shown(), "eth0", "10.88.0.", "port 8080/tcp -> 80 (lost)", "container ID", v.Attachments[0].ContainerID, v.Attachments[0].Link.MAC, "connected with", "lacks tcp . 8080")
	if b.screenshot("page-details") < 1000 {
		t.Error("the screenshot is empty")
	}
	b.click("#details section:not([hidden]) button")
	expect.Contains(t, b.shown(), v.Attachments[0].HostLink.Name, "alias", v.Attachments[0].HostLink.Alias)
	b.key("Escape")
	expect.Equal(t, "details after Escape", b.shown(), "Click a box for its details.")

	b.search("8080/tcp LOST")
	expect.Equal(t, "found by a published port", b.found(), []string{"eth0"})
	b.search("veth")
	expect.Equal(t, "found by the host interface", len(b.found()), 6)
	b.screenshot("page-search")
	b.search("nothing like it")
	expect.Equal(t, "found by nothing", b.found(), []string{})
	b.search(v.Attachments[0].HostLink.MAC)
	expect.Equal(t, "found by the MAC", b.found(), []string{v.Attachments[0].HostLink.Name})
	b.key("Enter")
	expect.Contains(t, b.shown(), v.Attachments[0].HostLink.MAC)

	background := func() (colour string) {
		b.eval(`getComputedStyle(document.body).backgroundColor`, &colour)
		return colour
	}
	const light, dark = "rgb(255, 255, 255)", "rgb(13, 17, 23)"
	b.scheme("dark")
	expect.Equal(t, "on a dark desktop", background(), dark)
	b.screenshot("page-dark")
	b.click("#theme") // dark
	b.click("#theme") // light
	expect.Equal(t, "light on a dark desktop", background(), light)
	b.scheme("light")
	b.click("#theme") // as the desktop
	expect.Equal(t, "on a light desktop", background(), light)
	b.click("#theme")
	expect.Equal(t, "dark on a light desktop", background(), dark)

	scale(t, b, v.Attachments[0].HostLink.MAC)
	var got measured
	b.eval(misplaced, &got)
	expect.Equal(t, "misplaced", got.Wrong, []string{})
	expect.Equal(t, "complaints of the browser", b.complaints(), nil)
	expect.Equal(t, "requests", len(b.requests()), 1)
	var result string
	b.eval(`fetch("data:,x").then(() => "loaded", () => "refused")`, &result)
	expect.Equal(t, "a request of a script", result, "refused")
}

// scale requires that a click shows the whole picture in the window, and that a search, for found, shows it in full size again.
func scale(t *testing.T, b *browser, found string) {
	t.Helper()
	type size struct{ Width, Right, Bottom float64 }
	drawn := func() (s size) {
		b.eval(`(() => { window.scrollTo(0, 0); const r = document.querySelector("svg.patchbay").getBoundingClientRect()
			return {width: r.width, right: r.right - document.getElementById("details").getBoundingClientRect().left, bottom: r.bottom - innerHeight} })()`, &s)
		return s
	}
	full := drawn()
	b.click("#scale")
	if whole := drawn(); whole.Width == full.Width || whole.Right > 0 || whole.Bottom > 0 {
		t.Errorf("the whole picture is %+v beyond the window, full size %+v", whole, full)
	}
	b.screenshot("page-whole")
	b.search(found)
	b.key("Enter")
	expect.Equal(t, "size after a search", drawn().Width, full.Width)
}

// TestHostilePage: on a page of hostile names nothing runs but its own script, and details are the names as text.
//
// Claim: `show -o html` is one file that loads nothing: its content security policy allows only its own style and script, and names of
// others are text
func TestHostilePage(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *scene) {
		v := s.view()
		makeHostile(v)
		b := openPage(t, v)
		b.click("#interface1 > rect")
		expect.Contains(t, b.shown(), "<script>alert(1)</script><br/>&amp;&#60;", `\u202e\u200b`)
		var elements int
		b.eval(`document.querySelectorAll("script, iframe, img, a, link, object").length`, &elements)
		expect.Equal(t, "elements that run or load something", elements, 1)
		var got measured
		b.eval(misplaced, &got)
		expect.Equal(t, "misplaced", got.Wrong, []string{})
		expect.Equal(t, "complaints of the browser", b.complaints(), nil)
		expect.Equal(t, "requests", len(b.requests()), 1)
	})
}
