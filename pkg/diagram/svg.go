package diagram

import (
	_ "embed"
	"fmt"
	"io"
	"strings"
)

// styleSheet is the style of a picture, light and dark. Being embedded it costs nothing at the start of the program.
//
//go:embed style.css
var styleSheet string

// SVG writes a diagram as a picture (SVG 1.1). It is one document without scripts and without references, light or dark as the reader's
// desktop is. Errors are those of w.
func SVG(w io.Writer, d *Diagram) error {
	s := &svg{l: arrange(d)}
	s.open()
	s.draw(d)
	_, err := io.WriteString(w, `<?xml version="1.0" encoding="UTF-8"?>`+"\n"+s.text.String())
	return err
}

type svg struct {
	l    *layout
	page bool // the picture is part of a page with a script
	bent int  // number of lines that are not straight
	text strings.Builder
}

func (s *svg) printf(format string, args ...any) { fmt.Fprintf(&s.text, format, args...) }

// open writes the beginning of the element svg, with title and style unless a page has them.
func (s *svg) open() {
	s.printf(`<svg xmlns="http://www.w3.org/2000/svg" class="patchbay" width="%d" height="%d" viewBox="0 0 %[1]d %[2]d">`+"\n", s.l.width, s.l.height)
	if !s.page {
		s.printf("<title>%s</title>\n", escapeXML("patchbay show: "+visible(s.l.host.Title)))
		s.printf("<style>\n%s</style>\n", styleSheet)
	}
}

// draw writes the boxes, then the lines above them, and the end of the element svg.
func (s *svg) draw(d *Diagram) {
	s.printf(`<rect class="page" width="%d" height="%d"/>`+"\n", s.l.width, s.l.height)
	for _, boxes := range [][]*placed{s.l.outside, {s.l.host}, s.l.frames, s.l.containers} {
		for _, b := range boxes {
			s.box(b)
		}
	}
	for _, t := range s.l.trunks {
		s.trunk(t)
	}
	for _, line := range d.Lines {
		s.line(line)
	}
	if s.l.notes != nil {
		s.box(s.l.notes)
	}
	s.printf("</svg>\n")
}

// box writes a box with those inside of it.
func (s *svg) box(p *placed) {
	class, id := "box "+string(p.Kind), ""
	if p.Wrong {
		class += " wrong"
	}
	if p.ID != "" {
		id = ` id="` + p.ID + `"`
	}
	s.printf(`<g class="%s"%s%s><rect x="%d" y="%d" width="%d" height="%d" rx="4"/>`+"\n", class, id, s.forReaders(p), p.x, p.y, p.w, p.h)
	y := p.y + pad/2 + lineHeight - 4
	if p.Kind == KindPort || p.Kind == KindUplink || p.Kind == KindRoute {
		y = p.y + portHeight/2 + 4
	}
	for _, l := range p.lines {
		class := ""
		if l.class != "" {
			class = ` class="` + l.class + `"`
		}
		s.printf(`<text x="%d" y="%d"%s>%s</text>`+"\n", p.x+pad+widthOf(l.indent)-1, y, class, escapeXML(l.text))
		y += lineHeight
	}
	for _, inside := range p.inside {
		s.box(inside)
	}
	s.printf("</g>\n")
}

// line writes a line, with a mark in its middle, or at its end if it is bent, if something is wrong.
func (s *svg) line(line *Line) {
	from, to := s.l.at[line.From], s.l.at[line.To]
	x1, y1, x2, y2 := from.right(), from.middle(), to.x, to.y+portHeight/2
	begin, end := s.l.host.right(), s.l.rightX // of the corridor
	switch {
	case line.To.Kind == KindOutside:
		x1, y1, x2, y2 = to.right(), to.middle(), from.x, from.middle()
		begin, end = s.l.hostX-corridor, s.l.hostX
	case from.x > end: // beside its container
		begin, end = x1, x2
	}
	s.printf(`<path class="line %s" id="%s"`, line.Kind, line.ID)
	if s.page {
		s.printf(` data-from="%s" data-to="%s"`, line.From.ID, line.To.ID)
	}
	s.printf(` d="M%d %dH`, x1, y1)
	x := (begin + end) / 2
	if y1 != y2 {
		s.printf("%dV%dH", s.lane(begin), y2)
		x = end - 2*pad
	}
	s.printf(`%d"/>`+"\n", x2)
	switch line.Kind {
	case LineBroken:
		s.printf(`<path class="mark" d="M%d %dl10 10m0 -10l-10 10"/>`+"\n", x-5, y2-5)
	case LineWrong:
		s.printf(`<path class="mark" d="M%d %dv7m0 4v3"/>`+"\n", x, y2-7)
	}
}

// trunk writes the line from a bridge to its ports in columns, with a joint where it leads to one of them.
func (s *svg) trunk(t *trunk) {
	if len(t.drops) == 0 {
		return
	}
	s.printf(`<path class="trunk" d="M%d %dH%dV%dH%d`, t.bridge.right(), t.bridge.y+portHeight/2, t.x, t.y, t.drops[len(t.drops)-1].x)
	var joints strings.Builder
	for _, d := range t.drops {
		s.printf("M%d %dV%d", d.x, t.y, d.ports[len(d.ports)-1].middle())
		for _, p := range d.ports {
			s.printf("M%d %dH%d", d.x, p.middle(), p.x)
			fmt.Fprintf(&joints, "M%d %dh0", d.x, p.middle())
		}
	}
	s.printf(`"/>`+"\n"+`<path class="joint" d="%s"/>`+"\n", joints.String())
}

// lane returns where the next bent line goes up or down: in the corridor, where no box is.
func (s *svg) lane(begin int) int {
	const lanes, distance = 8, 7
	s.bent++
	return begin + pad + s.bent%lanes*distance
}

// escapeXML escapes a text for the content of an element, or an attribute in quotes, of XML and of HTML.
func escapeXML(text string) string {
	if !strings.ContainsAny(text, "&<>\"'") {
		return text
	}
	var out strings.Builder
	for _, r := range text {
		switch r {
		case '&', '<', '>', '"', '\'':
			fmt.Fprintf(&out, "&#%d;", r)
		default:
			out.WriteRune(r)
		}
	}
	return out.String()
}
