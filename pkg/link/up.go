package link

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"
)

// Setup describes the configuration of the container interface.
type Setup struct {
	IfName    string
	Addresses []netip.Prefix
	Routes    []Route
	DAD       bool // perform duplicate address detection for IPv6 addresses, and wait for its result
	NoRouters bool // no router is on the link: router advertisements there come from containers
}

// Applied is the result of Up.
type Applied struct {
	Link   *Link   // the container interface, as it was before
	Routes []Route // in order of Setup.Routes, with the metrics that they got
}

// Up configures the container interface and sets it up: sysctls, addresses, IFF_UP, routes. It waits
// until the kernel can use the IPv6 addresses. Errors name what could not be set. Sysctls come first
// because the kernel reads them when the interface is set up; routes last because the kernel refuses a
// gateway on an interface that is down.
func (s *Sandbox) Up(set Setup) (Applied, error) {
	l, err := s.byName(set.IfName)
	if err != nil {
		return Applied{}, err
	}
	if err := s.ensureSysctls(set.IfName, ipv6Sysctls(set)); err != nil {
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

// addAddresses adds addresses to the interface. One that is present is no error.
//
// The interface is still down. An IPv6 address that is added then stays tentative until the
// link comes up, and detection starts for all of them together (addrconf_dad_run).
func (s *Sandbox) addAddresses(l *Link, set Setup) error {
	for _, prefix := range set.Addresses {
		flags := nodad(prefix)
		if set.DAD {
			flags = 0
		}
		err := s.addAddress(l.Index, prefix, addressSettings{flags: flags})
		if err != nil && !errors.Is(err, syscall.EEXIST) {
			return fmt.Errorf("add address %s to %s: %w", prefix, set.IfName, err)
		}
	}
	return nil
}

// ipv6Sysctls returns the sysctls to set before the interface is up. Router advertisements and
// autoconfiguration are disabled if the interface gets an IPv6 address, or if no router is on the link
// (NoRouters). An interface without any address keeps the kernel's defaults: configuring it is left to
// the container. A kernel without IPv6 and an interface with an MTU below 1280 do not have these files.
func ipv6Sysctls(set Setup) []setting {
	if len(set.Addresses) == 0 {
		return nil
	}
	// Duplicate address detection runs if either conf.all.accept_dad or the interface's is
	// above 0 (the larger counts, ip-sysctl.rst). keep_addr_on_down: the kernel deletes the
	// IPv6 addresses of an interface that is set down, unlike the IPv4 ones, and nothing in
	// the container would add them again.
	of := func(key string) string { return sysctl("ipv6", "conf", set.IfName, key) }
	wanted := []setting{{of("accept_dad"), "0", optional}}
	if set.DAD {
		// enhanced_dad (RFC 7527) adds a nonce to the probe: on a port in hairpin mode the
		// container receives its own probe, and would take the address for a duplicate
		// (plugins issue 10).
		wanted = []setting{{of("enhanced_dad"), "1", optional}, {of("accept_dad"), "1", optional}}
	}
	if has6(set.Addresses) {
		if set.DAD {
			wanted[1].weight = needed
		}
		wanted = append(wanted, []setting{
			{disablePath("lo"), "0", needed}, // runtimes set "all" and "default" to 1, from which the interface takes it
			{disablePath(set.IfName), "0", needed},
			{of("keep_addr_on_down"), "1", optional},
		}...)
	}
	if has6(set.Addresses) || set.NoRouters {
		wanted = append(wanted, setting{of("accept_ra"), "0", safety}, setting{of("autoconf"), "0", safety})
	}
	return wanted
}

// ensureSysctls sets sysctls of an interface in the container, up to the first needed one that fails.
// The interface may be deleted at the same time: a needed sysctl that does not exist then means
// ErrVanished. If the interface exists, all are tried again: Linux 6.18 was seen, under load, to report
// ENOENT for a file of an interface that nothing had touched.
func (s *Sandbox) ensureSysctls(ifname string, wanted []setting) error {
	const tries = 3
	var err error
	for range tries {
		if err = s.ensureAll(wanted); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if exists, lookErr := s.exists(ifname); lookErr == nil && !exists {
			return fmt.Errorf("configure interface %s in %s: %w", ifname, s.Path, ErrVanished)
		}
	}
	return err
}

// ensureAll sets sysctls in the container, up to the first needed one that fails.
func (s *Sandbox) ensureAll(wanted []setting) error {
	return s.visit(func() error {
		for _, w := range wanted {
			if err := w.ensure(s.Warn); err != nil {
				return err
			}
		}
		return nil
	})
}

// Flush removes addresses from an interface that is kept, in a chain in which another plugin created it.
// An address or an interface that no longer exists is no error.
//
// The kernel deletes the connected routes with the addresses; RemoveRoutes is for the
// others.
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
