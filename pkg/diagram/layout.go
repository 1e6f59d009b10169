package diagram

import (
	"cmp"
	"slices"

	"github.com/patchbay-cni/patchbay/pkg/topo"
)

// maxPlain is the greatest number of lines of a picture whose containers have all of their text, and no frames for namespaces.
const maxPlain = 20

// layout is a picture in progress, in three columns: the outside, the host with its bridges, the containers. A bridge port is level with
// the interface that it leads to, or below it. If that would be too high, the containers are in several columns (grid.go).
type layout struct {
	names   *topo.Names
	grouped bool // in frames for the namespaces of pods

	host       *placed
	outside    []*placed
	frames     []*placed // of namespaces of pods
	containers []*placed // in no frame, and their ports if these are not in the host
	trunks     []*trunk
	at         map[*Box]*placed
	peer       map[*Box]*Box // the interface of a port, or what it leads to
	owner      map[*Box]*placed
	notes      *placed

	hostX, rightX int
	below         int // the next free place of the containers
	width, height int
}

func arrange(d *Diagram) *layout {
	l := &layout{at: map[*Box]*placed{}, peer: map[*Box]*Box{}, owner: map[*Box]*placed{}}
	if len(d.Lines) > maxPlain {
		l.grouped = slices.ContainsFunc(d.Containers, func(b *Box) bool { return b.Group != "" })
	}
	l.names = namesOf(d.All(), l.grouped)
	for _, line := range d.Lines {
		l.peer[line.From] = line.To
	}
	l.hostX = margin
	for _, b := range d.Outside {
		p := l.measured(b)
		l.outside = append(l.outside, p)
		l.hostX = max(l.hostX, margin+p.w+corridor)
	}
	var containers []*placed
	for _, b := range d.Containers {
		containers = append(containers, l.container(b, len(d.Lines) > maxPlain))
	}
	l.columns(d.Host, containers)
	if height(containers) > maxHeight {
		l.inColumns(containers)
	} else {
		l.placeHost()
		for _, c := range containers {
			l.place(c, l.below)
		}
	}
	l.finish(d)
	return l
}

// height returns the height of containers one below the other.
func height(containers []*placed) int {
	sum := 0
	for _, c := range containers {
		sum += c.h + gap
	}
	return sum
}

func (l *layout) measured(b *Box) *placed {
	p := l.measure(b)
	l.at[b] = p
	return p
}

// container measures a container with its interfaces. Among many it has only what is wrong, and the addresses.
func (l *layout) container(b *Box, many bool) *placed {
	c := l.measured(b)
	for _, inside := range b.Inside {
		shown := inside
		if many {
			shown = inside.short()
		}
		i := l.measure(shown)
		if many {
			i.joinAddress()
		}
		i.Box = inside
		l.at[inside], l.owner[inside] = i, c
		c.inside = append(c.inside, i)
	}
	c.contain()
	return c
}

// short returns a box with the lines that a picture of many has.
func (b *Box) short() *Box {
	c := *b
	c.Text = slices.DeleteFunc(slices.Clone(b.Text), func(t Text) bool { return !t.Wrong && !isAddress(t.Text) })
	return &c
}

// joinAddress puts the first address beside the name of an interface, if both fit.
func (p *placed) joinAddress() {
	if len(p.lines) < 2 || !isAddress(p.lines[1].text) || len(p.lines[0].text)+2+len(p.lines[1].text) > maxColumns {
		return
	}
	p.lines[0].text += "  " + p.lines[1].text
	p.lines = slices.Delete(p.lines, 1, 2)
	p.w, p.h = p.textWidth(), p.textHeight()
}

// columns measures the host with its bridges, and gives the bridges and the containers the same widths.
func (l *layout) columns(host *Box, containers []*placed) {
	l.host = l.measured(host)
	for _, b := range host.Inside {
		p := l.measured(b)
		for _, port := range b.Inside {
			q := l.port(port)
			p.inside = append(p.inside, q)
			p.w = max(p.w, q.w+6*pad)
		}
		if !b.Kind.holds() {
			p = l.port(b)
		}
		l.host.inside = append(l.host.inside, p)
		l.host.w = max(l.host.w, p.w+2*pad)
	}
	l.rightX = l.hostX + l.host.w + corridor
	widest := 0
	for _, c := range containers {
		widest = max(widest, c.w)
	}
	for _, c := range containers {
		c.w = widest
		for _, i := range c.inside {
			i.w = widest - 2*pad
		}
	}
	l.below = margin
}

func (l *layout) port(b *Box) *placed {
	p := l.measured(b)
	p.h = portHeight
	return p
}

