package link

import (
	"errors"
	"fmt"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"
)

// IsLocal reports whether a packet to an address ends in the host itself: what nftables calls `fib
// daddr type local`. An address of a VRF is local to that VRF, and here is not.
func (h *Host) IsLocal(addr netip.Addr) (bool, error) {
	next, err := h.lookUp(addr)
	if noWay(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look up route to %s: %w", addr, err)
	}
	return next.kind == unix.RTN_LOCAL, nil
}

// noWay reports whether the kernel answered a question for a route with its not being there, or with
// the route's being one that refuses (unreachable, prohibit, blackhole).
func noWay(err error) bool {
	for _, errno := range []syscall.Errno{unix.ENETUNREACH, unix.EHOSTUNREACH, unix.EACCES, unix.EINVAL} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}
