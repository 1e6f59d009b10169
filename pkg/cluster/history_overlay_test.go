package cluster

import (
	"fmt"
	"net/netip"
	"slices"
)

// facts is what the host of a history knows: nodes with an even last byte of an address are behind a router.
func (h *history) facts(nodes []Node) Host {
	facts := overlayHost()
	facts.Bridge = []netip.Prefix{netip.MustParsePrefix("10.244.1.1/24")}
	for _, n := range nodes {
		for _, addr := range n.InternalIPs {
			facts.Direct[addr] = !routed(addr)
		}
	}
	return facts
}

func routed(addr netip.Addr) bool { return addr.AsSlice()[addr.BitLen()/8-1]%2 == 0 }

// throughOverlay reports whether packets to a CIDR of a node have to take the overlay.
func (h *history) throughOverlay(n Node, dst netip.Prefix) bool {
	return h.config.Mode == ModeVXLAN || h.config.Mode == ModeAuto && routed(n.InternalIP(dst.Addr().Is4()))
}

// setEntries appends the steps before routes are added: each entry replaces one of its key.
func (h *history) setEntries(c EntryChanges, do func(func())) {
	for _, f := range c.Forwards {
		do(func() {
			h.device.Forwards = append(slices.DeleteFunc(slices.Clone(h.device.Forwards), func(o Forward) bool { return o.MAC == f.MAC }), f)
		})
	}
	for _, n := range c.Neighbours {
		do(func() {
			h.device.Neighbours = append(slices.DeleteFunc(slices.Clone(h.device.Neighbours), func(o Neighbour) bool { return o.Addr == n.Addr }), n)
		})
	}
}

// withoutGone returns the entries that stay.
func (h *history) withoutGone(c EntryChanges) (e Entries) {
	for _, n := range h.device.Neighbours {
		if !slices.Contains(c.GoneNeighbours, n) {
			e.Neighbours = append(e.Neighbours, n)
		}
	}
	for _, f := range h.device.Forwards {
		if !slices.Contains(c.GoneForwards, f) {
			e.Forwards = append(e.Forwards, f)
		}
	}
	return e
}

// lookUp returns the node to which the device sends what has a gateway.
func (h *history) lookUp(gateway netip.Addr) netip.Addr {
	for _, n := range h.device.Neighbours {
		for _, f := range h.device.Forwards {
			if n.Addr == gateway && f.MAC == n.MAC {
				return f.To
			}
		}
	}
	return netip.Addr{}
}

// unresolved returns the first route through the overlay for whose gateway the kernel would have to ask.
func (h *history) unresolved() string {
	for _, r := range h.routes {
		if r.Device != "" && !h.lookUp(r.Via).IsValid() {
			return fmt.Sprintf("route to %s by %s, which has no entry", r.Dst, r.Via)
		}
	}
	return ""
}

// arrives returns the address of the node that gets packets to a CIDR.
func (h *history) arrives(dst netip.Prefix) netip.Addr {
	for _, r := range h.routes {
		switch {
		case r.Dst == dst && r.Device == "":
			return r.Via
		case r.Dst == dst:
			return h.lookUp(r.Via)
		}
	}
	return netip.Addr{}
}
