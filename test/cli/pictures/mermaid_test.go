package pictures

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/diagram"
	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// drawing is what Mermaid made of a flowchart: the IDs that its parser found, and the texts that it drew.
type drawing struct {
	Type             string
	Nodes, Subgraphs []string
	Edges            []string
	Labels           []string
	Scripts          int // elements that would run or load something
}

// mermaid has the real Mermaid parse and draw a flowchart, in a browser.
func mermaid(t *testing.T, chart string) drawing {
	t.Helper()
	library, err := os.ReadFile(nettest.Program(t, "mermaid.min.js"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	text, err := json.Marshal(chart)
	if err != nil {
		t.Fatal(err)
	}
	const page = `<!doctype html><meta charset="utf-8"><div id="out"></div><script src="mermaid.js"></script>`
	for name, content := range map[string]string{"mermaid.js": string(library), "page.html": page} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	b := browse(t, filepath.Join(dir, "page.html"))
	var d drawing
	b.eval(`(async () => {
		const chart = `+string(text)+`
		mermaid.initialize({startOnLoad: false, maxTextSize: 10000000, maxEdges: 100000})
		const db = (await mermaid.mermaidAPI.getDiagramFromText(chart)).db
		const vertices = db.getVertices()
		const out = document.getElementById("out")
		out.innerHTML = (await mermaid.render("chart", chart)).svg
		return {
			type: (await mermaid.parse(chart)).diagramType,
			nodes: [...vertices.keys()],
			subgraphs: db.getSubGraphs().map(s => s.id),
			edges: db.getEdges().map(e => e.start + " " + e.end),
			labels: [...out.querySelectorAll(".nodeLabel, .cluster-label")].map(e => (e.innerText ?? e.textContent).trim()),
			scripts: out.querySelectorAll("script, iframe, img, image, a[href]").length,
		}
	})()`, &d)
	b.screenshot("mermaid")
	slices.Sort(d.Nodes)
	slices.Sort(d.Edges)
	slices.Sort(d.Subgraphs)
	return d
}

// TestMermaid: Mermaid itself parses and draws what show -o mermaid writes, with every box and line; with hostile names it draws the
// names, and nothing that runs or loads anything.
//
// Claim: `show -o dot` and `-o mermaid` print every box and line, and names of others are text there and never syntax: dot and Mermaid read
// them
func TestMermaid(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *scene) {
		v := s.view()
		checkMermaid(t, s.show("-o", "mermaid"), diagram.Of(v))
		makeHostile(v)
		var chart strings.Builder
		if err := diagram.Mermaid(&chart, diagram.Of(v)); err != nil {
			t.Fatal(err)
		}
		checkMermaid(t, chart.String(), diagram.Of(v))
	})
}

// checkMermaid requires that Mermaid finds every box and line of a diagram, and draws the titles.
func checkMermaid(t *testing.T, chart string, d *diagram.Diagram) {
	t.Helper()
	got := mermaid(t, chart)
	var nodes, frames []string
	for _, b := range d.All() {
		frame := isFrame(b)
		if frame {
			frames = append(frames, b.ID)
		}
		if !frame {
			nodes = append(nodes, b.ID)
		} else if len(b.Text) > 0 || len(b.Inside) == 0 {
			nodes = append(nodes, b.ID+"text")
		}
	}
	_, edges := wanted(d)
	if len(d.Notes) > 0 {
		nodes = append(nodes, "notes")
	}
	slices.Sort(nodes)
	slices.Sort(frames)
	expect.Equal(t, "type", got.Type, "flowchart-v2")
	expect.Equal(t, "nodes", got.Nodes, nodes)
	expect.Equal(t, "subgraphs", got.Subgraphs, frames)
	expect.Equal(t, "edges", got.Edges, edges)
	expect.Equal(t, "elements that run or load something", got.Scripts, 0)
	for _, b := range d.All() {
		if !slices.ContainsFunc(got.Labels, func(l string) bool { return strings.HasPrefix(squeezed(l), squeezed(b.Title)) }) {
			t.Errorf("Mermaid draws no %s %q; of that number it draws %q", b.Kind, b.Title, withEnd(got.Labels, b.Title))
		}
	}
}

// squeezed leaves white space out, at which a browser breaks lines, and the word joiners behind backslashes.
func squeezed(text string) string {
	return strings.ReplaceAll(strings.Join(strings.Fields(text), ""), "\u2060", "")
}

// withEnd returns the texts that have the number at the end of a hostile title.
func withEnd(texts []string, title string) []string {
	return slices.DeleteFunc(slices.Clone(texts), func(l string) bool { return !strings.Contains(l, title[strings.LastIndex(title, " ")+1:]) })
}
