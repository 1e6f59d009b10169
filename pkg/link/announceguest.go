package link

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// AnnounceGuest does what Announce does, for addresses that the container interface does not have, because a guest will have them: a
// kernel announces only its own addresses. The frames leave by the container interface, with its MAC.
//
// This needs a packet socket, whose closing waits for an RCU grace period.
func (s *Sandbox) AnnounceGuest(l *Link, addresses []netip.Prefix) error {
	frames := guestFrames(l.MAC, addresses)
	if len(frames) == 0 {
		return nil
	}
	fd, err := s.openSocket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0) // protocol 0 receives nothing
	if err != nil {
		return fmt.Errorf("announce the guest of %s: open packet socket: %w", l.Name, err)
	}
	defer unix.Close(fd)
	for _, frame := range frames {
		if err := unix.Sendto(fd, frame, 0, &unix.SockaddrLinklayer{Ifindex: l.Index}); err != nil {
			return fmt.Errorf("announce the guest of %s: send frame: %w", l.Name, err)
		}
	}
	return nil
}

// guestFrames returns a gratuitous ARP request (RFC 5227 section 3) for each IPv4 address, and the packets of announcements.
func guestFrames(mac []byte, addresses []netip.Prefix) (frames [][]byte) {
	for _, prefix := range addresses {
		if !prefix.Addr().Is4() {
			continue
		}
		addr := prefix.Addr().AsSlice()
		arp := append([]byte{0, 1, 8, 0, 6, 4, 0, 1}, mac...) // Ethernet, IPv4, request
		arp = append(append(append(arp, addr...), make([]byte, 6)...), addr...)
		frames = append(frames, ethernet(bytes.Repeat([]byte{0xff}, 6), mac, unix.ETH_P_ARP, arp))
	}
	for _, packet := range announcements(mac, addresses) {
		group := append([]byte{0x33, 0x33}, packet[36:40]...) // RFC 2464 section 7
		frames = append(frames, ethernet(group, mac, unix.ETH_P_IPV6, packet))
	}
	return frames
}

func ethernet(to, from []byte, protocol uint16, payload []byte) []byte {
	head := append(append([]byte{}, to...), from...)
	return append(binary.BigEndian.AppendUint16(head, protocol), payload...)
}
