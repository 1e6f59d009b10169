package link

import (
	"errors"
	"fmt"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"
)

// IsLocal reports whether the host itself receives packets to an address, as nftables' "fib daddr type
// local" does. An address of a VRF is local in the table of that VRF only, and is reported as not local.
func (h *Host) IsLocal(addr netip.Addr) (bool, error) {
	next, err := h.lookUp(addr)
	if noRoute(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look up route to %s: %w", addr, err)
	}
	return next.kind == unix.RTN_LOCAL, nil
}

// noRoute reports whether an error of a route lookup means that there is no route, or one that refuses
// packets: unreachable (EHOSTUNREACH), prohibit (EACCES) or blackhole (EINVAL).
//
// These are the errors of fib_props (net/ipv4/fib_semantics.c). EAGAIN, of a route of type
// throw, is not among them: the lookup goes on in the next table.
func noRoute(err error) bool {
	for _, errno := range []syscall.Errno{unix.ENETUNREACH, unix.EHOSTUNREACH, unix.EACCES, unix.EINVAL} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}
