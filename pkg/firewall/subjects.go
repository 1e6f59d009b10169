package firewall

import (
	"cmp"
	"net/netip"
	"slices"
)

// dropped is a packet that is dropped, or may be.
type dropped struct {
	packet  packet
	outcome outcome
}

// decide returns what a base chain drops of the packets of a kind: all of them, or those of some addresses or ports. If
// the addresses and ports are not known, only a drop that does not depend on them counts.
func (w *traversal) decide(b Bridge, c chain) ([]dropped, error) {
	o, err := w.baseChain(c)
	if err != nil || o.drop == no {
		return nil, err
	}
	subjects := w.packet.subjects(b)
	if len(subjects) == 0 || o.accept == no {
		if o.drop != well {
			return nil, nil
		}
		return []dropped{{w.packet, o}}, nil
	}
	g := &grouping{view: w.view, packet: w.packet, base: c, host: [2]netip.Addr{b.Host4, b.Host6}}
	if err := g.search(subjects); err != nil {
		return nil, err
	}
	if o.drop == well && len(g.found) == len(subjects) {
		if !slices.ContainsFunc(g.found, func(d dropped) bool { return d.outcome.accept != no }) {
			o.accept = no
		}
		return []dropped{{w.packet, o}}, nil
	}
	return g.found, nil
}

// subjects returns the addresses or ports of a packet's family and protocol, sorted by address.
func (p packet) subjects(b Bridge) (all []Subject) {
	of := b.Addresses
	if p.what == Published || p.what == Arriving {
		of = b.Ports
	}
	for _, s := range of {
		if s.Addr.Is6() == p.isIPv6 && s.Protocol == p.transportOf(s) && !p.isSolicit {
			all = append(all, s)
		}
	}
	slices.SortStableFunc(all, func(a, b Subject) int { return cmp.Or(a.Addr.Compare(b.Addr), cmp.Compare(a.HostPort, b.HostPort)) })
	return all
}

// transportOf returns the protocol that a subject of the packet must have.
func (p packet) transportOf(s Subject) uint8 {
	if s.Protocol == 0 {
		return 0
	}
	return p.protocol()
}

// grouping searches the subjects whose packets a base chain drops. It evaluates groups: what passes for a group as a
// whole, of which only the common bits are known, passes for each of its members.
type grouping struct {
	view   *view
	packet packet
	base   chain
	host   [2]netip.Addr
	found  []dropped
}

func (g *grouping) search(group []Subject) error {
	p := g.of(group)
	w := &traversal{view: g.view, packet: p, been: map[visit]outcome{}}
	o, err := w.baseChain(g.base)
	if err != nil || o.drop != well {
		return err
	}
	if len(group) > 1 && o.accept != no {
		if err := g.search(group[:len(group)/2]); err != nil {
			return err
		}
		return g.search(group[len(group)/2:])
	}
	for _, s := range group {
		d := dropped{g.of([]Subject{s}), o}
		d.packet.about = s
		g.found = append(g.found, d)
	}
	return nil
}

// of returns the packet of a group.
func (g *grouping) of(group []Subject) packet {
	p := g.packet
	host := g.host[0]
	if p.isIPv6 {
		host = g.host[1]
	}
	addr := common(group, func(s Subject) []byte { return s.Addr.AsSlice() })
	hostIP := common(group, func(s Subject) []byte { return cmp.Or(s.HostIP, host).AsSlice() })
	hostPort := common(group, func(s Subject) []byte { return []byte{byte(s.HostPort >> 8), byte(s.HostPort)} })
	inside := common(group, func(s Subject) []byte { return []byte{byte(s.ContainerPort >> 8), byte(s.ContainerPort)} })
	switch {
	case p.what == Arriving && !p.isLate:
		p.to, p.toPort, p.original = hostIP, hostPort, hostPort
	case p.what == Arriving, p.what == Published && !p.isAnswer:
		p.to, p.toPort, p.original = addr, inside, hostPort
	case p.what == Published:
		p.from, p.fromPort, p.original = addr, inside, hostPort
	case p.what == Returning, p.what == Neighbours && !p.isAnswer:
		p.to = addr
	default:
		p.from = addr
	}
	return p
}

// common returns the bits that a group has in common. The others are unknown, and not varied: the packets of one member
// have the same, so that a rule for it drops all of them.
func common(group []Subject, of func(Subject) []byte) value {
	v := known(of(group[0]))
	for _, s := range group[1:] {
		other := of(s)
		if len(other) != len(v.data) { // published on one address of the host, and on all
			return unknown(max(len(other), len(v.data)), false)
		}
		for i, b := range other {
			v.unknown[i] |= v.data[i] ^ b
		}
	}
	return v
}
