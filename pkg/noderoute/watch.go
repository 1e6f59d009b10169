package noderoute

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/nlsock"
)

// Change is what a Watch reports.
type Change int

// Changes, which may be combined.
const (
	RouteLost   Change = 1 << iota // a route of List was deleted or replaced; also by this process
	LinkChanged                    // an interface was deleted, set up or down, or an address was added or removed
)

// Watch is a subscription to changes in one network namespace. It is for one goroutine.
type Watch struct {
	socket *nlsock.Socket
}

// receiveBuffer, in bytes, holds the notifications of a few thousand routes.
const receiveBuffer = 4 << 20

// OpenWatch subscribes, in the network namespace of the calling thread. Close it when done.
func OpenWatch() (*Watch, error) {
	s, err := nlsock.OpenIn(unix.Socket, unix.NETLINK_ROUTE,
		unix.RTNLGRP_LINK, unix.RTNLGRP_IPV4_IFADDR, unix.RTNLGRP_IPV6_IFADDR, unix.RTNLGRP_IPV4_ROUTE, unix.RTNLGRP_IPV6_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("watch routes: %w", err)
	}
	s.SetReceiveBuffer(receiveBuffer)
	return &Watch{s}, nil
}

// Close ends the subscription.
func (w *Watch) Close() { w.socket.Close() }

// Next waits for a change. It returns all changes if notifications were lost.
func (w *Watch) Next() (Change, error) {
	for {
		all, lost, err := w.socket.Notifications()
		if err != nil {
			return 0, fmt.Errorf("watch routes: %w", err)
		}
		if lost {
			return RouteLost | LinkChanged, nil
		}
		var changed Change
		for m := range all {
			changed |= changeOf(m)
		}
		if changed != 0 {
			return changed, nil
		}
	}
}

// changeOf reads a notification. IPv4 routes that end with an interface that goes down are not notified: the interface is.
func changeOf(m nlsock.Message) Change {
	switch m.Type {
	case unix.RTM_DELROUTE:
		if len(m.Data) >= unix.SizeofRtMsg && m.Data[protocolAt] == Protocol {
			return RouteLost
		}
	case unix.RTM_NEWROUTE:
		if m.Flags&unix.NLM_F_REPLACE != 0 && len(m.Data) >= unix.SizeofRtMsg && m.Data[protocolAt] != Protocol {
			return RouteLost
		}
	case unix.RTM_NEWADDR, unix.RTM_DELADDR, unix.RTM_DELLINK:
		return LinkChanged
	case unix.RTM_NEWLINK:
		const changeAt = 12 // struct ifinfomsg: the flags that have changed
		if len(m.Data) >= unix.SizeofIfInfomsg && binary.NativeEndian.Uint32(m.Data[changeAt:])&unix.IFF_UP != 0 {
			return LinkChanged
		}
	}
	return 0
}

// LinkOf returns the index of the interface that has an address, 0 if none has.
func (t *Table) LinkOf(addr netip.Addr) (int, error) {
	index := 0
	request := nlsock.Message{
		Type: unix.RTM_GETADDR, Flags: unix.NLM_F_REQUEST | unix.NLM_F_DUMP,
		Data: append([]byte{familyOf(addr)}, make([]byte, unix.SizeofIfAddrmsg-1)...),
	}
	for m, err := range t.socket.Execute(request) {
		if err != nil && !errors.Is(err, nlsock.ErrInterrupted) {
			return 0, fmt.Errorf("list addresses: %w", err)
		}
		if len(m.Data) >= unix.SizeofIfAddrmsg && addressOf(m.Data) == addr {
			index = int(binary.NativeEndian.Uint32(m.Data[4:]))
		}
	}
	return index, nil
}

// addressOf reads an RTM_NEWADDR. IPv4 has the address in IFA_LOCAL and that of the peer in IFA_ADDRESS, IPv6 the address in IFA_ADDRESS.
func addressOf(body []byte) netip.Addr {
	attributes := body[unix.SizeofIfAddrmsg:]
	value := nlsock.Attribute(attributes, unix.IFA_LOCAL)
	if value == nil {
		value = nlsock.Attribute(attributes, unix.IFA_ADDRESS)
	}
	addr, _ := netip.AddrFromSlice(value)
	return addr
}
