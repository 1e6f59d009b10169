package link

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// The kernel finishes an IPv6 address in a work queue, also one that needs no duplicate
// address detection: only then it joins the solicited-node group and inserts the local route,
// without which a packet for the address is dropped. On a busy machine that is a second after
// the call that added it has returned.

// usableTimeout is that of the reference: detection, where it is wanted, takes one to two
// seconds.
const usableTimeout = 5 * time.Second

// waitUsable waits until every IPv6 address is the interface's in all respects. ErrDADFailed
// if one was found to be somebody else's. At the deadline it is an error too.
func (c *conn) waitUsable(l netlink.Link, addresses []netip.Prefix) error {
	waiting, err := c.unusable(l, addresses)
	if err != nil || !waiting.IsValid() {
		return err
	}
	// The event of the address comes just before the local route is inserted, and is the last
	// one of it: the route's own must be heard too. A duplicate has an event of the address only.
	groups := []uint{unix.RTNLGRP_IPV6_IFADDR, unix.RTNLGRP_IPV6_ROUTE}
	return c.await(groups, usableTimeout, func(late bool) (bool, error) {
		waiting, err := c.unusable(l, addresses)
		if err == nil && waiting.IsValid() && late {
			err = fmt.Errorf("address %s on %s is not usable after %s", waiting, l.Attrs().Name, usableTimeout)
		}
		return !waiting.IsValid(), err
	})
}

// unusable is one of the addresses that is not finished; the zero Addr if there is none. The
// local route is asked for by key.
func (c *conn) unusable(l netlink.Link, addresses []netip.Prefix) (netip.Addr, error) {
	for _, prefix := range addresses {
		if !is6(prefix.Addr()) {
			continue
		}
		routes, err := c.handle.RouteGet(prefix.Addr().AsSlice())
		if err == nil && len(routes) == 1 && routes[0].Type == unix.RTN_LOCAL {
			continue
		}
		return prefix.Addr(), c.duplicate(l, prefix.Addr())
	}
	return netip.Addr{}, nil
}

// duplicate is ErrDADFailed if the kernel has found another host with the address.
func (c *conn) duplicate(l netlink.Link, addr netip.Addr) error {
	has, err := c.handle.AddrList(l, netlink.FAMILY_V6)
	if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) {
		return fmt.Errorf("list addresses of %s: %w", l.Attrs().Name, err)
	}
	for _, a := range has {
		if got, _ := netip.AddrFromSlice(a.IP.To16()); got == addr && a.Flags&unix.IFA_F_DADFAILED != 0 {
			return fmt.Errorf("address %s %w", addr, ErrDADFailed)
		}
	}
	return nil
}

// await asks done, again after every event of some groups, until it says so, fails, or the time is
// over: then it is asked once more and told that it is late. Whose event it was does not
// matter, and neither does one that was lost.
func (c *conn) await(groups []uint, timeout time.Duration, done func(late bool) (bool, error)) error {
	var events *nl.NetlinkSocket
	err := c.enter(func() (err error) {
		events, err = nl.Subscribe(unix.NETLINK_ROUTE, groups...)
		return err
	})
	if err != nil {
		return fmt.Errorf("listen for events: %w", err)
	}
	defer events.Close()
	for deadline := time.Now().Add(timeout); ; {
		left := time.Until(deadline)
		ok, err := done(left <= 0)
		if ok || err != nil || left <= 0 {
			return err
		}
		wait := unix.NsecToTimeval(max(left, time.Millisecond).Nanoseconds())
		if err := events.SetReceiveTimeout(&wait); err != nil {
			return fmt.Errorf("listen for events: %w", err)
		}
		_, _, _ = events.Receive()
	}
}
