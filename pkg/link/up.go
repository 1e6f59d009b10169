package link

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"syscall"

	"github.com/vishvananda/netlink"
)

// Setup is what the container's end of a cable shall have.
type Setup struct {
	IfName    string
	Addresses []netip.Prefix
	Routes    []Route
	DAD       bool // let the kernel look for duplicates of IPv6 addresses, and wait until it has
}

// Up configures the container's end and sets it up: sysctls, addresses, up, routes, and waits
// until the addresses can be used. It returns
// the routes as they were applied, in order: one that was there already through another
// interface is given a metric of its own. Errors name what could not be set.
func (s *Sandbox) Up(set Setup) ([]Route, error) {
	l, err := s.byName(set.IfName)
	if err != nil {
		return nil, err
	}
	if err := s.enter(func() error { return containerSysctls(set) }); err != nil {
		return nil, err
	}
	if err := s.addAddresses(l, set); err != nil {
		return nil, err
	}
	if err := s.handle.LinkSetUp(l); err != nil {
		return nil, fmt.Errorf("set %s up: %w", set.IfName, err)
	}
	routes, err := s.addRoutes(l, set)
	if err != nil {
		return nil, err
	}
	return routes, s.waitUsable(l, set.Addresses)
}

func (s *Sandbox) addAddresses(l netlink.Link, set Setup) error {
	for _, prefix := range set.Addresses {
		addr := &netlink.Addr{IPNet: ipNet(prefix)}
		if !set.DAD {
			addr.Flags = nodad(prefix)
		}
		err := s.handle.AddrAdd(l, addr)
		if err != nil && !errors.Is(err, syscall.EEXIST) {
			return fmt.Errorf("add address %s to %s: %w", prefix, set.IfName, err)
		}
	}
	return nil
}

// containerSysctls runs in the container's namespace, before the interface is up. Router
// advertisements and autoconfiguration are for interfaces that nobody gives an IPv6 address.
func containerSysctls(set Setup) error {
	var wanted [][2]string
	// Neither a kernel without IPv6 has them, nor a link whose MTU is below 1280.
	if _, err := os.Stat(sysctl("ipv6", "conf", set.IfName)); err == nil {
		wanted = append(wanted, ipv6Sysctls(set)...)
	}
	for _, w := range wanted {
		if _, err := setSysctl(w[0], w[1]); err != nil {
			return err
		}
	}
	return nil
}

func ipv6Sysctls(set Setup) [][2]string {
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
		err = s.handle.AddrDel(l, &netlink.Addr{IPNet: ipNet(prefix)})
		if errors.Is(err, syscall.EADDRNOTAVAIL) {
			err = nil
		}
	}
	return err
}
