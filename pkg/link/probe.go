package link

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// Probe sends two probes per address and waits probeTime for replies to each. RFC 5227 prescribes three
// probes and seconds of waiting, for hosts that are just starting; a host of the LAN that is up
// replies within a millisecond. NetworkManager waits as long in total (ipv4.dad-timeout, 200 ms).
const (
	probes    = 2
	probeTime = 100 * time.Millisecond
)

// Answer is the reply of a host that has an address.
type Answer struct {
	Addr netip.Addr
	MAC  net.HardwareAddr
}

// Probe asks on the LAN of a bridge whether a host has one of some addresses. It returns after 200 ms at
// most, or as soon as there is a reply for every address. It sends what duplicate address detection
// sends: an ARP request with the sender 0.0.0.0 (RFC 5227), a neighbour solicitation from :: (RFC 4862).
// Neither changes a neighbour cache of a host that receives it. The frames are sent by the bridge, so
// that every port transmits them, before the container interface exists.
//
// Replies arrive on a packet socket. Closing it waits for an RCU grace period of some milliseconds,
// which an ADD that does not probe does not spend.
//
// A Linux host replies to an ARP request from 0.0.0.0 by unicast unless its arp_ignore
// forbids it (arp_process), and to a solicitation from :: with an advertisement to all
// nodes, because it has no address to send to (RFC 4861 section 7.2.4). A host that is
// suspended does not reply; no number of probes would change that.
func (h *Host) Probe(ctx context.Context, b *Bridge, addrs []netip.Addr) ([]Answer, error) {
	p := &probe{bridge: b, left: slices.Clone(addrs)}
	defer p.close()
	if err := p.open(h); err != nil {
		return nil, fmt.Errorf("probe addresses on bridge %s: %w", b.Name, err)
	}
	for range probes {
		if err := p.sendProbes(ctx); err != nil {
			return p.found, fmt.Errorf("probe addresses on bridge %s: %w", b.Name, err)
		}
	}
	return p.found, nil
}

// probe is the state of one call of Probe.
type probe struct {
	bridge  *Bridge
	left    []netip.Addr // without a reply
	found   []Answer
	sockets []int // one for each family that is asked for

	expected map[netip.Addr]net.HardwareAddr // of ProbeOthers: all answers count but these; nil: the first answer counts
	buffer   [256]byte
}

func (p *probe) close() {
	for _, fd := range p.sockets {
		unix.Close(fd)
	}
}

// open opens one packet socket per family that is asked for.
func (p *probe) open(h *Host) error {
	for _, is4 := range []bool{true, false} {
		if !slices.ContainsFunc(p.left, func(a netip.Addr) bool { return a.Is4() == is4 }) {
			continue
		}
		fd, err := openProbe(h.netns, p.bridge.Index, is4)
		if err != nil {
			return err
		}
		p.sockets = append(p.sockets, fd)
	}
	return nil
}

// openProbe opens a packet socket that receives ARP, or neighbour discovery, on one interface.
//
// The protocol in socket(2) is 0, and bind sets it together with the interface: otherwise
// the socket would receive frames of all interfaces between the two calls.
func openProbe(in namespace, index int, is4 bool) (int, error) {
	fd, err := in.socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return -1, fmt.Errorf("open packet socket: %w", err)
	}
	protocol := uint16(unix.ETH_P_ARP)
	if !is4 {
		protocol = unix.ETH_P_IPV6
		err = unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, neighbourFilter())
	}
	if err == nil {
		err = unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: protocol<<8 | protocol>>8, Ifindex: index})
	}
	if err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("bind packet socket: %w", err)
	}
	return fd, nil
}

// Offsets in a frame, in bytes.
const (
	atEthernet = 14
	atICMP6    = atEthernet + 40
	atTarget   = atICMP6 + 8 // of a neighbour solicitation or advertisement
)

// Types of ICMPv6 messages.
const (
	neighbourSolicitation  = 135
	neighbourAdvertisement = 136
)

// neighbourFilter returns a socket filter that accepts neighbour solicitations and advertisements: all
// other IPv6 traffic of the host passes the bridge too. Its last instruction is jumped to by number.
func neighbourFilter() *unix.SockFprog {
	program := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: atEthernet + 6},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.IPPROTO_ICMPV6, Jf: 4},
		{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: atICMP6},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: neighbourSolicitation, Jt: 1},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: neighbourAdvertisement, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: 256},
		{Code: unix.BPF_RET | unix.BPF_K},
	}
	return &unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
}

// sendProbes sends a probe for each address without a reply, and waits for replies.
func (p *probe) sendProbes(ctx context.Context) error {
	for _, addr := range p.left {
		frame, fd := p.frame(addr), p.sockets[0]
		if !addr.Is4() {
			fd = p.sockets[len(p.sockets)-1]
		}
		if err := unix.Sendto(fd, frame, 0, &unix.SockaddrLinklayer{Ifindex: p.bridge.Index, Halen: 6}); err != nil {
			return fmt.Errorf("send probe: %w", err)
		}
	}
	for deadline := time.Now().Add(probeTime); len(p.left) > 0; {
		rest := time.Until(deadline)
		if rest <= 0 || ctx.Err() != nil {
			return ctx.Err()
		}
		if err := p.readReplies(rest); err != nil {
			return err
		}
	}
	return nil
}

