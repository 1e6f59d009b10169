package topo

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// boxLine is a line inside a box; end is the attachment whose veth pair ends there, nil for none.
type boxLine struct {
	content row
	end     *Attachment
}

// hostLines returns the lines of the host's box before its bridges.
func hostLines(h *Host, width int) []row {
	var rows []row
	for _, l := range h.Links {
		for _, b := range interfaceLines(&l, width, plain) {
			rows = append(rows, b.content)
		}
	}
	for _, r := range h.Routes {
		rows = append(rows, text(routeText(r)+" dev "+r.Link, plain).wrap(width, 2)...)
	}
	switch {
	case h.Forward4 && h.Forward6:
		return append(rows, text("forwarding IPv4 and IPv6", plain))
	case h.Forward4:
		return append(rows, text("forwarding IPv4", plain))
	case h.Forward6:
		return append(rows, text("forwarding IPv6", plain))
	}
	return append(rows, text("forwarding off", plain))
}

func routeText(r link.SurveyRoute) string {
	t := "default"
	if r.Gateway.IsValid() {
		t += " via " + r.Gateway.String()
	}
	return t
}

// bridgeLines returns the lines of a bridge's box before its ports.
func bridgeLines(b *Bridge, width int) []row {
	var rows []row
	for _, a := range globals(b.Addresses) {
		rows = append(rows, text(a.Prefix.String(), plain).wrap(width, 2)...)
	}
	if !b.Up {
		rows = append(rows, text("down", wrong))
	}
	return rows
}

// lines returns the inside of a namespace's box.
func (g *group) lines(width int) []boxLine {
	var lines []boxLine
	for _, a := range g.ends {
		lines = append(lines, g.endLines(a, width)...)
	}
	for i := range g.rest {
		l := &g.rest[i]
		lines = append(lines, interfaceLines(l, width, plain)...)
		for _, r := range g.ns.Routes {
			if r.Link == l.Name {
				lines = append(lines, wrapped(text(routeText(r), plain), width)...)
			}
		}
	}
	if len(lines) == 0 {
		lines = append(lines, boxLine{content: text(g.emptiness(), plain)})
	}
	return lines
}

func (g *group) emptiness() string {
	if g.ns != nil && g.ns.Error != "" {
		return "(cannot look inside)"
	}
	return "(not attached)"
}

// endLines returns the container interface of an attachment, and the default routes through it.
func (g *group) endLines(a *Attachment, width int) []boxLine {
	var lines []boxLine
	switch {
	case a.Link != nil:
		lines = interfaceLines(a.Link, width, name)
	case a.HostLink == nil:
		lines = []boxLine{{content: line(text(a.IfName, name), text("  (gone)", wrong))}}
	default:
		ifname := cmp.Or(a.IfName, "interface")
		lines = []boxLine{{content: line(text(ifname, name), text("  (not seen)", plain))}}
	}
	lines[0].end = a
	if a.HasTap() {
		lines = append(lines, a.tapLines(width)...)
	}
	for _, r := range a.Routes {
		lines = append(lines, wrapped(text(routeText(r), plain), width)...)
	}
	if hidden := masqueraded(a.Record); hidden != "" {
		lines = append(lines, wrapped(text(hidden, plain), width)...)
	}
	return append(lines, a.portLines(width)...)
}

// tapLines returns the tap of an attachment, and the addresses of the guest behind it.
func (a *Attachment) tapLines(width int) (lines []boxLine) {
	label, state := text(a.Record.Tap.Name, name), row(nil)
	switch {
	case a.Tap == nil:
		state = text("  (gone)", wrong)
	case !a.Tap.Up:
		state = text("  (down)", wrong)
	case !a.Tap.Carrier:
		state = text("  tap, not open", plain)
	default:
		state = text("  tap, open", plain)
	}
	lines = wrapped(line(label, state), width)
	for _, address := range a.guestAddresses() {
		lines = append(lines, wrapped(text("guest  "+address, plain), width)...)
	}
	return lines
}

// masqueraded describes the masquerade of a record, with the address family if only one is masqueraded; "" without.
func masqueraded(r *store.Record) string {
	if r == nil || r.Masquerade == nil {
		return ""
	}
	if m := r.Masquerade; m.Outbound4.IsValid() || m.Outbound6.IsValid() {
		return "outside sees " + outboundText(m)
	}
	if len(r.Masquerade.Addresses) == len(r.Addresses) {
		return "outside sees the host"
	}
	family := "IPv6"
	if r.Masquerade.Addresses[0].Addr().Is4() {
		family = "IPv4"
	}
	return "outside sees the host (" + family + ")"
}

// outboundText returns what the outside sees of each masqueraded family: "203.0.113.5, the host (IPv6)".
func outboundText(m *store.Masquerade) string {
	var seen []string
	for _, f := range []struct {
		name string
		is4  bool
		addr netip.Addr
	}{{"IPv4", true, m.Outbound4}, {"IPv6", false, m.Outbound6}} {
		switch {
		case !slices.ContainsFunc(m.Addresses, func(p netip.Prefix) bool { return p.Addr().Is4() == f.is4 }):
		case f.addr.IsValid():
			seen = append(seen, f.addr.String())
		default:
			seen = append(seen, "the host ("+f.name+")")
		}
	}
	return strings.Join(seen, ", ")
}

