package link

import (
	"errors"
	"fmt"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"
)

// Setup is what the container's end of a cable shall have.
type Setup struct {
	IfName    string
	Addresses []netip.Prefix
	Routes    []Route
	DAD       bool // let the kernel look for duplicates of IPv6 addresses, and wait until it has
}

// Applied is what Up has made of a Setup.
type Applied struct {
	Link   *Link   // the container's end, as it was before
	Routes []Route // in order: one that was there already through another interface got a metric
}

// Up configures the container's end and sets it up: sysctls, addresses, up, routes, and waits
// until the addresses can be used. Errors name what could not be set.
func (s *Sandbox) Up(set Setup) (Applied, error) {
	l, err := s.byName(set.IfName)
	if err != nil {
		return Applied{}, err
	}
	if err := s.setSysctlsThere(ipv6Sysctls(set)); err != nil {
		return Applied{}, err
	}
	if err := s.addAddresses(l, set); err != nil {
		return Applied{}, err
	}
	if err := s.change(linkHeader{index: l.Index, set: unix.IFF_UP}, arpNotify(set.Addresses)...); err != nil {
		return Applied{}, fmt.Errorf("set %s up: %w", set.IfName, err)
	}
	routes, err := s.addRoutes(l, set)
	if err != nil {
		return Applied{}, err
	}
	if has6(set.Addresses) {
		err = errors.Join(s.waitCarrier(l.Index), s.waitUsable(l, set.Addresses))
	}
	return Applied{Link: l, Routes: routes}, err
}

func (s *Sandbox) addAddresses(l *Link, set Setup) error {
	for _, prefix := range set.Addresses {
		flags := nodad(prefix)
		if set.DAD {
			flags = 0
		}
		err := s.addAddress(l.Index, prefix, flags)
		if err != nil && !errors.Is(err, syscall.EEXIST) {
			return fmt.Errorf("add address %s to %s: %w", prefix, set.IfName, err)
		}
	}
	return nil
}

// ipv6Sysctls are paths and values, written before the interface is up. Router advertisements and
// autoconfiguration are for interfaces that nobody gives an IPv6 address, and an interface that
// gets no address at all is left alone: looking for duplicates of what it finds itself is the
// container's business. Neither a kernel without IPv6 has these sysctls, nor a link whose MTU is
// below 1280.
func ipv6Sysctls(set Setup) [][2]string {
	if len(set.Addresses) == 0 {
		return nil
	}
	of := func(key string) string { return sysctl("ipv6", "conf", set.IfName, key) }
	wanted := [][2]string{{of("accept_dad"), "0"}}
	if set.DAD {
		wanted = [][2]string{{of("enhanced_dad"), "1"}, {of("accept_dad"), "1"}}
	}
	for _, prefix := range set.Addresses {
		if is6(prefix.Addr()) {
			return append(wanted, [][2]string{
				{sysctl("ipv6", "conf", "lo", "disable_ipv6"), "0"},
				{of("disable_ipv6"), "0"},
				{of("keep_addr_on_down"), "1"},
				{of("accept_ra"), "0"},
				{of("autoconf"), "0"},
			}...)
		}
	}
	return wanted
}

// Flush takes addresses off an interface that stays, for chains in which another plugin made
// it. What is not there any more is no error.
func (s *Sandbox) Flush(ifname string, addresses []netip.Prefix) error {
	l, err := s.byName(ifname)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	for _, prefix := range addresses {
		if err != nil {
			return err
		}
		err = s.removeAddress(l.Index, prefix)
		if errors.Is(err, syscall.EADDRNOTAVAIL) {
			err = nil
		}
	}
	return err
}
