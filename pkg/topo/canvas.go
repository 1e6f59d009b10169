package topo

import (
	"io"
	"slices"
	"strings"
)

// tone is the meaning of a cell, which Style.Color shows as a colour.
type tone uint8

const (
	plain tone = iota
	frame      // lines of boxes
	name
	veth
	uplink
	wrong

	changed tone = 1 << 7 // added to another tone: highlighted
)

// cell is one column of one line.
type cell struct {
	r rune
	t tone
}

// row is one line, with a cell for each column.
type row []cell

// asciiFor returns the ASCII replacement of a sign of the drawing. Any other rune that is not printable ASCII is part of a
// name (that of an interface may contain escape sequences), and is drawn as a question mark.
func asciiFor(r rune) (rune, bool) {
	switch r {
	case '─', '╌':
		return '-', true
	case '│':
		return '|', true
	case '┌', '┐', '└', '┘', '┼', '├', '┬', '┤':
		return '+', true
	case '═':
		return '=', true
	case '╪':
		return '+', true
	case '●':
		return 'O', true
	case '○':
		return 'o', true
	case '╳':
		return 'X', true
	case '►':
		return '>', true
	case '…':
		return '~', true
	}
	return '?', false
}

// text returns a string as a row.
func text(s string, t tone) row {
	line := make(row, 0, len(s))
	for _, r := range s {
		if _, ours := asciiFor(r); !ours && (r < ' ' || r > '~') {
			r = '?'
		}
		line = append(line, cell{r, t})
	}
	return line
}

// line joins rows.
func line(parts ...row) row {
	var l row
	for _, p := range parts {
		l = append(l, p...)
	}
	return l
}

// fit pads a row to a width, or cuts it there with an ellipsis.
func (l row) fit(width int) row {
	width = max(width, 0)
	for len(l) < width {
		l = append(l, cell{' ', plain})
	}
	if len(l) == width {
		return l
	}
	cut := append(row{}, l[:width]...)
	if width > 0 {
		cut[width-1].r = '…'
	}
	return cut
}

// wrap breaks a row between words, or at the width if there is no space; the following rows are indented.
func (l row) wrap(width, indent int) []row {
	width = max(width, indent+1)
	var lines []row
	for len(l) > width {
		at, next := l.lastSpace(width, indent), 0
		if next = at + 1; at < 0 {
			at, next = width, width
		}
		lines = append(lines, slices.Clip(l[:at]))
		l = line(text(strings.Repeat(" ", indent), plain), l[next:])
	}
	return append(lines, l)
}

// lastSpace returns where a row that is too wide can be broken, -1 if nowhere.
func (l row) lastSpace(width, indent int) int {
	for i := width; i > indent; i-- {
		if l[i].r == ' ' {
			return i
		}
	}
	return -1
}

// fill repeats a sign.
func fill(sign string, n int, t tone) row { return text(strings.Repeat(sign, max(n, 0)), t) }

// top returns the upper line of a box, with a title and a remark at the right if they fit.
func top(title, remark row, width int) row {
	head := line(text("┌─ ", frame), title.fit(min(len(title), width-6)), text(" ", frame))
	tail := text("─┐", frame)
	if len(remark) > 0 && len(head)+len(remark)+5 <= width {
		tail = line(text(" ", frame), remark, text(" ─┐", frame))
	}
	return line(head, fill("─", width-len(head)-len(tail), frame), tail)
}

// side returns one line of a box.
func side(content row, width int) row {
	return line(text("│ ", frame), content.fit(width-4), text(" │", frame))
}

// bottom returns the lower line of a box.
func bottom(width int) row {
	return line(text("└", frame), fill("─", width-2, frame), text("┘", frame))
}

// escape returns the escape sequence of a tone (ECMA-48, SGR), with one of the eight basic colours, which every theme
// keeps readable.
func (t tone) escape() string {
	if t&changed != 0 {
		return (t &^ changed).escape() + reverse
	}
	switch t {
	case frame:
		return "\x1b[2m"
	case name:
		return "\x1b[1m"
	case veth:
		return "\x1b[32m"
	case uplink:
		return "\x1b[36m"
	case wrong:
		return "\x1b[31m"
	default:
		return "\x1b[0m"
	}
}

// write prints rows without trailing spaces.
func write(w io.Writer, rows []row, s Style) error {
	var b strings.Builder
	for _, l := range rows {
		l.trimmed().append(&b, s)
		b.WriteByte('\n')
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// trimmed returns a row without the spaces at its end.
func (l row) trimmed() row {
	for len(l) > 0 && l[len(l)-1].r == ' ' {
		l = l[:len(l)-1]
	}
	return l
}

func (l row) append(b *strings.Builder, s Style) {
	now := plain
	for _, c := range l {
		if s.Color && c.t != now {
			b.WriteString(plain.escape())
			if now = c.t; now != plain {
				b.WriteString(now.escape())
			}
		}
		if ascii, ours := asciiFor(c.r); s.ASCII && ours {
			c.r = ascii
		}
		b.WriteRune(c.r)
	}
	if now != plain {
		b.WriteString(plain.escape())
	}
}
