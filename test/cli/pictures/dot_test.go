package pictures

import (
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/diagram"
	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// plain runs dot -Tplain, which prints a line for each node and each edge.
func plain(t *testing.T, graph string) (nodes, edges []string) {
	t.Helper()
	cmd := exec.Command(nettest.Program(t, "dot"), "-Tplain")
	cmd.Stdin = strings.NewReader(graph)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil || stderr.Len() > 0 {
		t.Fatalf("dot: %v\n%s\n%s", err, stderr.String(), graph)
	}
	for l := range strings.Lines(string(out)) {
		words := strings.Fields(l)
		switch words[0] {
		case "node":
			nodes = append(nodes, words[1])
		case "edge":
			edges = append(edges, words[1]+" "+words[2])
		}
	}
	slices.Sort(nodes)
	slices.Sort(edges)
	return nodes, edges
}

// isFrame reports whether a box has others inside, or could have.
func isFrame(b *diagram.Box) bool {
	return slices.Contains([]diagram.Kind{diagram.KindHost, diagram.KindBridge, diagram.KindContainer, diagram.KindPath, diagram.KindNode}, b.Kind)
}

// wanted returns the nodes and edges of a diagram: boxes with others inside are clusters.
func wanted(d *diagram.Diagram) (nodes, edges []string) {
	for _, b := range d.All() {
		switch {
		case !isFrame(b):
			nodes = append(nodes, b.ID)
		case len(b.Inside) == 0:
			nodes = append(nodes, b.ID+"empty")
		}
	}
	if len(d.Notes) > 0 {
		nodes = append(nodes, "notes")
	}
	for _, l := range d.Lines {
		from, to := l.From.ID, l.To.ID
		if l.To.Kind == diagram.KindOutside {
			from, to = to, from
		}
		edges = append(edges, from+" "+to)
	}
	slices.Sort(nodes)
	slices.Sort(edges)
	return nodes, edges
}

// TestDOT: dot reads what show -o dot writes of each topology, and finds every box and line of it; with hostile names too.
//
// Claim: `show -o dot` and `-o mermaid` print every box and line, and names of others are text there and never syntax: dot and Mermaid read
// them
func TestDOT(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *scene) {
		v := s.view()
		nodes, edges := plain(t, s.show("-o", "dot"))
		wantNodes, wantEdges := wanted(diagram.Of(v))
		expect.Equal(t, "nodes", nodes, wantNodes)
		expect.Equal(t, "edges", edges, wantEdges)
		makeHostile(v)
		var graph strings.Builder
		if err := diagram.DOT(&graph, diagram.Of(v)); err != nil {
			t.Fatal(err)
		}
		nodes, edges = plain(t, graph.String())
		wantNodes, wantEdges = wanted(diagram.Of(v))
		expect.Equal(t, "nodes with hostile names", nodes, wantNodes)
		expect.Equal(t, "edges with hostile names", edges, wantEdges)
	})
}

// TestDOTLabels: what dot draws for a hostile name is the name, with control characters escaped.
//
// Claim: `show -o dot` and `-o mermaid` print every box and line, and names of others are text there and never syntax: dot and Mermaid read
// them
func TestDOTLabels(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	gateway(s)
	v := s.view()
	makeHostile(v)
	d := diagram.Of(v)
	var graph strings.Builder
	if err := diagram.DOT(&graph, d); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(nettest.Program(t, "dot"), "-Tsvg")
	cmd.Stdin = strings.NewReader(graph.String())
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	drawn := textsOf(t, string(out))
	for _, b := range d.All() {
		want := b.Title
		if b.Remark != "" {
			want += " (" + b.Remark + ")"
		}
		if !slices.Contains(drawn, spaces(want)) {
			t.Errorf("dot draws no %q: %q", want, drawn)
		}
	}
}