// placeHost places the bridges with their ports, and with each port what it leads to.
func (l *layout) placeHost() {
	h := l.host
	h.x, h.y = l.hostX, margin
	y, outside := h.y+h.textHeight(), margin
	for _, p := range h.inside {
		if !p.Kind.holds() {
			y = l.placePort(p, h.right()-pad-p.w, y) + pad
			continue
		}
		p.x, p.y, p.w = h.x+pad, y, h.w-2*pad
		y += p.textHeight()
		right := []*placed{}
		for _, port := range p.inside {
			far := l.peer[port.Box]
			if far == nil || far.Kind != KindOutside {
				right = append(right, port)
				continue
			}
			port.x, port.y = p.x+pad, y
			out := l.at[far]
			out.move(margin, max(outside, port.middle()-out.h/2))
			outside = out.bottom() + gap
			y += port.h + pad
		}
		l.sortByGroup(right)
		for _, port := range right {
			y = l.placePort(port, p.right()-pad-port.w, y) + pad
		}
		p.h = y - p.y
		y += gap
	}
	h.h = y - h.y
}

// sortByGroup brings the ports of one namespace of pods together.
func (l *layout) sortByGroup(ports []*placed) {
	if !l.grouped {
		return
	}
	group := func(p *placed) string {
		if c := l.owner[l.peer[p.Box]]; c != nil && c.Group != "" {
			return c.Group
		}
		return "\xff" // behind all others
	}
	slices.SortStableFunc(ports, func(a, b *placed) int { return cmp.Compare(group(a), group(b)) })
}

// placePort places a port at y or below, level with its interface, and the container of that if it has no place yet. It returns the place
// below the port.
func (l *layout) placePort(p *placed, x, y int) int {
	far := l.peer[p.Box]
	c := l.owner[far]
	if c != nil {
		l.place(c, y+p.h/2-l.offset(c, far))
		y = max(y, l.at[far].y+portHeight/2-p.h/2)
	}
	p.x, p.y = x, y
	return p.bottom()
}

// offset returns how far below the top of a container the title of one of its interfaces is.
func (l *layout) offset(c *placed, of *Box) int {
	y := c.textHeight()
	for _, i := range c.inside {
		if i.Box == of {
			break
		}
		y += i.h + pad
	}
	return y + portHeight/2
}

// place places a container at y, or below those that have a place already.
func (l *layout) place(c *placed, y int) {
	if c.x != 0 {
		return
	}
	if !l.grouped {
		c.move(l.rightX, max(y, l.below))
		l.containers = append(l.containers, c)
		l.below = c.bottom() + gap
		return
	}
	f := l.frame(c, y)
	c.move(f.x+pad, max(y, l.below))
	f.inside = append(f.inside, c)
	f.h = c.bottom() + pad - f.y
	l.below = c.bottom() + gap
}

// frame returns the frame of the namespace of a container's pod: the last one, or a new one below it.
func (l *layout) frame(c *placed, y int) *placed {
	title := frameTitle(c)
	if last := len(l.frames) - 1; last >= 0 && l.frames[last].Title == title {
		return l.frames[last]
	}
	f := l.measure(&Box{Kind: kindGroup, Title: title})
	f.w = max(f.w, c.w+2*pad)
	f.x, f.y = l.rightX, max(y-f.h, l.below+pad)
	l.below = f.y + f.h
	l.frames = append(l.frames, f)
	return f
}

// frameTitle returns the title of the frame that a container belongs to.
func frameTitle(c *placed) string {
	if c.Group == "" {
		return "not a pod"
	}
	return "namespace " + c.Group
}

// finish places the notes below everything else.
func (l *layout) finish(d *Diagram) {
	l.width, l.height = l.host.right(), l.host.bottom()
	for _, p := range slices.Concat(l.outside, l.frames, l.containers) {
		l.width, l.height = max(l.width, p.right()), max(l.height, p.bottom())
	}
	if len(d.Notes) > 0 {
		n := &placed{Box: &Box{ID: "notes", Kind: kindNotes}}
		columns := int(float64(l.width-margin-2*pad) / charWidth)
		for _, t := range d.Notes {
			class := "dim"
			if t.Wrong {
				class = "wrong"
			}
			for i, part := range wrap(visible(t.Text), columns) {
				n.lines = append(n.lines, textLine{text: part, class: class, indent: min(i, 1) * 2})
			}
		}
		n.rect = rect{margin, l.height + gap, l.width - margin, n.textHeight()}
		l.notes, l.height = n, n.bottom()
	}
	l.width, l.height = l.width+margin, l.height+margin
}
