package diagram

import (
	"fmt"
	"io"
	"strings"
)

// Mermaid writes a diagram as a flowchart (mermaid.js.org). Errors are those of w.
//
// Every character of a text but letters, digits, the space and a few signs is written as a numeric entity, so that nothing in a name is
// syntax: no quote, no "%%" of a directive, no backquote of a Markdown string, no tag, and no colon, behind which Mermaid would take
// the "#...;" of an entity for a style.
func Mermaid(w io.Writer, d *Diagram) error {
	m := &mermaid{}
	m.line(0, "flowchart LR")
	for _, b := range d.Outside {
		m.box(1, b)
	}
	m.frame(1, d.Host)
	for _, b := range d.Containers {
		m.frame(1, b)
	}
	for _, l := range d.Lines {
		m.connect(l)
	}
	if len(d.Notes) > 0 {
		m.line(1, `notes["%s"]`, mermaidLines(d.Notes))
	}
	m.classes(d)
	_, err := io.WriteString(w, m.text.String())
	return err
}

type mermaid struct {
	text strings.Builder
}

func (m *mermaid) line(depth int, format string, args ...any) {
	m.text.WriteString(strings.Repeat("  ", depth))
	fmt.Fprintf(&m.text, format, args...)
	m.text.WriteByte('\n')
}

// frame writes a box with others inside as a subgraph. A title of several lines would cover what is inside, so the text of the box is a
// node of its own.
func (m *mermaid) frame(depth int, b *Box) {
	title := b.Title
	if b.Remark != "" {
		title += " (" + b.Remark + ")"
	}
	m.line(depth, `subgraph %s["%s"]`, b.ID, mermaidText(title))
	if len(b.Text) > 0 || len(b.Inside) == 0 {
		m.line(depth+1, `%stext["%s"]`, b.ID, mermaidLines(b.Text))
	}
	for _, inside := range b.Inside {
		if inside.Kind.holds() {
			m.frame(depth+1, inside)
			continue
		}
		m.box(depth+1, inside)
	}
	m.line(depth, "end")
}

// box writes a box without others inside as a node.
func (m *mermaid) box(depth int, b *Box) {
	m.line(depth, `%s["%s"]`, b.ID, mermaidLines(append([]Text{{Text: b.Title}}, b.Text...)))
}

// connect writes a line. The outside is to the left of the host.
func (m *mermaid) connect(l *Line) {
	from, to := l.From, l.To
	if to.Kind == KindOutside {
		from, to = to, from
	}
	stroke := map[LineKind]string{LineVeth: "---", LineUplink: "===", LineDown: "-.-", LineWrong: "---", LineBroken: "-.-"}[l.Kind]
	label := l.Label
	if label == "" && l.Kind == LineDown {
		label = "down"
	}
	if label != "" {
		stroke += `|"` + mermaidText(label) + `"|`
	}
	m.line(1, "%s %s %s", from.ID, stroke, to.ID)
}

// classes marks the boxes with a problem.
func (m *mermaid) classes(d *Diagram) {
	var wrong []string
	for _, b := range d.All() {
		if b.Wrong {
			wrong = append(wrong, b.ID)
		}
	}
	if len(wrong) > 0 {
		m.line(1, "classDef wrong stroke:red,stroke-width:2px")
		m.line(1, "class %s wrong", strings.Join(wrong, ","))
	}
}

func mermaidLines(lines []Text) string {
	var all []string
	for _, t := range lines {
		all = append(all, mermaidText(t.Text))
	}
	return strings.Join(all, "<br/>")
}

// mermaidText escapes a text for a quoted label.
func mermaidText(text string) string {
	var out strings.Builder
	for _, r := range text {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', strings.ContainsRune(" ./,+-", r):
			out.WriteRune(r)
		case r == '\\':
			out.WriteString("#92;#8288;") // a word joiner: Mermaid breaks a line at a backslash and an n
		default:
			fmt.Fprintf(&out, "#%d;", r)
		}
	}
	return out.String()
}
