package link

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"

	"golang.org/x/sys/unix"
)

// Announce tells the neighbours, from inside the container, where its addresses now are: a
// gratuitous ARP request for an IPv4 address (RFC 5227 section 3), an unsolicited neighbour
// advertisement for an IPv6 one (RFC 4861 section 7.2.6), so that nobody goes on sending to
// the one who had the address before. For IPv6 a multicast listener report (RFC 3810) comes
// first: the kernel's own is sent from a work queue, and on a bridge that snoops, with a
// querier about, a neighbour solicitation that overtakes it is lost. The port must forward
// (WaitPort); the interface must be up.
func (s *Sandbox) Announce(l *Link, addresses []netip.Prefix) error {
	err := s.enter(func() error { return sendAll(l, announcements(l.MAC, addresses)) })
	if err != nil {
		return fmt.Errorf("announce %s: %w", l.Name, err)
	}
	return nil
}

func sendAll(l *Link, frames [][]byte) error {
	if len(frames) == 0 {
		return nil
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open packet socket: %w", err)
	}
	defer unix.Close(fd)
	for _, frame := range frames {
		if err := unix.Sendto(fd, frame, 0, &unix.SockaddrLinklayer{Ifindex: l.Index}); err != nil {
			return fmt.Errorf("send frame: %w", err)
		}
	}
	return nil
}

// announcements are whole Ethernet frames.
func announcements(mac net.HardwareAddr, addresses []netip.Prefix) [][]byte {
	var frames [][]byte
	var groups []netip.Addr
	for _, prefix := range addresses {
		if is6(prefix.Addr()) {
			groups = append(groups, solicitedNode(prefix.Addr()))
		}
	}
	if len(groups) > 0 {
		frames = append(frames, listenerReport(mac, groups))
	}
	for _, prefix := range addresses {
		if is6(prefix.Addr()) {
			frames = append(frames, advertisement(mac, prefix.Addr()))
			continue
		}
		frames = append(frames, gratuitousARP(mac, prefix.Addr()))
	}
	return frames
}

func ethernet(dst, src net.HardwareAddr, kind uint16) []byte {
	frame := append(append([]byte{}, dst...), src...)
	return binary.BigEndian.AppendUint16(frame, kind)
}

func gratuitousARP(mac net.HardwareAddr, addr netip.Addr) []byte {
	broadcast := net.HardwareAddr{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	frame := ethernet(broadcast, mac, unix.ETH_P_ARP)
	frame = append(frame, 0, 1, 8, 0, 6, 4, 0, 1) // Ethernet, IPv4, sizes, request
	frame = append(append(frame, mac...), addr.AsSlice()...)
	return append(append(frame, 0, 0, 0, 0, 0, 0), addr.AsSlice()...)
}

// advertisement goes to all nodes: override flag set, the link-layer address as option 2.
func advertisement(mac net.HardwareAddr, addr netip.Addr) []byte {
	body := append([]byte{136, 0, 0, 0, 0x20, 0, 0, 0}, addr.AsSlice()...)
	body = append(append(body, 2, 1), mac...)
	return icmp6(mac, packet6{src: addr, dst: netip.MustParseAddr("ff02::1"), hops: 255, body: body})
}

// listenerReport joins groups, in version 2 of the protocol. The address the kernel would
// send it from may not be there yet; :: is allowed for that (RFC 3590).
func listenerReport(mac net.HardwareAddr, groups []netip.Addr) []byte {
	const changeToExclude = 4 // from nobody: everything is wanted
	body := []byte{143, 0, 0, 0, 0, 0, 0, byte(len(groups))}
	for _, group := range groups {
		body = append(append(body, changeToExclude, 0, 0, 0), group.AsSlice()...)
	}
	return icmp6(mac, packet6{
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

func icmp6(mac net.HardwareAddr, p packet6) []byte {
	const icmp = 58
	group := p.dst.As16()
	frame := ethernet(net.HardwareAddr{0x33, 0x33, group[12], group[13], group[14], group[15]}, mac, unix.ETH_P_IPV6)
	next := byte(icmp)
	if len(p.options) > 0 {
		next = 0
	}
	frame = append(frame, 0x60, 0, 0, 0)
	frame = binary.BigEndian.AppendUint16(frame, uint16(len(p.options)+len(p.body)))
	frame = append(frame, next, p.hops)
	frame = append(append(frame, p.src.AsSlice()...), p.dst.AsSlice()...)
	binary.BigEndian.PutUint16(p.body[2:], checksum6(p))
	return append(append(frame, p.options...), p.body...)
}

// checksum6 covers the pseudo header of RFC 8200 section 8.1 and the message.
func checksum6(p packet6) uint16 {
	covered := append(p.src.AsSlice(), p.dst.AsSlice()...)
	covered = binary.BigEndian.AppendUint32(covered, uint32(len(p.body)))
	covered = append(append(covered, 0, 0, 0, 58), p.body...)
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