func wrapped(l row, width int) []boxLine {
	var lines []boxLine
	for _, r := range l.wrap(width, 2) {
		lines = append(lines, boxLine{content: r})
	}
	return lines
}

// interfaceLines returns name and addresses side by side, or one below the other if they are too wide.
func interfaceLines(l *link.SurveyLink, width int, t tone) []boxLine {
	label := text(l.Name+"  ", t)
	addresses := globals(l.Addresses)
	widest := 0
	for _, a := range addresses {
		widest = max(widest, len(a.Prefix.String()))
	}
	if !l.Up {
		label = line(label, text("(down)  ", wrong))
	}
	var lines []boxLine
	indent := len(label)
	if len(addresses) == 0 || indent+widest > width {
		lines = append(lines, boxLine{content: label.fit(min(len(label), width))})
		indent = 2
	}
	for i, a := range addresses {
		begin := text(strings.Repeat(" ", indent), plain)
		if i == 0 && len(lines) == 0 {
			begin = label
		}
		tone := plain
		if a.Failed {
			tone = wrong
		}
		lines = append(lines, wrapped(line(begin, text(a.Prefix.String(), tone)), width)...)
	}
	return lines
}

// networks returns the names of a group's networks.
func (g *group) networks() row {
	var names []string
	for _, a := range g.ends {
		if a.Network != "" && (len(names) == 0 || names[len(names)-1] != a.Network) {
			names = append(names, a.Network)
		}
	}
	if len(names) == 0 {
		return nil
	}
	return text("network "+strings.Join(names, ", "), plain)
}

// box returns a group's box; sockets are the lines at which its attachments end.
func (g *group) box(width int) (rows []row, sockets map[int]*Attachment) {
	sockets = map[int]*Attachment{}
	rows = append(rows, top(g.title(width-6), g.networks(), width))
	for _, l := range g.lines(width - 4) {
		r := side(l.content, width)
		if l.end != nil {
			sockets[len(rows)] = l.end
			r[0] = socket(l.end.Link != nil && l.end.Link.Up || l.end.HostLink != nil && l.end.Link == nil)
		}
		rows = append(rows, r)
	}
	return append(rows, bottom(width)), sockets
}

// socket returns the end of a veth pair.
func socket(up bool) cell {
	if up {
		return cell{'●', veth}
	}
	return cell{'○', wrong}
}

// bridgeTop returns the upper line of a bridge's box.
func bridgeTop(b *Bridge, width int) row {
	return top(text(b.Name, name), text(fmt.Sprintf("bridge, mtu %d", b.MTU), plain), width)
}

// hostSocket returns the host interface of an attachment: its name and the socket.
func hostSocket(a *Attachment) (label row, end cell) {
	if a.HostLink == nil {
		return text(a.Record.HostLink, wrong), cell{'○', wrong}
	}
	return text(a.HostLink.Name, plain), socket(a.HostLink.Up)
}

// wire returns a piece of an attachment's line, with a mark in the middle if something is wrong.
func wire(a *Attachment, width int) row {
	var w row
	switch {
	case a.HostLink == nil:
		w = fill("╌", width, wrong)
		w[width/2].r = '╳'
	case len(a.Problems) > 0:
		w = fill("─", width, veth)
		w[width/2] = cell{'!', wrong}
	case !a.HostLink.Carrier:
		w = fill("╌", width, veth)
	default:
		w = fill("─", width, veth)
	}
	return w
}

// FarEnd describes the other end of a port that is not in a known namespace: "LAN (router 192.0.2.1)", "tap", "no carrier".
func (v *View) FarEnd(b *Bridge, port *Port) string {
	switch {
	case !port.Up || !port.Carrier:
		return "no carrier"
	case !port.Uplink && port.Kind == "veth":
		return "veth, other end not seen"
	case !port.Uplink:
		return "tap"
	}
	uplinks := 0
	for i := range b.Ports {
		if b.Ports[i].Uplink {
			uplinks++
		}
	}
	for _, r := range v.Host.Routes {
		if r.Link == b.Name && r.Gateway.IsValid() && uplinks == 1 {
			return "LAN (router " + r.Gateway.String() + ")"
		}
	}
	return "LAN"
}

// listed returns an attachment as one line.
func (g *group) listed(a *Attachment, nameWidth int) row {
	l := line(g.title(nameWidth).fit(nameWidth), text(" "+a.IfName, plain))
	if a.HostLink == nil {
		return line(l, text(" (gone)", wrong))
	}
	if a.Link == nil {
		return line(l, text(" (not seen)", plain))
	}
	for _, addr := range globals(a.Link.Addresses) {
		l = line(l, text(" "+addr.Prefix.String(), plain))
	}
	return line(l, a.portsListed())
}

// nameWidth returns the width of the names in the list of a section, in a picture of so many columns.
func (y *section) nameWidth(columns int) int {
	most := 20
	switch {
	case columns < wideWidth:
		most = min(most, columns*2/5)
	case columns > defaultWidth:
		most += columns - defaultWidth
	}
	w := 0
	for i := range y.groups {
		w = max(w, len(y.groups[i].title(most)))
	}
	return min(w, most)
}
