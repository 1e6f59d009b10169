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

// Announce informs the neighbours of the container's addresses, so that none keeps sending to the MAC
// of a container that had an address before. The port must forward (WaitPort), the interface must be up
// and its addresses usable.
//
// For IPv4 the kernel sends a gratuitous ARP request for every address of an interface that has
// arp_notify and whose MAC is set, even to the same value (RFC 5227 section 3). arp_notify is not set
// earlier: the kernel would also send one when the link comes up, and on a bridge with 300 ports each
// one reaches 300 containers before the call returns.
//
// For IPv6 it is an unsolicited neighbour advertisement (RFC 4861 section 7.2.6), preceded by a
// multicast listener report (RFC 3810). The kernel sends its own report from a work queue; on a bridge
// with multicast snooping and a querier, a solicitation that arrives before the report is dropped.
//
// No packet socket is used: closing one waits for an RCU grace period, longer than the rest of an ADD.
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

// announce4 sets the MAC of the link to the one it has, which makes the kernel announce the addresses.
//
// The kernel does not compare the two: dev_set_mac_address raises NETDEV_CHANGEADDR in any
// case, and inetdev_event (net/ipv4/devinet.c) answers that with
// inetdev_send_gratuitous_arp if arp_notify is set. The alternative, an ARP frame of our
// own, would need a packet socket.
func (s *Sandbox) announce4(l *Link, addresses []netip.Prefix) error {
	if !has4(addresses) {
		return nil
	}
	return s.change(linkHeader{index: l.Index}, nl.NewRtAttr(unix.IFLA_ADDRESS, l.MAC))
}

// arpNotify returns the attribute that sets the sysctl arp_notify of a link with addresses. It is set for
// a link with IPv6 addresses only, too, in case an administrator adds IPv4 addresses later.
//
// The attribute goes into the message that sets the link up. do_setlink
// (net/core/rtnetlink.c) applies IFF_UP before IFLA_AF_SPEC, whatever their order in the
// message, so the link comes up without the announcement that Announce makes later.
func arpNotify(addresses []netip.Prefix) []*nl.RtAttr {
	if len(addresses) == 0 {
		return nil
	}
	return []*nl.RtAttr{inetConf(devconfARPNotify)}
}

func has6(addresses []netip.Prefix) bool {
	return slices.ContainsFunc(addresses, func(p netip.Prefix) bool { return is6(p.Addr()) })
}

func has4(addresses []netip.Prefix) bool {
	return slices.ContainsFunc(addresses, func(p netip.Prefix) bool { return p.Addr().Is4() })
}

// sendAll sends complete IPv6 packets to their link-local multicast groups.
//
// IPPROTO_RAW implies IPV6_HDRINCL for an IPv6 socket (inet6_create): the kernel takes the
// header as it is, and computes no checksum. Such a socket receives nothing. ZoneId selects
// the interface, because every interface has a route to the link-local groups.
func (s *Sandbox) sendAll(l *Link, packets [][]byte) error {
	fd, err := s.openSocket(unix.AF_INET6, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
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

// announcements returns complete IPv6 packets, none for IPv4 addresses.
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

// advertisement returns a neighbour advertisement to all nodes, with the override flag and the target
// link-layer address (option 2).
//
// RFC 4861 section 7.1.2: hop limit 255, or receivers discard it; the solicited flag is 0
// in a message to a group. The override flag makes a neighbour replace the MAC that it has
// for the address (section 7.2.5), which is the purpose of the message: the MAC of a
// container that was deleted.
func advertisement(mac net.HardwareAddr, addr netip.Addr) []byte {
	body := append([]byte{136, 0, 0, 0, 0x20, 0, 0, 0}, addr.AsSlice()...)
	body = append(append(body, 2, 1), mac...)
	return icmp6(packet6{src: addr, dst: netip.MustParseAddr("ff02::1"), hops: 255, body: body})
}

// listenerReport returns a report that joins groups (MLDv2). The source is ::, which RFC 3590 allows,
// because the link-local address from which the kernel sends its own may not exist yet.
//
// The group ff02::16 is that of all MLDv2 routers (RFC 3810 section 5.2.14), and the
// snooping bridge among them. It does not take a packet without a hop-by-hop header for a
// report (ipv6_mc_check_exthdrs, net/ipv6/mcast_snoop.c), so the router alert option is
// necessary.
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

// packet6 is an ICMPv6 message whose checksum is still zero, with its header fields.
type packet6 struct {
	src, dst netip.Addr
	hops     byte
	options  []byte // a hop-by-hop header, or nothing
	body     []byte
}

// icmp6 returns the complete packet.
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

// checksum6 computes the checksum over the pseudo header (RFC 8200 section 8.1) and the message.
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

// solicitedNode returns the multicast group to which neighbour solicitations for an address are sent (RFC
// 4291 section 2.7.1).
func solicitedNode(addr netip.Addr) netip.Addr {
	group := netip.MustParseAddr("ff02::1:ff00:0").As16()
	of := addr.As16()
	copy(group[13:], of[13:])
	return netip.AddrFrom16(group)
}
