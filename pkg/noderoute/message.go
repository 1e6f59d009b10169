package noderoute

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/nlsock"
)

// Offsets in struct rtmsg (linux/rtnetlink.h).
const (
	bitsAt     = 1
	tableAt    = 4
	protocolAt = 5
	kindAt     = 7
	flagsAt    = 8
)

// header is a struct rtmsg without the fields that are always 0.
type header struct {
	family, bits, table, protocol, scope, kind byte
	flags                                      uint32
}

func (h header) bytes() []byte {
	return binary.NativeEndian.AppendUint32([]byte{h.family, h.bits, 0, 0, h.table, h.protocol, h.scope, h.kind}, h.flags)
}

// parse reads an RTM_NEWROUTE; nil if it is not one of List, which a kernel without the filter would send.
func parse(body []byte) (all []Route) {
	if len(body) < unix.SizeofRtMsg || body[protocolAt] != Protocol || body[tableAt] != unix.RT_TABLE_MAIN || body[kindAt] != unix.RTN_UNICAST ||
		binary.NativeEndian.Uint32(body[flagsAt:])&unix.RTM_F_CLONED != 0 {
		return nil
	}
	var r Route
	dst := netip.IPv4Unspecified()
	if body[0] == unix.AF_INET6 {
		dst = netip.IPv6Unspecified()
	}
	var hops []byte
	for kind, value := range nlsock.Attributes(body[unix.SizeofRtMsg:]) {
		switch kind {
		case unix.RTA_DST:
			dst, _ = netip.AddrFromSlice(value)
		case unix.RTA_GATEWAY:
			r.Via, _ = netip.AddrFromSlice(value)
		case unix.RTA_OIF:
			r.Link = number(value)
		case unix.RTA_MULTIPATH:
			hops = value
		}
	}
	r.Dst = netip.PrefixFrom(dst, int(body[bitsAt]))
	if hops == nil {
		return []Route{r}
	}
	return eachHop(r.Dst, hops)
}

// eachHop returns a route for each next hop (struct rtnexthop: length, flags, hops, index of the interface; attributes).
func eachHop(dst netip.Prefix, data []byte) (all []Route) {
	for len(data) >= unix.SizeofRtNexthop {
		length := int(binary.NativeEndian.Uint16(data))
		if length < unix.SizeofRtNexthop || length > len(data) {
			break
		}
		r := Route{Dst: dst, Link: int(binary.NativeEndian.Uint32(data[4:]))}
		r.Via, _ = netip.AddrFromSlice(nlsock.Attribute(data[unix.SizeofRtNexthop:length], unix.RTA_GATEWAY))
		all = append(all, r)
		data = data[min(nlsock.Align(length), len(data)):]
	}
	return all
}

// number reads an attribute of four bytes.
func number(value []byte) int {
	if len(value) != 4 {
		return 0
	}
	return int(binary.NativeEndian.Uint32(value))
}
