package diagram

import (
	"fmt"
	"io"
	"strings"
)

// DOT writes a diagram in the language of Graphviz (graphviz.org/doc/info/lang.html), for dot(1): dot -Tsvg. Errors are those of w.
func DOT(w io.Writer, d *Diagram) error {
	t := &dot{}
	t.line(0, "graph patchbay {")
	t.line(1, "rankdir=LR")
	t.line(1, `graph [fontname="monospace", fontsize=11]`)
	t.line(1, `node [shape=box, fontname="monospace", fontsize=10]`)
	t.line(1, `edge [fontname="monospace", fontsize=9]`)
	for _, b := range d.Outside {
		t.box(1, b)
	}
	t.frame(1, d.Host)
	for _, b := range d.Containers {
		t.frame(1, b)
	}
	for _, l := range d.Lines {
		t.connect(l)
	}
	if len(d.Notes) > 0 {
		t.line(1, `notes [shape=note, label="%s"]`, dotLines(d.Notes))
	}
	t.line(0, "}")
	_, err := io.WriteString(w, t.text.String())
	return err
}

type dot struct {
	text strings.Builder
}

func (t *dot) line(depth int, format string, args ...any) {
	t.text.WriteString(strings.Repeat("  ", depth))
	fmt.Fprintf(&t.text, format, args...)
	t.text.WriteByte('\n')
}

// frame writes a box with others inside as a cluster: a subgraph whose name begins with "cluster".
func (t *dot) frame(depth int, b *Box) {
	t.line(depth, "subgraph cluster_%s {", b.ID)
	title := Text{Text: b.Title}
	if b.Remark != "" {
		title.Text += " (" + b.Remark + ")"
	}
	t.line(depth+1, `label="%s"%s`, dotLines(append([]Text{title}, b.Text...)), dotColour(b.Wrong, "; color=red"))
	if len(b.Inside) == 0 {
		t.line(depth+1, `%sempty [style=invis, label=""]`, b.ID) // a cluster without a node is not drawn
	}
	for _, inside := range b.Inside {
		if inside.Kind.holds() {
			t.frame(depth+1, inside)
			continue
		}
		t.box(depth+1, inside)
	}
	t.line(depth, "}")
}

// box writes a box without others inside as a node.
func (t *dot) box(depth int, b *Box) {
	t.line(depth, `%s [label="%s"%s]`, b.ID, dotLines(append([]Text{{Text: b.Title}}, b.Text...)), dotColour(b.Wrong, ", color=red"))
}

// connect writes a line. The outside is to the left of the host.
func (t *dot) connect(l *Line) {
	from, to := l.From, l.To
	if to.Kind == KindOutside {
		from, to = to, from
	}
	style := map[LineKind]string{LineVeth: "solid", LineUplink: "bold", LineDown: "dashed", LineWrong: "solid", LineBroken: "dashed"}[l.Kind]
	wrong := l.Kind == LineWrong || l.Kind == LineBroken
	t.line(1, `%s -- %s [style=%s, label="%s"%s]`, from.ID, to.ID, style, dotText(l.Label), dotColour(wrong, ", color=red"))
}

func dotColour(wrong bool, attribute string) string {
	if wrong {
		return attribute
	}
	return ""
}

// dotLines joins lines, each aligned to the left.
func dotLines(lines []Text) string {
	var all strings.Builder
	for _, l := range lines {
		all.WriteString(dotText(l.Text) + `\l`)
	}
	return all.String()
}

// dotText escapes a text for a label: a backslash would begin an escape such as \N, the name of the node, and an ampersand a character
// reference. Quotes end the string.
func dotText(text string) string {
	if !strings.ContainsAny(text, `\"&`) {
		return text
	}
	return strings.NewReplacer(`\`, `\\`, `"`, `\"`, "&", "&amp;").Replace(text)
}
