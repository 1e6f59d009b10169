package nettest

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"

	"golang.org/x/sys/unix"
)

// ICMP and ICMPv6 message types (RFC 792, 4443, 4861, 2710, 3810).
const (
	icmpEchoReply    = 0
	icmpRedirect     = 5
	icmpEchoRequest  = 8
	icmp6EchoRequest = 128
	icmp6EchoReply   = 129
	icmp6MLDQuery    = 130
	icmp6MLDReport   = 131
	icmp6Solicit     = 135
	icmp6Advert      = 136
	icmp6Redirect    = 137
	icmp6MLDv2Report = 143
)

// icmpFamily is what differs between ICMP and ICMPv6.
type icmpFamily struct {
	domain, proto            int
	request, reply, redirect byte
	strip                    func([]byte) []byte // packet of a raw socket -> ICMP message
}

func familyOf(a netip.Addr) icmpFamily {
	if a.Is4() {
		return icmpFamily{
			domain: unix.AF_INET, proto: unix.IPPROTO_ICMP,
			request: icmpEchoRequest, reply: icmpEchoReply, redirect: icmpRedirect,
			strip: stripIPv4,
		}
	}
	return icmpFamily{
		domain: unix.AF_INET6, proto: unix.IPPROTO_ICMPV6,
		request: icmp6EchoRequest, reply: icmp6EchoReply, redirect: icmp6Redirect,
		strip: func(b []byte) []byte { return b },
	}
}

// stripIPv4 takes off the header that IPv4 raw sockets deliver and IPv6 ones do not.
func stripIPv4(b []byte) []byte {
	if len(b) < 20 || len(b) < int(b[0]&0xf)*4 {
		return nil
	}
	return b[int(b[0]&0xf)*4:]
}

// icmpMessage returns a message with its checksum. The kernel computes
// ICMPv6's, which covers addresses, and overwrites this one.
func icmpMessage(kind byte, body []byte) []byte {
	m := append([]byte{kind, 0, 0, 0}, body...)
	binary.BigEndian.PutUint16(m[2:], checksum(m))
	return m
}

// checksum is the internet checksum (RFC 1071).
func checksum(b []byte) uint16 {
	var sum uint32
	for ; len(b) >= 2; b = b[2:] {
		sum += uint32(b[0])<<8 | uint32(b[1])
	}
	if len(b) == 1 {
		sum += uint32(b[0]) << 8
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// sockaddr converts an address; a zone is looked up in the calling thread's
// namespace.
func sockaddr(a netip.Addr) (unix.Sockaddr, error) {
	if a.Is4() {
		return &unix.SockaddrInet4{Addr: a.As4()}, nil
	}
	sa := &unix.SockaddrInet6{Addr: a.As16()}
	if a.Zone() == "" {
		return sa, nil
	}
	link, err := net.InterfaceByName(a.Zone())
	if err != nil {
		return nil, fmt.Errorf("zone of %s: %w", a, err)
	}
	sa.ZoneId = uint32(link.Index)
	return sa, nil
}

// addrOf converts back, without the zone.
func addrOf(sa unix.Sockaddr) netip.Addr {
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrFrom4(sa.Addr)
	case *unix.SockaddrInet6:
		return netip.AddrFrom16(sa.Addr)
	}
	return netip.Addr{}
}

// prefixOf converts netlink's form of an address with its length.
func prefixOf(n *net.IPNet) netip.Prefix {
	if n == nil {
		return netip.Prefix{}
	}
	a, _ := netip.AddrFromSlice(n.IP)
	ones, _ := n.Mask.Size()
	return netip.PrefixFrom(a.Unmap(), ones)
}

// ipNet converts to netlink's form.
func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}
