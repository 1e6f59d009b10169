package attacks

import (
	"encoding/binary"
	"net"
	"net/netip"
)

// MAC is a hardware address; it panics on a text that is none.
func MAC(text string) net.HardwareAddr {
	mac, err := net.ParseMAC(text)
	if err != nil {
		panic(err)
	}
	return mac
}

// Hardware addresses that are not a machine's.
var (
	Broadcast = MAC("ff:ff:ff:ff:ff:ff")
	AllNodes  = MAC("33:33:00:00:00:01")
	bridges   = MAC("01:80:c2:00:00:00") // the group address of spanning tree
)

// Types of frames.
const (
	TypeIPv4 = 0x0800
	TypeARP  = 0x0806
	TypeIPv6 = 0x86dd

	typeVLAN = 0x8100
	typeQinQ = 0x88a8
	typeTest = 0x88b5 // for local experiments
)

// Ether is an Ethernet frame.
func Ether(dst, src net.HardwareAddr, kind uint16, body []byte) []byte {
	frame := append(append([]byte{}, dst...), src...)
	return append(binary.BigEndian.AppendUint16(frame, kind), body...)
}

// Tag puts a VLAN tag into a frame.
func Tag(frame []byte, kind, vlan uint16) []byte {
	tagged := binary.BigEndian.AppendUint16(append([]byte{}, frame[:12]...), kind)
	return append(binary.BigEndian.AppendUint16(tagged, vlan), frame[12:]...)
}

// Operations of ARP.
const (
	ARPRequest = 1
	ARPReply   = 2
)

// ARP is an ARP packet; target has no MAC.
func ARP(op uint16, mac net.HardwareAddr, sender, target netip.Addr) []byte {
	p := binary.BigEndian.AppendUint16([]byte{0, 1, 8, 0, 6, 4}, op)
	p = append(append(p, mac...), sender.AsSlice()...)
	return append(append(p, 0, 0, 0, 0, 0, 0), target.AsSlice()...)
}

// UDP is a whole IP packet with a datagram.
func UDP(src, dst netip.AddrPort, payload string) []byte {
	d := binary.BigEndian.AppendUint16(nil, src.Port())
	d = binary.BigEndian.AppendUint16(d, dst.Port())
	d = binary.BigEndian.AppendUint16(d, uint16(8+len(payload)))
	d = append(append(d, 0, 0), payload...)
	binary.BigEndian.PutUint16(d[6:], Checksum(src.Addr(), dst.Addr(), 17, d))
	if src.Addr().Is4() {
		return ipv4(src.Addr(), dst.Addr(), 17, d)
	}
	return IPv6(src.Addr(), dst.Addr(), 17, d)
}

func ipv4(src, dst netip.Addr, proto byte, body []byte) []byte {
	h := []byte{0x45, 0, 0, 0, 0, 1, 0, 0, 64, proto, 0, 0}
	binary.BigEndian.PutUint16(h[2:], uint16(20+len(body)))
	h = append(append(h, src.AsSlice()...), dst.AsSlice()...)
	binary.BigEndian.PutUint16(h[10:], ^fold(sum(0, h)))
	return append(h, body...)
}

// IPv6 is a packet with the hop limit that neighbour discovery demands.
func IPv6(src, dst netip.Addr, next byte, body []byte) []byte {
	h := binary.BigEndian.AppendUint16([]byte{0x60, 0, 0, 0}, uint16(len(body)))
	h = append(append(h, next, 255), src.AsSlice()...)
	return append(append(h, dst.AsSlice()...), body...)
}

// HopByHop puts a hop-by-hop header before an ICMPv6 message: one option of an experiment (RFC 4727), which is skipped, and which
// ends with some text of a length that eight divides.
func HopByHop(message, text []byte) []byte {
	const experiment = 0x1e
	h := append([]byte{58, byte(len(text) / 8), experiment, byte(4 + len(text)), 0, 0, 0, 0}, text...)
	return append(h, message...)
}

// Kinds of ICMPv6 messages.
const (
	mldQuery        = 130
	RouterAdvert    = 134
	NeighbourAsk    = 135
	NeighbourAdvert = 136
	redirect        = 137
)

// ICMPv6 is a message with its checksum.
func ICMPv6(src, dst netip.Addr, kind byte, body []byte) []byte {
	m := append([]byte{kind, 0, 0, 0}, body...)
	binary.BigEndian.PutUint16(m[2:], Checksum(src, dst, 58, m))
	return m
}

// Advert is the body of a neighbour advertisement with the override flag.
func Advert(target netip.Addr, mac net.HardwareAddr) []byte {
	body := append([]byte{0x20, 0, 0, 0}, target.AsSlice()...)
	return append(append(body, 2, 1), mac...)
}

// Ask is the body of a neighbour solicitation; without a MAC it is one of duplicate address detection.
func Ask(target netip.Addr, mac net.HardwareAddr) []byte {
	body := append([]byte{0, 0, 0, 0}, target.AsSlice()...)
	if mac == nil {
		return body
	}
	return append(append(body, 1, 1), mac...)
}

// Router is the body of a router advertisement: a default route and a prefix of 64 bits for addresses.
func Router(mac net.HardwareAddr, prefix netip.Addr) []byte {
	body := []byte{64, 0, 0x07, 0x08, 0, 0, 0, 0, 0, 0, 0, 0}
	body = append(append(body, 1, 1), mac...)
	body = append(body, 3, 4, 64, 0xc0, 0, 0, 0x0e, 0x10, 0, 0, 0x0e, 0x10, 0, 0, 0, 0)
	return append(body, prefix.AsSlice()...)
}

// BPDU is a frame of spanning tree from a bridge that wants to be the root.
func BPDU(src net.HardwareAddr) []byte {
	id := append([]byte{0, 0}, src...) // priority 0
	b := append([]byte{0x42, 0x42, 0x03, 0, 0, 0, 0, 0}, id...)
	b = append(append(b, 0, 0, 0, 0), id...)
	b = append(b, 0x80, 0x01, 0, 0, 20, 0, 2, 0, 15, 0)
	return Ether(bridges, src, uint16(len(b)), append(b, make([]byte, 60-14-len(b))...))
}

// Checksum is that of a message behind a pseudo header.
func Checksum(src, dst netip.Addr, proto byte, message []byte) uint16 {
	s := sum(sum(0, src.AsSlice()), dst.AsSlice()) + uint32(proto) + uint32(len(message))
	return ^fold(sum(s, message))
}

func sum(s uint32, b []byte) uint32 {
	for len(b) > 1 {
		s, b = s+uint32(binary.BigEndian.Uint16(b)), b[2:]
	}
	if len(b) == 1 {
		s += uint32(b[0]) << 8
	}
	return s
}

func fold(s uint32) uint16 {
	for s > 0xffff {
		s = s>>16 + s&0xffff
	}
	return uint16(s)
}

// LinkLocal is the address that Linux gives an interface with a MAC.
func LinkLocal(mac net.HardwareAddr) netip.Addr {
	addr := netip.MustParseAddr("fe80::ff:fe00:0").As16()
	copy(addr[8:], mac[:3])
	copy(addr[13:], mac[3:])
	addr[8] ^= 2
	return netip.AddrFrom16(addr)
}
