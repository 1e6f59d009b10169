package link

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/nlsock"
)

// Gateways returns the next hops of one family that routes of the host use through an interface, given
// by its index: of every table, each hop of a multipath route, and the IPv6 next hops of IPv4 routes
// (RTA_VIA, Linux 5.2). The kernel filters by interface (RTA_OIF in a dump request, Linux 4.20 with strict
// checking); routes of other interfaces that an older kernel sends are ignored.
//
// A multipath route passes the filter if one of its hops uses the interface
// (fib_info_nh_uses_dev). A route that uses a nexthop object (ip nexthop, Linux 5.3) is
// sent with the hops of the object too, as long as the sysctl nexthop_compat_mode has its
// default, 1.
func (h *Host) Gateways(index int, is4 bool) ([]netip.Addr, error) {
	family := unix.AF_INET6
	if is4 {
		family = unix.AF_INET
	}
	var found []netip.Addr
	var err error
	for range maxDumps {
		found = nil
		err = h.socket.execute(gatewayRequest(index, family), func(body []byte) {
			found = append(found, parseGateways(body, index)...)
		})
		if !errors.Is(err, netlink.ErrDumpInterrupted) {
			break
		}
	}
	if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) {
		return nil, fmt.Errorf("list routes through interface %d: %w", index, err)
	}
	return found, nil
}

func gatewayRequest(index, family int) *nl.NetlinkRequest {
	req := nl.NewNetlinkRequest(unix.RTM_GETROUTE, unix.NLM_F_DUMP)
	req.AddData(&nl.RtMsg{RtMsg: unix.RtMsg{Family: uint8(family), Type: unix.RTN_UNICAST}})
	req.AddData(nl.NewRtAttr(unix.RTA_OIF, nl.Uint32Attr(uint32(index))))
	return req
}

// parseGateways returns the next hops of an RTM_NEWROUTE that are reached through an interface.
func parseGateways(body []byte, index int) (found []netip.Addr) {
	if len(body) < unix.SizeofRtMsg {
		return nil
	}
	var out int
	var gateway netip.Addr
	for kind, value := range nlsock.Attributes(body[unix.SizeofRtMsg:]) {
		switch kind {
		case unix.RTA_OIF:
			out = number(value)
		case unix.RTA_GATEWAY, unix.RTA_VIA:
			gateway = parseGateway(kind, value)
		case unix.RTA_MULTIPATH:
			found = append(found, parseHops(value, index)...)
		}
	}
	if gateway.IsValid() && out == index {
		found = append(found, gateway)
	}
	return found
}

// parseHops returns the next hops of a multipath route through an interface. RTA_MULTIPATH is an array of
// struct rtnexthop (linux/rtnetlink.h), each followed by attributes and padded to four bytes.
func parseHops(data []byte, index int) (found []netip.Addr) {
	for len(data) >= unix.SizeofRtNexthop {
		length := int(binary.NativeEndian.Uint16(data))
		if length < unix.SizeofRtNexthop || length > len(data) {
			return found
		}
		out := int(binary.NativeEndian.Uint32(data[4:]))
		for kind, value := range nlsock.Attributes(data[unix.SizeofRtNexthop:length]) {
			gateway := parseGateway(kind, value)
			if gateway.IsValid() && out == index {
				found = append(found, gateway)
			}
		}
		data = data[min(nlsock.Align(length), len(data)):]
	}
	return found
}

// parseGateway reads a next hop: RTA_GATEWAY, an address of the route's own family, or RTA_VIA, an
// address after two bytes with its family. It returns the zero Addr for every other attribute.
func parseGateway(kind int, value []byte) netip.Addr {
	switch {
	case kind == unix.RTA_VIA && len(value) > 2:
		value = value[2:]
	case kind != unix.RTA_GATEWAY:
		return netip.Addr{}
	}
	addr, _ := netip.AddrFromSlice(value)
	return addr.Unmap()
}
