package link

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// The kernel finishes an IPv6 address in a work queue, also one that needs no duplicate
// address detection: only then it joins the solicited-node group and inserts the local route,
// without which a packet for the address is dropped. On a busy machine that is a second after
// the call that added it has returned.

// usableTimeout is longer than the reference's 5 s: detection, where it is wanted, takes one to two
// seconds, but the work queue of a machine with a load of 30 was seen to take more than five.
const usableTimeout = 20 * time.Second

// waitCarrier waits until the kernel has noticed that a link which was set up has carrier: only
// then IPv6 begins to use it, and a multicast packet has a route. That too comes from a work
// queue.
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

// waitUsable waits until every IPv6 address is the interface's in all respects. ErrDADFailed
// if one was found to be somebody else's. At the deadline it is an error too.
func (c *conn) waitUsable(l *Link, addresses []netip.Prefix) error {
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
			err = fmt.Errorf("address %s on %s %w after %s", waiting, l.Name, ErrUnfinished, usableTimeout)
		}
		return !waiting.IsValid(), err
	})
}

// unusable is one of the addresses that is not finished; the zero Addr if there is none. The
// local route is asked for by key.
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

// duplicate is ErrDADFailed if the kernel has found another host with the address.
func (c *conn) duplicate(l *Link, addr netip.Addr) error {
	has, err := c.addresses(l.Index, unix.AF_INET6)
	if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) {
		return fmt.Errorf("list addresses of %s: %w", l.Name, err)
	}
	for _, a := range has {
		if a.prefix.Addr() == addr && a.duplicate {
			return fmt.Errorf("address %s %w", addr, ErrDADFailed)
		}
	}
	return nil
}

// await asks done, again after every event of some groups, until it says so, fails, or the time is
// over: then it is asked once more and told that it is late. Whose event it was does not
// matter, and neither does one that was lost.
func (c *conn) await(groups []uint, timeout time.Duration, done func(late bool) (bool, error)) error {
	events, err := openSocket(c.way, groups...)
	if err != nil {
		return fmt.Errorf("listen for events: %w", err)
	}
	defer events.close()
	for deadline := time.Now().Add(timeout); ; {
		left := time.Until(deadline)
		ok, err := done(left <= 0)
		if ok || err != nil || left <= 0 {
			return err
		}
		if err := events.waitAtMost(max(left, time.Millisecond)); err != nil {
			return fmt.Errorf("listen for events: %w", err)
		}
		if _, err := events.receive(); err != nil && !mayPass(err) {
			return fmt.Errorf("listen for events: %w", err)
		}
	}
}

// mayPass reports whether an error of listening only means that nothing came, or that events were
// lost: then one looks again.
func mayPass(err error) bool {
	return errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.ENOBUFS) || errors.Is(err, unix.EMSGSIZE)
}
