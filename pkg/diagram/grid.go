package diagram

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// Sizes of a picture whose containers are in several columns.
const (
	maxHeight = 2000 // of the containers in one column; above it there are several
	landscape = 1.5  // width of the columns over their height
	lane      = 7    // between two trunks
	stub      = 40   // between a port and the interface that it leads to
)

// trunk is the line from a bridge to those of its ports that are beside their containers: along the top of the picture, and down at the left
// of each column.
type trunk struct {
	bridge *placed
	lane   int // the first trunk is 0
	x, y   int // where it goes up beside the host, and along the top
	drops  []drop
}

// drop is the part of a trunk that goes down at the left of a column, and the ports that it leads to.
type drop struct {
	x     int
	ports []*placed
}

// grid is a layout whose containers are in several columns, in a frame for each namespace of pods and column.
type grid struct {
	*layout
	portOf  map[*Box]*placed // of an interface of a container
	trunkOf map[*placed]*trunk
	width   int     // of a port and its container
	x       int     // of the column
	top     int     // of all columns
	limit   int     // height of a column
	frame   *placed // of the last container; nil at the top of a column
}

// inColumns places the host, and beside it the containers with their ports.
func (l *layout) inColumns(containers []*placed) {
	g := &grid{layout: l, portOf: map[*Box]*placed{}, trunkOf: map[*placed]*trunk{}}
	g.takePorts()
	l.placeHost()
	for _, t := range l.trunks {
		t.x, t.y = l.host.right()+pad+t.lane*lane, margin+t.lane*lane
	}
	if l.grouped {
		slices.SortStableFunc(containers, func(a, b *placed) int { return cmp.Compare(groupKey(a), groupKey(b)) })
	}
	g.measureColumns(containers)
	for _, c := range containers {
		if l.below > g.top && l.below+c.h > g.top+g.limit {
			g.x += len(l.trunks)*lane + g.width + 3*pad + gap
			l.below, g.frame = g.top, nil
		}
		g.put(c)
	}
}

// groupKey sorts containers by the namespaces of their pods, those of no pod behind them.
func groupKey(c *placed) string { return cmp.Or(c.Group, "\xff") }

// takePorts takes the ports that lead to containers out of the host and its bridges, and gives each of these bridges a trunk.
func (g *grid) takePorts() {
	g.host.inside = slices.DeleteFunc(g.host.inside, func(p *placed) bool { return !p.Kind.holds() && g.take(p) })
	for _, bridge := range g.host.inside {
		t, ports := &trunk{bridge: bridge, lane: len(g.trunks)}, len(bridge.inside)
		bridge.inside = slices.DeleteFunc(bridge.inside, func(port *placed) bool {
			taken := g.take(port)
			if taken {
				g.trunkOf[port] = t
			}
			return taken
		})
		if taken := ports - len(bridge.inside); taken > 0 {
			bridge.add(fmt.Sprintf(taking(bridge.Kind), taken), "dim")
			g.trunks = append(g.trunks, t)
		}
	}
}

// taking says what is taken out of a box.
func taking(k Kind) string {
	if k == KindPath {
		return "to %d nodes"
	}
	return "%d interfaces of containers"
}

// take notes a port with the interface that it leads to, if that is of a container.
func (g *grid) take(port *placed) bool {
	far := g.peer[port.Box]
	if g.owner[far] == nil {
		return false
	}
	g.portOf[far] = port
	g.width = max(g.width, port.w)
	return true
}

// measureColumns computes the width and the height of the columns.
func (g *grid) measureColumns(containers []*placed) {
	g.top = margin + len(g.trunks)*lane + gap
	g.x = g.host.right() + corridor
	g.below = g.top
	total, tallest := height(containers), 0
	for _, c := range containers {
		tallest = max(tallest, c.h)
	}
	g.width += stub + containers[0].w // all have the same width
	columns := max(1, int(math.Sqrt(landscape*float64(total)/float64(g.width))))
	g.limit = total/columns + tallest
}

// put places a container in the column, its ports level with their interfaces, and the trunks that lead to them.
func (g *grid) put(c *placed) {
	x := g.x + len(g.trunks)*lane + pad
	if g.grouped {
		g.frameFor(c, x)
		x += pad
	}
	c.move(x+g.width-c.w, g.below)
	g.below = c.bottom() + gap
	boxes := []*placed{c}
	for _, i := range c.inside {
		port := g.portOf[i.Box]
		if port == nil {
			continue
		}
		port.x, port.y = c.x-stub-port.w, i.y+portHeight/2-port.h/2
		boxes = append(boxes, port)
		if t := g.trunkOf[port]; t != nil {
			t.leadTo(port, g.x+t.lane*lane)
		}
	}
	if g.frame == nil {
		g.containers = append(g.containers, boxes...)
		return
	}
	g.frame.inside = append(g.frame.inside, boxes...)
	g.frame.h = c.bottom() + pad - g.frame.y
}

// frameFor makes the frame of the namespace of a container's pod, unless the last one is.
func (g *grid) frameFor(c *placed, x int) {
	title := frameTitle(c)
	if g.frame != nil && g.frame.Title == title {
		return
	}
	f := g.measure(&Box{Kind: kindGroup, Title: title})
	f.w = max(f.w, g.width+2*pad)
	f.x, f.y = x, g.below
	g.below += f.h
	g.frame = f
	g.frames = append(g.frames, f)
}

// leadTo adds a port to the part of the trunk at x.
func (t *trunk) leadTo(port *placed, x int) {
	if last := len(t.drops) - 1; last < 0 || t.drops[last].x != x {
		t.drops = append(t.drops, drop{x: x})
	}
	d := &t.drops[len(t.drops)-1]
	d.ports = append(d.ports, port)
}
