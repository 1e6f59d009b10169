package nettest

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Kind is the kind of a frame.
type Kind string

// Kinds of frames.
const (
	EchoRequest Kind = "echo request" // ICMP and ICMPv6
	EchoReply   Kind = "echo reply"
	Redirect    Kind = "redirect"
	ARPRequest  Kind = "ARP request"
	ARPReply    Kind = "ARP reply"
	Solicit     Kind = "neighbour solicitation"
	Advert      Kind = "neighbour advertisement"
	MLDQuery    Kind = "MLD query"
	MLDReport   Kind = "MLD report" // version 1 and 2
	Other       Kind = "other"
)

// Frame is one captured frame. Src and Dst are IP addresses, for ARP the
// sender's and the target's; not valid where there are none.
type Frame struct {
	Time     time.Time
	Outgoing bool // sent through the interface, as opposed to received on it
	SrcMAC   string
	DstMAC   string
	Kind     Kind
	Src, Dst netip.Addr
	Target   netip.Addr // of a neighbour solicitation or advertisement
	Len      int        // bytes, with the Ethernet header
}

// String returns a text for failure messages.
func (f Frame) String() string {
	way := "in"
	if f.Outgoing {
		way = "out"
	}
	return fmt.Sprintf("%s %s > %s %s %s > %s", way, f.SrcMAC, f.DstMAC, f.Kind, f.Src, f.Dst)
}

// Frames are captured frames, in the order of their capture.
type Frames []Frame

// Of returns the frames of one kind.
func (fs Frames) Of(k Kind) Frames {
	return fs.Where(func(f Frame) bool { return f.Kind == k })
}

// From returns the frames with a source address.
func (fs Frames) From(a netip.Addr) Frames {
	return fs.Where(func(f Frame) bool { return f.Src == a })
}

// Where returns the frames that satisfy match.
func (fs Frames) Where(match func(Frame) bool) Frames {
	var out Frames
	for _, f := range fs {
		if match(f) {
			out = append(out, f)
		}
	}
	return out
}

// String returns one line for each frame, for failure messages.
func (fs Frames) String() string {
	lines := make([]string, len(fs))
	for i, f := range fs {
		lines[i] = f.String()
	}
	return strings.Join(lines, "\n")
}

// decode decodes an Ethernet frame as far as this package knows its protocols.
func decode(b []byte) Frame {
	f := Frame{Kind: Other, Len: len(b)}
	if len(b) < 14 {
		return f
	}
	f.DstMAC, f.SrcMAC = net.HardwareAddr(b[:6]).String(), net.HardwareAddr(b[6:12]).String()
	switch body := b[14:]; binary.BigEndian.Uint16(b[12:]) {
	case unix.ETH_P_ARP:
		f.arp(body)
	case unix.ETH_P_IP:
		f.ipv4(body)
	case unix.ETH_P_IPV6:
		f.ipv6(body)
	}
	return f
}

// arp reads an ARP packet for IPv4 over Ethernet (RFC 826).
func (f *Frame) arp(b []byte) {
	if len(b) < 28 {
		return
	}
	f.Src, f.Dst = addr4(b[14:]), addr4(b[24:])
	switch binary.BigEndian.Uint16(b[6:]) {
	case 1:
		f.Kind = ARPRequest
	case 2:
		f.Kind = ARPReply
	}
}

// ipv4 reads an IPv4 header and, in a first fragment, what ICMP follows.
func (f *Frame) ipv4(b []byte) {
	if len(b) < 20 {
		return
	}
	f.Src, f.Dst = addr4(b[12:]), addr4(b[16:])
	msg := stripIPv4(b)
	if b[9] != unix.IPPROTO_ICMP || len(msg) < 1 || binary.BigEndian.Uint16(b[6:])&0x1fff != 0 {
		return
	}
	switch msg[0] {
	case icmpEchoRequest:
		f.Kind = EchoRequest
	case icmpEchoReply:
		f.Kind = EchoReply
	case icmpRedirect:
		f.Kind = Redirect
	}
}

// ipv6 decodes an IPv6 header and an ICMPv6 message after it, also after the
// hop-by-hop options of MLD.
func (f *Frame) ipv6(b []byte) {
	if len(b) < 40 {
		return
	}
	f.Src, f.Dst = netip.AddrFrom16([16]byte(b[8:24])), netip.AddrFrom16([16]byte(b[24:40]))
	next, msg := b[6], b[40:]
	if next == unix.IPPROTO_HOPOPTS && len(msg) >= 8 && len(msg) >= int(msg[1]+1)*8 {
		next, msg = msg[0], msg[int(msg[1]+1)*8:]
	}
	if next != unix.IPPROTO_ICMPV6 || len(msg) < 1 {
		return
	}
	f.Kind = kindOfICMP6(msg[0])
	if (f.Kind == Solicit || f.Kind == Advert) && len(msg) >= 24 {
		f.Target = netip.AddrFrom16([16]byte(msg[8:24]))
	}
}

func kindOfICMP6(kind byte) Kind {
	switch kind {
	case icmp6EchoRequest:
		return EchoRequest
	case icmp6EchoReply:
		return EchoReply
	case icmp6Redirect:
		return Redirect
	case icmp6Solicit:
		return Solicit
	case icmp6Advert:
		return Advert
	case icmp6MLDQuery:
		return MLDQuery
	case icmp6MLDReport, icmp6MLDv2Report:
		return MLDReport
	}
	return Other
}

func addr4(b []byte) netip.Addr { return netip.AddrFrom4([4]byte(b[:4])) }
