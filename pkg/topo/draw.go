package topo

import (
	"fmt"
	"io"
	"slices"

	"github.com/patchbay-cni/patchbay/pkg/link"
)

// Style is how a picture looks.
type Style struct {
	Width int  // columns; 80 if zero, at least 40
	Color bool // with a terminal's escape sequences
	ASCII bool // for terminals that do not show Unicode
}

const (
	defaultWidth = 80
	leastWidth   = 40
	wideWidth    = 72 // from here on namespaces stand beside the host, below it otherwise
)

// Draw draws a view. Errors are w's.
func Draw(w io.Writer, v *View, s Style) error {
	if s.Width == 0 {
		s.Width = defaultWidth
	}
	s.Width = max(s.Width, leastWidth)
	p := newPlan(v, s.Width)
	var rows []row
	if s.Width >= wideWidth {
		rows = p.wide()
	} else {
		rows = p.narrow()
	}
	return write(w, append(rows, p.notes()...), s)
}

// plan is a view, sorted the way it is drawn.
type plan struct {
	view  *View
	width int
	bays  []bay
	alone []group // namespaces without a cable
}

// bay is a bridge with everything that is plugged into it; without a bridge the cables that
// are plugged in nowhere.
type bay struct {
	bridge *Bridge
	groups []group
	listed bool // too many for boxes: a line each
}

// group is a namespace with those of its cables that lead to one bay.
type group struct {
	title row
	ends  []*Attachment
	ns    *Namespace
	rest  []link.SurveyLink // interfaces without a cable, drawn where the namespace is drawn first
}

// What a bay can have as boxes before a picture stops being one.
const (
	mostBoxes       = 6
	mostNarrowBoxes = 4
)

func newPlan(v *View, width int) *plan {
	p := &plan{view: v, width: width}
	drawn := map[string]bool{}
	for i := range v.Bridges {
		b := &v.Bridges[i]
		p.addBay(b, drawn, func(a *Attachment) bool { return a.Bridge == b.Name })
	}
	p.addBay(nil, drawn, func(a *Attachment) bool {
		return !slices.ContainsFunc(v.Bridges, func(b Bridge) bool { return b.Name == a.Bridge })
	})
	for i := range v.Namespaces {
		if n := &v.Namespaces[i]; !drawn[n.Path] {
			p.alone = append(p.alone, group{title: text(n.Name, name), ns: n, rest: n.Links})
		}
	}
	return p
}

func (p *plan) addBay(b *Bridge, drawn map[string]bool, plugged func(*Attachment) bool) {
	y := bay{bridge: b}
	at := map[string]int{}
	cables := 0
	for i := range p.view.Attachments {
		a := &p.view.Attachments[i]
		if !a.cabled() || !plugged(a) {
			continue
		}
		cables++
		n, known := at[a.Netns]
		if !known || a.Netns == "" {
			n = len(y.groups)
			at[a.Netns] = n
			y.groups = append(y.groups, p.groupOf(a, drawn))
		}
		y.groups[n].ends = append(y.groups[n].ends, a)
	}
	most := mostBoxes
	if p.width < wideWidth {
		most = mostNarrowBoxes
	}
	y.listed = cables > most
	if b != nil || cables > 0 {
		p.bays = append(p.bays, y)
	}
}

// groupOf begins a group. The first one of a namespace shows its other interfaces too.
func (p *plan) groupOf(a *Attachment, drawn map[string]bool) group {
	i := slices.IndexFunc(p.view.Namespaces, func(n Namespace) bool { return n.Path == a.Netns })
	if i < 0 {
		return group{title: text(stranger(a), name)}
	}
	n := &p.view.Namespaces[i]
	g := group{title: text(n.Name, name), ns: n}
	if drawn[n.Path] {
		g.title = line(g.title, text(" (again)", plain))
		return g
	}
	drawn[n.Path] = true
	for _, l := range n.Links {
		cabled := slices.ContainsFunc(p.view.Attachments, func(b Attachment) bool {
			return b.Netns == n.Path && b.cabled() && b.Link != nil && b.Link.Index == l.Index
		})
		if !cabled {
			g.rest = append(g.rest, l)
		}
	}
	return g
}

// stranger names a namespace that was not found, by what is known of its container.
func stranger(a *Attachment) string {
	switch {
	case a.ContainerID == "":
		return "a namespace without a name"
	case len(a.ContainerID) > 12: // as docker and crictl cut them
		return "container " + a.ContainerID[:12]
	default:
		return "container " + a.ContainerID
	}
}

// notes stand under the picture: what is wrong, and what could not be seen.
func (p *plan) notes() []row {
	var rows []row
	for _, b := range p.view.Problems {
		rows = append(rows, text(fmt.Sprintf("! %s: %s", b.About, b.Text), wrong).wrap(p.width, 2)...)
	}
	for _, u := range p.view.Unseen {
		rows = append(rows, text("not seen: "+u, plain).wrap(p.width, 2)...)
	}
	if len(rows) > 0 {
		rows = append([]row{nil}, rows...)
	}
	return rows
}
