package link

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// The kernel activates an IPv6 address in a work queue (addrconf_dad_work), also one with
// IFA_F_NODAD: only then it joins the solicited-node group and inserts the local route, without which
// it drops packets to the address. On a busy machine that is a second after the call that added the
// address has returned. So an ADD waits for the local route, not for the flag "tentative".

// usableTimeout is longer than the 5 s of the reference plugin: duplicate address detection takes one to
// two seconds, but the work queue of a machine with a load of 30 was seen to take more than five.
const usableTimeout = 20 * time.Second

// waitCarrier waits until the kernel has noticed, in a work queue (linkwatch), that a link which was set
// up has carrier: only then IPv6 uses the link and a multicast packet has a route.
func (c *conn) waitCarrier(index int) error {
	carrier := func(late bool) (bool, error) {
		l, err := c.get(index)
		if err != nil {
			return false, err
		}
		if late && !l.operational() {
			return false, fmt.Errorf("interface %s has no carrier after %s", l.Name, portTimeout)
		}
		return l.operational(), nil
	}
	if has, err := carrier(false); has || err != nil {
		return err
	}
	return c.await([]uint{unix.RTNLGRP_LINK}, portTimeout, carrier)
}

// waitUsable waits until the kernel has activated every IPv6 address. Errors wrap ErrDADFailed if another
// host has an address, and ErrUnfinished after usableTimeout.
func (c *conn) waitUsable(l *Link, addresses []netip.Prefix) error {
	waiting, err := c.unusable(l, addresses)
	if err != nil || !waiting.IsValid() {
		return err
	}
	// The kernel sends the last event of an address just before it inserts the local route, so the
	// events of routes are needed as well. A duplicate address has an address event only.
	groups := []uint{unix.RTNLGRP_IPV6_IFADDR, unix.RTNLGRP_IPV6_ROUTE}
	return c.await(groups, usableTimeout, func(late bool) (bool, error) {
		waiting, err := c.unusable(l, addresses)
		if err == nil && waiting.IsValid() && late {
			err = fmt.Errorf("address %s on %s: %w after %s", waiting, l.Name, ErrUnfinished, usableTimeout)
		}
		return !waiting.IsValid(), err
	})
}

// unusable returns the first address that is not activated; the zero Addr if all are. It looks up the
// route to each address, which is one request without a dump.
func (c *conn) unusable(l *Link, addresses []netip.Prefix) (netip.Addr, error) {
	for _, prefix := range addresses {
		if !is6(prefix.Addr()) {
			continue
		}
		r, err := c.lookUp(prefix.Addr())
		if err == nil && r.kind == unix.RTN_LOCAL {
			continue
		}
		return prefix.Addr(), c.duplicate(l, prefix.Addr())
	}
	return netip.Addr{}, nil
}

// duplicate returns an error that wraps ErrDADFailed if the kernel has found another host with the address.
func (c *conn) duplicate(l *Link, addr netip.Addr) error {
	has, err := c.addresses(l.Index, unix.AF_INET6)
	if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) {
		return fmt.Errorf("list addresses of %s: %w", l.Name, err)
	}
	for _, a := range has {
		if a.prefix.Addr() == addr && a.duplicate {
			return fmt.Errorf("address %s: %w", addr, ErrDADFailed)
		}
	}
	return nil
}

// await calls done until it returns true or an error: at once, and after each event of the groups. After
// the timeout, or at c.Until, it calls done once more with late set. The content of an event is not read,
// so events of other objects, and lost ones, do no harm. The socket subscribes before the first call, so
// that no event is missed.
//
// A socket whose receive buffer is full loses events and reports ENOBUFS once (netlink(7));
// Wait returns then as after an event, so that done is called. Events of all containers of
// the host arrive here, because a multicast group has no filter by interface.
func (c *conn) await(groups []uint, timeout time.Duration, done func(late bool) (bool, error)) error {
	events, err := openSocket(c.netns, groups...)
	if err != nil {
		return fmt.Errorf("listen for events: %w", err)
	}
	defer events.Close()
	deadline := time.Now().Add(timeout)
	if !c.Until.IsZero() && c.Until.Before(deadline) {
		deadline = c.Until
	}
	for {
		left := time.Until(deadline)
		ok, err := done(left <= 0)
		if ok || err != nil || left <= 0 {
			return err
		}
		if err := events.Wait(left); err != nil {
			return fmt.Errorf("listen for events: %w", err)
		}
	}
}
