package diagram

import (
	"strings"

	"github.com/patchbay-cni/patchbay/pkg/topo"
)

// Sizes in pixels. A character of a monospace font of 12 px is at most 7.25 px wide (DejaVu Sans Mono: 7.22, Menlo: 7.22, Courier: 7.2).
const (
	charWidth  = 7.3
	lineHeight = 16
	pad        = 10
	gap        = 14
	portHeight = lineHeight + 8
	corridor   = 90 // between the columns, for the lines
	margin     = 20
)

// Kinds of boxes that only a picture has.
const (
	kindGroup Kind = "group" // around the pods of one namespace
	kindNotes Kind = "notes"
)

// maxColumns is the greatest width of a text in characters: an IPv6 address with its prefix length has at most 43.
const maxColumns = 46

// rect is the place of a box in pixels.
type rect struct{ x, y, w, h int }

func (r rect) right() int  { return r.x + r.w }
func (r rect) bottom() int { return r.y + r.h }
func (r rect) middle() int { return r.y + r.h/2 }

// textLine is a line of text in a box, indented by characters.
type textLine struct {
	text   string
	class  string // "title", "dim", "wrong" or ""
	indent int
}

// placed is a box with its place and the lines of its text.
type placed struct {
	*Box
	rect
	lines  []textLine
	inside []*placed
}

// measure returns a box with its lines, and the size that these need. Boxes inside are not measured.
func (l *layout) measure(b *Box) *placed {
	p := &placed{Box: b}
	title := b.Title
	if l.grouped && b.Kind == KindContainer {
		title = strings.TrimPrefix(title, b.Group+"/")
	}
	p.lines = []textLine{{text: l.names.Short(visible(title), maxColumns), class: "title"}}
	if b.Remark != "" {
		p.add(b.Remark, "dim")
	}
	for _, t := range b.Text {
		class := ""
		if t.Wrong {
			class = "wrong"
		}
		p.add(t.Text, class)
	}
	p.w, p.h = p.textWidth(), p.textHeight()
	return p
}

// add adds a text, broken between words or, if a word is too long, inside of it.
func (p *placed) add(text, class string) {
	for i, part := range wrap(visible(text), maxColumns) {
		p.lines = append(p.lines, textLine{text: part, class: class, indent: min(i, 1) * 2})
	}
}

func (p *placed) textWidth() int {
	columns := 0
	for _, l := range p.lines {
		columns = max(columns, l.indent+len([]rune(l.text)))
	}
	return widthOf(columns) + 2*pad
}

func widthOf(columns int) int { return int(float64(columns)*charWidth) + 1 }

// textHeight is the height of the lines with the space above and below them.
func (p *placed) textHeight() int { return pad + len(p.lines)*lineHeight + pad/2 }

// contain makes a box as large as those inside of it need, one below the other.
func (p *placed) contain() {
	if len(p.inside) == 0 {
		return
	}
	for _, c := range p.inside {
		p.w = max(p.w, c.w+2*pad)
		p.h += c.h + pad
	}
	for _, c := range p.inside {
		c.w = p.w - 2*pad
	}
}

// move puts a box, and those inside of it, at a place.
func (p *placed) move(x, y int) {
	p.x, p.y = x, y
	below := y + p.textHeight()
	for _, c := range p.inside {
		c.move(x+pad, below)
		below += c.h + pad
	}
}

// visible replaces everything but printable ASCII, as the text picture does: other characters may be wider than a column.
func visible(text string) string {
	return strings.Map(func(r rune) rune {
		if r >= ' ' && r <= '~' || r == '…' {
			return r
		}
		return '?'
	}, text)
}

// wrap breaks a text into parts of at most so many characters; those after the first are shorter by their indent.
func wrap(text string, width int) []string {
	var parts []string
	for len(text) > width {
		at := strings.LastIndexByte(text[:width+1], ' ')
		if at <= 0 {
			at = width
		}
		parts = append(parts, text[:at])
		text = strings.TrimLeft(text[at:], " ")
		if len(parts) == 1 {
			width -= 2
		}
	}
	return append(parts, text)
}

// namesOf returns the titles of all boxes as they are drawn.
func namesOf(boxes []*Box, grouped bool) *topo.Names {
	var all []string
	for _, b := range boxes {
		title := b.Title
		if grouped && b.Kind == KindContainer {
			title = strings.TrimPrefix(title, b.Group+"/")
		}
		all = append(all, visible(title))
	}
	return topo.NewNames(all)
}
