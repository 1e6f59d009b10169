package topo

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/patchbay-cni/patchbay/pkg/link"
)

// Style is the style of a picture.
type Style struct {
	Width int  // columns; 80 if zero, at least 30
	Color bool // with escape sequences
	ASCII bool // without Unicode
}

const (
	defaultWidth = 80
	minWidth     = 30
	lowWidth     = 40 // below, a section has fewer boxes: the lines of more would leave no width for them
	wideWidth    = 72 // the least width with namespaces beside the host instead of below it
)

// Draw writes the picture of a view. Errors are those of w.
func Draw(w io.Writer, v *View, s Style) error {
	p, s := planOf(v, s)
	return write(w, p.rows(), s)
}

// planOf returns the plan of a picture, and its style with the width that it has.
func planOf(v *View, s Style) (*plan, Style) {
	if s.Width == 0 {
		s.Width = defaultWidth
	}
	s.Width = max(s.Width, minWidth)
	return newPlan(v, s.Width), s
}

// rows returns the lines of a picture.
func (p *plan) rows() []row {
	if p.width >= wideWidth {
		return append(p.wide(), p.notes()...)
	}
	return append(p.narrow(), p.notes()...)
}

// plan is a view in the order in which it is drawn.
type plan struct {
	view     *View
	width    int
	sections []section
	alone    []group // namespaces without an attachment
	names    *Names  // of all boxes
}

// section is a bridge with its attachments; without a bridge, the attachments of none.
type section struct {
	bridge  *Bridge
	groups  []group
	listed  bool // too many for boxes: one line each
	grouped bool // a list with a heading for each namespace of pods
}

// group is a namespace with its attachments to one bridge.
type group struct {
	name  string
	again bool // it has a box in another section
	names *Names
	ends  []*Attachment
	ns    *Namespace
	rest  []link.SurveyLink // other interfaces, drawn in the first box of the namespace
}

// The greatest number of boxes of a section; with more attachments it is a list.
const (
	maxBoxes       = 6
	maxNarrowBoxes = 4
	maxLowBoxes    = 2
)

func newPlan(v *View, width int) *plan {
	p := &plan{view: v, width: width, names: NewNames(titles(v))}
	drawn := map[string]bool{}
	for i := range v.Bridges {
		b := &v.Bridges[i]
		p.addSection(b, drawn, func(a *Attachment) bool { return a.Bridge == b.Name })
	}
	p.addSection(nil, drawn, func(a *Attachment) bool {
		return !slices.ContainsFunc(v.Bridges, func(b Bridge) bool { return b.Name == a.Bridge })
	})
	for i := range v.Namespaces {
		if n := &v.Namespaces[i]; !drawn[n.Path] {
			p.alone = append(p.alone, group{name: n.Name, names: p.names, ns: n, rest: n.Links})
		}
	}
	return p
}

func (p *plan) addSection(b *Bridge, drawn map[string]bool, plugged func(*Attachment) bool) {
	y := section{bridge: b}
	at := map[string]int{}
	attached := 0
	for i := range p.view.Attachments {
		a := &p.view.Attachments[i]
		if !a.hasLine() || !plugged(a) {
			continue
		}
		attached++
		n, known := at[a.Netns]
		if !known || a.Netns == "" {
			n = len(y.groups)
			at[a.Netns] = n
			y.groups = append(y.groups, p.groupOf(a, drawn))
		}
		y.groups[n].ends = append(y.groups[n].ends, a)
	}
	y.listed = attached > p.mostBoxes()
	if attached > maxMixed {
		y.byNamespace()
	}
	if b != nil || attached > 0 {
		p.sections = append(p.sections, y)
	}
}

// mostBoxes returns the greatest number of attachments of a section that is not a list.
func (p *plan) mostBoxes() int {
	switch {
	case p.width < lowWidth:
		return maxLowBoxes
	case p.width < wideWidth:
		return maxNarrowBoxes
	}
	return maxBoxes
}

// groupOf returns a group for an attachment. The first one of a namespace has its other interfaces too.
func (p *plan) groupOf(a *Attachment, drawn map[string]bool) group {
	i := slices.IndexFunc(p.view.Namespaces, func(n Namespace) bool { return n.Path == a.Netns })
	if i < 0 {
		return group{name: unknownName(a, p.view), names: p.names}
	}
	n := &p.view.Namespaces[i]
	g := group{name: n.Name, names: p.names, ns: n, again: drawn[n.Path]}
	if g.again {
		return g
	}
	drawn[n.Path] = true
	for _, l := range n.Links {
		hasLine := slices.ContainsFunc(p.view.Attachments, func(b Attachment) bool {
			isEnd := b.hasLine() && b.Link != nil && b.Link.Index == l.Index
			return b.Netns == n.Path && (isEnd || b.Tap != nil && b.Tap.Index == l.Index)
		})
		if !hasLine {
			g.rest = append(g.rest, l)
		}
	}
	return g
}

// titles returns the names of all namespaces, and of the attachments without a known one.
func titles(v *View) []string {
	var all []string
	for i := range v.Namespaces {
		all = append(all, v.Namespaces[i].Name)
	}
	for i := range v.Attachments {
		all = append(all, unknownName(&v.Attachments[i], v))
	}
	return all
}

// title returns the name of a group, at most width columns wide.
func (g *group) title(width int) row {
	if !g.again {
		return text(g.names.Short(g.name, width), name)
	}
	const again = " (again)"
	return line(text(g.names.Short(g.name, width-len(again)), name), text(again, plain))
}

// unknownName returns a name for an attachment whose namespace is not known: the part of the container ID that docker and
// crictl print, or more where another ID has the same beginning.
func unknownName(a *Attachment, v *View) string {
	const usual = 12
	if a.ContainerID == "" {
		return "a namespace without a name"
	}
	shown := min(usual, len(a.ContainerID))
	for i := range v.Attachments {
		other := v.Attachments[i].ContainerID
		for other != a.ContainerID && shown < len(a.ContainerID) && strings.HasPrefix(other, a.ContainerID[:shown]) {
			shown++
		}
	}
	return "container " + a.ContainerID[:shown]
}

// notes returns the lines below the picture: problems, and what could not be read.
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
