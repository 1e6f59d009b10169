package link

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/containernetworking/plugins/pkg/ns"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// dadTimeout is that of the reference: detection takes one to two seconds.
const dadTimeout = 5 * time.Second

// waitForDAD waits until no address is tentative any more. ErrDADFailed if one was found to
// be somebody else's. At the deadline it is an error too: an address that stays tentative
// cannot be used.
func (s *Sandbox) waitForDAD(l netlink.Link, addresses []netip.Prefix) error {
	var events *nl.NetlinkSocket
	err := s.netns.Do(func(ns.NetNS) (err error) {
		events, err = nl.Subscribe(unix.NETLINK_ROUTE, unix.RTNLGRP_IPV6_IFADDR)
		return err
	})
	if err != nil {
		return fmt.Errorf("listen for address events: %w", err)
	}
	defer events.Close()
	for deadline := time.Now().Add(dadTimeout); ; {
		waiting, err := s.tentative(l, addresses)
		if err != nil || !waiting.IsValid() {
			return err
		}
		left := time.Until(deadline)
		if left <= 0 {
			return fmt.Errorf("address %s on %s is still being checked for duplicates after %s", waiting, l.Attrs().Name, dadTimeout)
		}
		timeout := unix.NsecToTimeval(max(left, time.Millisecond).Nanoseconds())
		if err := events.SetReceiveTimeout(&timeout); err != nil {
			return fmt.Errorf("listen for address events: %w", err)
		}
		_, _, _ = events.Receive() // whatever it was: the addresses are looked at again
	}
}

// tentative is one of the addresses that is still being checked; the zero Addr if none is.
func (s *Sandbox) tentative(l netlink.Link, addresses []netip.Prefix) (netip.Addr, error) {
	has, err := s.handle.AddrList(l, netlink.FAMILY_V6)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("list addresses of %s: %w", l.Attrs().Name, err)
	}
	for _, a := range has {
		addr, _ := netip.AddrFromSlice(a.IP.To16())
		if !holds(addresses, addr) {
			continue
		}
		if a.Flags&unix.IFA_F_DADFAILED != 0 {
			return netip.Addr{}, fmt.Errorf("address %s %w", addr, ErrDADFailed)
		}
		if a.Flags&unix.IFA_F_TENTATIVE != 0 {
			return addr, nil
		}
	}
	return netip.Addr{}, nil
}

func holds(prefixes []netip.Prefix, addr netip.Addr) bool {
	for _, prefix := range prefixes {
		if prefix.Addr() == addr {
			return true
		}
	}
	return false
}
