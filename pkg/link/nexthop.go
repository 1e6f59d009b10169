package link

import (
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// ErrNoRoute is wrapped if the host has no route to an address, or one that refuses packets.
var ErrNoRoute = errors.New("no route")

// NextHop describes where the host sends packets to an address.
type NextHop struct {
	Link   string // name of the interface; of the one that has the address, if Local
	Local  bool   // the address is the host's own
	Routed bool   // through a router
}

// NextHop looks up the host's route to an address, with the kernel's rules and tables. Errors wrap
// ErrNoRoute or the kernel's error.
func (h *Host) NextHop(addr netip.Addr) (NextHop, error) {
	route, err := h.lookUp(addr)
	if noRoute(err) {
		return NextHop{}, fmt.Errorf("%w to %s: %w", ErrNoRoute, addr, err)
	}
	if err != nil {
		return NextHop{}, fmt.Errorf("look up route to %s: %w", addr, err)
	}
	next := NextHop{Local: route.kind == unix.RTN_LOCAL, Routed: route.gateway}
	index := route.link
	if next.Local {
		if index, err = h.interfaceWith(addr, route.link); err != nil {
			return next, err
		}
	}
	l, err := h.get(index)
	if err != nil {
		return next, fmt.Errorf("look up the interface to %s: %w", addr, err)
	}
	next.Link = l.Name
	return next, nil
}

// interfaceWith returns the index of the interface that has an address, or otherwise if none has it: the
// route to a local address is by lo, which is not the interface that people look for.
//
// The kernel replaces the interface by lo in the route to a local address
// (ip_route_output_key_hash), in a VRF by the device of the VRF, so the addresses have to
// be listed.
func (h *Host) interfaceWith(addr netip.Addr, otherwise int) (int, error) {
	library, err := h.dumper()
	if err != nil {
		return 0, err
	}
	all, err := library.AddrList(nil, familyOf(addr))
	if err != nil {
		return 0, fmt.Errorf("list addresses: %w", err)
	}
	for i := range all {
		if has, ok := netip.AddrFromSlice(all[i].IP); ok && has.Unmap() == addr {
			return all[i].LinkIndex, nil
		}
	}
	return otherwise, nil
}