// readReplies waits for frames, for at most rest, and reads all that have arrived.
func (p *probe) readReplies(rest time.Duration) error {
	polled := make([]unix.PollFd, len(p.sockets))
	for i, fd := range p.sockets {
		polled[i] = unix.PollFd{Fd: int32(fd), Events: unix.POLLIN}
	}
	const most = 10 * time.Millisecond // so that an interrupted command ends at once
	if _, err := unix.Poll(polled, int(min(rest, most).Milliseconds())+1); err != nil && !errors.Is(err, unix.EINTR) {
		return fmt.Errorf("wait for replies: %w", err)
	}
	for _, fd := range p.sockets {
		for {
			n, _, err := unix.Recvfrom(fd, p.buffer[:], 0)
			if err != nil {
				break // EAGAIN: nothing left; the next poll reports any other error
			}
			p.receive(p.buffer[:n])
		}
	}
	return nil
}

// receive records a frame which shows that another host has, or claims, one of the addresses.
//
// A frame with the bridge's MAC is our own and came back, by a loop or a port in hairpin
// mode. The socket does not see what the host sends: only sockets of the protocol ETH_P_ALL
// do (dev_queue_xmit_nit).
func (p *probe) receive(frame []byte) {
	addr, mac := claimed(frame)
	i := slices.Index(p.left, addr)
	if i < 0 || bytes.Equal(mac, p.bridge.MAC) {
		return
	}
	if p.expected != nil {
		p.isOther(addr, mac)
		return
	}
	p.left = slices.Delete(p.left, i, i+1)
	p.found = append(p.found, Answer{addr, slices.Clone(mac)})
}

// claimed returns the address that the sender of a frame has or probes for itself, and the sender's MAC;
// the zero Addr for other frames.
func claimed(frame []byte) (netip.Addr, net.HardwareAddr) {
	if len(frame) < atEthernet {
		return netip.Addr{}, nil
	}
	mac := net.HardwareAddr(frame[6:12])
	switch binary.BigEndian.Uint16(frame[12:]) {
	case unix.ETH_P_ARP:
		return claimedByARP(frame[atEthernet:]), mac
	case unix.ETH_P_IPV6:
		return claimedByICMP(frame), mac
	}
	return netip.Addr{}, nil
}

// claimedByARP reads an ARP packet for Ethernet and IPv4. It returns the sender's address, or of a probe
// (sender 0.0.0.0) the target's.
func claimedByARP(arp []byte) netip.Addr {
	if len(arp) < 28 || !bytes.Equal(arp[:6], []byte{0, 1, 8, 0, 6, 4}) {
		return netip.Addr{}
	}
	sender, target := netip.AddrFrom4([4]byte(arp[14:18])), netip.AddrFrom4([4]byte(arp[24:28]))
	if sender.IsUnspecified() {
		return target
	}
	return sender
}

// claimedByICMP returns the target of a neighbour advertisement, and of a solicitation from ::, which
// another host sends to claim the address (RFC 4862 section 5.4). A hop limit other than 255 shows that
// a router has forwarded the packet (RFC 4861 section 7.1).
func claimedByICMP(frame []byte) netip.Addr {
	if len(frame) < atTarget+16 || frame[atEthernet+6] != unix.IPPROTO_ICMPV6 || frame[atEthernet+7] != 255 {
		return netip.Addr{}
	}
	source := netip.AddrFrom16([16]byte(frame[atEthernet+8 : atEthernet+24]))
	target := netip.AddrFrom16([16]byte(frame[atTarget : atTarget+16]))
	switch {
	case frame[atICMP6] == neighbourAdvertisement:
		return target
	case frame[atICMP6] == neighbourSolicitation && source.IsUnspecified():
		return target
	}
	return netip.Addr{}
}

// frame returns the Ethernet frame of a probe for an address.
func (p *probe) frame(addr netip.Addr) []byte {
	if addr.Is4() {
		frame := append(bytes.Repeat([]byte{0xff}, 6), p.bridge.MAC...)
		frame = append(frame, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1) // a request
		frame = append(append(frame, p.bridge.MAC...), 0, 0, 0, 0)
		return append(append(frame, 0, 0, 0, 0, 0, 0), addr.AsSlice()...)
	}
	group := solicitedNode(addr)
	frame := append([]byte{0x33, 0x33}, group.AsSlice()[12:]...)
	frame = append(append(frame, p.bridge.MAC...), 0x86, 0xdd)
	body := append([]byte{neighbourSolicitation, 0, 0, 0, 0, 0, 0, 0}, addr.AsSlice()...)
	return append(frame, icmp6(packet6{src: netip.IPv6Unspecified(), dst: group, hops: 255, body: body})...)
}
