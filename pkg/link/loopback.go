package link

import (
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

const loopback = 1 // the index of lo in every namespace (LOOPBACK_IFINDEX)

// SetLoopback sets lo of the container up or down.
func (s *Sandbox) SetLoopback(up bool) error {
	if up {
		return s.setUp(loopback)
	}
	if err := s.change(linkHeader{index: loopback, clear: unix.IFF_UP}); err != nil {
		return fmt.Errorf("set lo down in %s: %w", s.Path, err)
	}
	return nil
}

// Loopback returns whether lo of the container is up, and its addresses.
func (s *Sandbox) Loopback() (up bool, addresses []netip.Prefix, err error) {
	l, err := s.get(loopback)
	if err != nil {
		return false, nil, fmt.Errorf("look up lo in %s: %w", s.Path, err)
	}
	addresses, err = s.Addresses(loopback)
	return l.Up, addresses, err
}
