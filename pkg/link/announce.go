package link

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Announce tells the neighbours, from inside the container, where its addresses now are, so
// that nobody goes on sending to the one who had an address before. The port must forward
// (WaitPort), the interface must be up and its addresses usable.
//
// For IPv4 the kernel sends a gratuitous ARP request for every address of an interface that
// has arp_notify and is given its MAC, which it has already (RFC 5227 section 3). arp_notify
// is not set before: the kernel would send one when the link comes up too, and on a bridge
// with 300 ports each of them reaches 300 containers before the call returns. For IPv6 it
// is an unsolicited neighbour advertisement (RFC 4861 section 7.2.6), and before it a
// multicast listener report (RFC 3810): the kernel's own leaves from a work queue, and on a
// bridge that snoops, with a querier about, a solicitation that overtakes it is lost.
//
// No packet socket is used: closing one waits for an RCU grace period, which is longer than
// all the rest of an ADD.
func (s *Sandbox) Announce(l *Link, addresses []netip.Prefix) error {
	if err := s.announce4(l, addresses); err != nil {
		return fmt.Errorf("announce IPv4 addresses of %s: %w", l.Name, err)
	}
	packets := announcements(l.MAC, addresses)
	if len(packets) == 0 {
		return nil
	}
	if err := s.sendAll(l, packets); err != nil {
		return fmt.Errorf("announce IPv6 addresses of %s: %w", l.Name, err)
	}
	return nil
}

func (s *Sandbox) announce4(l *Link, addresses []netip.Prefix) error {
	if !has4(addresses) {
		return nil
	}
	return s.change(linkHeader{index: l.Index}, nl.NewRtAttr(unix.IFLA_ADDRESS, l.MAC))
}

// arpNotify is the sysctl arp_notify of a link with these addresses, as attributes of a message
// about it. It is for later too: who has IPv6 addresses only may be given others by hand.
func arpNotify(addresses []netip.Prefix) []*nl.RtAttr {
	if len(addresses) == 0 {
		return nil
	}
	const inetConf, arpNotify = 1, 22 // IFLA_INET_CONF, linux/if_link.h; IPV4_DEVCONF_ARP_NOTIFY, linux/ip.h
	spec := nl.NewRtAttr(unix.IFLA_AF_SPEC, nil)
	spec.AddRtAttr(unix.AF_INET, nil).AddRtAttr(inetConf, nil).AddRtAttr(arpNotify, nl.Uint32Attr(1))
	return []*nl.RtAttr{spec}
}

func has6(addresses []netip.Prefix) bool {
	return slices.ContainsFunc(addresses, func(p netip.Prefix) bool { return is6(p.Addr()) })
}

func has4(addresses []netip.Prefix) bool {
	return slices.ContainsFunc(addresses, func(p netip.Prefix) bool { return p.Addr().Is4() })
}

// sendAll sends whole IPv6 packets to link-local groups.
func (s *Sandbox) sendAll(l *Link, packets [][]byte) error {
	fd, err := s.socketThere(unix.AF_INET6, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
	if err != nil {
		return fmt.Errorf("open raw socket: %w", err)
	}
	defer unix.Close(fd)
	for _, packet := range packets {
		to := &unix.SockaddrInet6{ZoneId: uint32(l.Index), Addr: [16]byte(packet[24:40])}
		if err := unix.Sendto(fd, packet, 0, to); err != nil {
			return fmt.Errorf("send packet: %w", err)
		}
	}
	return nil
}

// announcements are whole IPv6 packets, none for IPv4 addresses.
func announcements(mac net.HardwareAddr, addresses []netip.Prefix) [][]byte {
	var groups []netip.Addr
	var packets [][]byte
	for _, prefix := range addresses {
		if is6(prefix.Addr()) {
			groups = append(groups, solicitedNode(prefix.Addr()))
			packets = append(packets, advertisement(mac, prefix.Addr()))
		}
	}
	if len(groups) == 0 {
		return nil
	}
	return append([][]byte{listenerReport(groups)}, packets...)
}

// advertisement goes to all nodes: override flag set, the link-layer address as option 2.
func advertisement(mac net.HardwareAddr, addr netip.Addr) []byte {
	body := append([]byte{136, 0, 0, 0, 0x20, 0, 0, 0}, addr.AsSlice()...)
	body = append(append(body, 2, 1), mac...)
	return icmp6(packet6{src: addr, dst: netip.MustParseAddr("ff02::1"), hops: 255, body: body})
}

// listenerReport joins groups, in version 2 of the protocol. The address the kernel would
// send it from may not be there yet; :: is allowed for that (RFC 3590).
func listenerReport(groups []netip.Addr) []byte {
	const changeToExclude = 4 // from nobody: everything is wanted
	body := []byte{143, 0, 0, 0, 0, 0, 0, byte(len(groups))}
	for _, group := range groups {
		body = append(append(body, changeToExclude, 0, 0, 0), group.AsSlice()...)
	}
	return icmp6(packet6{
		src: netip.IPv6Unspecified(), dst: netip.MustParseAddr("ff02::16"), hops: 1, body: body,
		options: []byte{58, 0, 5, 2, 0, 0, 1, 0}, // hop-by-hop: router alert (RFC 2711), padding
	})
}

// packet6 is an ICMPv6 message whose checksum is still zero, and what goes before it.
type packet6 struct {
	src, dst netip.Addr
	hops     byte
	options  []byte // a hop-by-hop header, or nothing
	body     []byte
}

func icmp6(p packet6) []byte {
	next := byte(unix.IPPROTO_ICMPV6)
	if len(p.options) > 0 {
		next = unix.IPPROTO_HOPOPTS
	}
	packet := binary.BigEndian.AppendUint16([]byte{0x60, 0, 0, 0}, uint16(len(p.options)+len(p.body)))
	packet = append(packet, next, p.hops)
	packet = append(append(packet, p.src.AsSlice()...), p.dst.AsSlice()...)
	binary.BigEndian.PutUint16(p.body[2:], checksum6(p))
	return append(append(packet, p.options...), p.body...)
}

// checksum6 covers the pseudo header of RFC 8200 section 8.1 and the message.
func checksum6(p packet6) uint16 {
	covered := append(p.src.AsSlice(), p.dst.AsSlice()...)
	covered = binary.BigEndian.AppendUint32(covered, uint32(len(p.body)))
	covered = append(append(covered, 0, 0, 0, unix.IPPROTO_ICMPV6), p.body...)
	sum := uint32(0)
	for i := 0; i < len(covered); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(covered[i:])) // every part has even length
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// solicitedNode is the group that neighbour solicitations for an address go to (RFC 4291).
func solicitedNode(addr netip.Addr) netip.Addr {
	group := netip.MustParseAddr("ff02::1:ff00:0").As16()
	of := addr.As16()
	copy(group[13:], of[13:])
	return netip.AddrFrom16(group)
}
