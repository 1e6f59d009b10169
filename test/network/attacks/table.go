package attacks

import (
	"encoding/binary"
	"net/netip"
	"slices"
)

// Attack is something that a container, or the machine outside, sends, and the effect that it must not have.
type Attack struct {
	Name string
	Send func(s *Scene, token string)
	Did  func(s *Scene, token string) bool // reports whether the attack succeeded

	// Weaken removes the protection that every network has, to show that the attack then succeeds; nil if only isolated and
	// checked networks refuse it.
	Weaken func(s *Scene)
}

// Table are all attacks.
func Table() []Attack {
	return slices.Concat(onMACs(), onARP(), onDiscovery(), onRouting(), onAddresses(), onLoopback(), onTheWire())
}

func heardByVictim(s *Scene, token string) bool  { return s.Victim.Ear.Heard(token) }
func heardByOutside(s *Scene, token string) bool { return s.OutsideEar.Heard(token) }

// Named returns those attacks of the table that have some names; it panics where there is none.
func Named(names ...string) []Attack {
	var all []Attack
	for _, name := range names {
		i := slices.IndexFunc(Table(), func(a Attack) bool { return a.Name == name })
		all = append(all, Table()[i])
	}
	return all
}

// ToGateway is an IP packet of a container in a frame to its gateway.
func (s *Scene) ToGateway(b *Box, packet []byte) []byte {
	gateway := s.HostMAC
	if b == s.Stranger {
		gateway = s.OtherMAC
	}
	return Ether(gateway, b.MAC, typeOf(packet), packet)
}

// typeOf is the type of a frame with an IP packet.
func typeOf(packet []byte) uint16 {
	if packet[0]>>4 == 6 {
		return TypeIPv6
	}
	return TypeIPv4
}

// RouterAdvertisement is a frame of the attacker to all nodes, with a default route and the prefix Rogue.
func (s *Scene) RouterAdvertisement() []byte {
	all := netip.MustParseAddr("ff02::1")
	message := ICMPv6(s.Attacker.Local(), all, RouterAdvert, Router(s.Attacker.MAC, Rogue))
	return Ether(AllNodes, s.Attacker.MAC, TypeIPv6, IPv6(s.Attacker.Local(), all, 58, message))
}

// Believes reports whether a container has taken the attacker for a router, or made itself an address of Rogue.
func (s *Scene) Believes(b *Box) bool {
	return slices.Contains(DefaultRouters(s.T, b.Netns), s.Attacker.Local().String()) ||
		slices.ContainsFunc(b.Addresses("eth0"), netip.PrefixFrom(Rogue, 64).Overlaps)
}

func onMACs() []Attack {
	return []Attack{{
		Name: "a frame with the neighbour's MAC",
		Send: func(s *Scene, token string) {
			packet := UDP(at(s.Attacker.Addrs[0]), at(Gateway[0]), token)
			s.BySender(s.Attacker, Ether(s.HostMAC, s.Victim.MAC, TypeIPv4, packet))
		},
		Did: func(s *Scene, _ string) bool {
			return PortOf(s.T, s.Netns, Bridge, s.Victim.MAC) == s.Attacker.Port
		},
	}}
}

func at(addr netip.Addr) netip.AddrPort { return netip.AddrPortFrom(addr, 7) }

func onARP() []Attack {
	hostIsMisled := func(s *Scene, _ string) bool {
		return slices.Equal(Neighbour(s.T, s.Netns, Bridge, s.Victim.Addrs[0]), s.Attacker.MAC)
	}
	return []Attack{
		{Name: "gratuitous ARP for the neighbour's address", Did: hostIsMisled, Send: func(s *Scene, _ string) {
			arp := ARP(ARPReply, s.Attacker.MAC, s.Victim.Addrs[0], s.Victim.Addrs[0])
			s.BySender(s.Attacker, Ether(Broadcast, s.Attacker.MAC, TypeARP, arp))
		}},
		{Name: "ARP request from the neighbour's address", Did: hostIsMisled, Send: func(s *Scene, _ string) {
			arp := ARP(ARPRequest, s.Attacker.MAC, s.Victim.Addrs[0], Gateway[0])
			s.BySender(s.Attacker, Ether(s.HostMAC, s.Attacker.MAC, TypeARP, arp))
		}},
		{
			Name: "ARP reply for the gateway",
			Send: func(s *Scene, _ string) {
				arp := ARP(ARPReply, s.Attacker.MAC, Gateway[0], s.Victim.Addrs[0])
				s.BySender(s.Attacker, Ether(s.Victim.MAC, s.Attacker.MAC, TypeARP, arp))
			},
			Did: func(s *Scene, _ string) bool {
				return slices.Equal(Neighbour(s.T, s.Victim.Netns, "eth0", Gateway[0]), s.Attacker.MAC)
			},
		},
		{
			Name: "ARP reply with a MAC that nobody has",
			Send: func(s *Scene, _ string) {
				arp := ARP(ARPReply, MAC("02:00:00:00:be:ef"), s.Attacker.Addrs[0], Gateway[0])
				s.BySender(s.Attacker, Ether(s.HostMAC, s.Attacker.MAC, TypeARP, arp))
			},
			Did: func(s *Scene, _ string) bool {
				return slices.Equal(Neighbour(s.T, s.Netns, Bridge, s.Attacker.Addrs[0]), MAC("02:00:00:00:be:ef"))
			},
		},
	}
}

// discovery is an ICMPv6 message of the attacker.
type discovery struct {
	to      *Box // nil for the gateway
	src     netip.Addr
	kind    byte
	body    []byte
	options []byte // in a hop-by-hop header; nil for none
}

// frame is the message as the attacker sends it.
func (d discovery) frame(s *Scene) []byte {
	dst, hardware := Gateway[1], s.HostMAC
	if d.to != nil {
		dst, hardware = d.to.Addrs[1], d.to.MAC
	}
	message, next := ICMPv6(d.src, dst, d.kind, d.body), byte(58)
	if d.options != nil {
		message, next = HopByHop(message, d.options), 0
	}
	return Ether(hardware, s.Attacker.MAC, TypeIPv6, IPv6(d.src, dst, next, message))
}

func onDiscovery() []Attack {
	hostIsMisled := func(s *Scene, _ string) bool {
		return slices.Equal(Neighbour(s.T, s.Netns, Bridge, s.Victim.Addrs[1]), s.Attacker.MAC)
	}
	return []Attack{
		{Name: "neighbour advertisement for the neighbour", Did: hostIsMisled, Send: func(s *Scene, _ string) {
			s.BySender(s.Attacker, discovery{src: s.Attacker.Addrs[1], kind: NeighbourAdvert, body: Advert(s.Victim.Addrs[1], s.Attacker.MAC)}.frame(s))
		}},
		{Name: "neighbour advertisement from the neighbour's address", Did: hostIsMisled, Send: func(s *Scene, _ string) {
			s.BySender(s.Attacker, discovery{src: s.Victim.Addrs[1], kind: NeighbourAdvert, body: Advert(s.Victim.Addrs[1], s.Attacker.MAC)}.frame(s))
		}},
		{Name: "neighbour advertisement behind a hop-by-hop header", Did: hostIsMisled, Send: func(s *Scene, _ string) {
			// At the offset of the target in a packet without the header is the attacker's own address.
			s.BySender(s.Attacker, discovery{src: s.Attacker.Addrs[1], kind: NeighbourAdvert, body: Advert(s.Victim.Addrs[1], s.Attacker.MAC), options: s.Attacker.Addrs[1].AsSlice()}.frame(s))
		}},
		{Name: "neighbour solicitation from the neighbour's address", Did: hostIsMisled, Send: func(s *Scene, _ string) {
			s.BySender(s.Attacker, discovery{src: s.Victim.Addrs[1], kind: NeighbourAsk, body: Ask(Gateway[1], s.Attacker.MAC)}.frame(s))
		}},
		{
			Name: "neighbour advertisement for the gateway",
			Send: func(s *Scene, _ string) {
				s.BySender(s.Attacker, discovery{to: s.Victim, src: s.Attacker.Addrs[1], kind: NeighbourAdvert, body: Advert(Gateway[1], s.Attacker.MAC)}.frame(s))
			},
			Did: func(s *Scene, _ string) bool {
				return slices.Equal(Neighbour(s.T, s.Victim.Netns, "eth0", Gateway[1]), s.Attacker.MAC)
			},
		},
	}
}

// Rogue is the prefix that the attacker advertises.
var Rogue = netip.MustParseAddr("2001:db8:bad::")

// onRouting: on a bridge of ours no container listens to routers, unless it says so itself, which it does here.
func onRouting() []Attack {
	advertise := func(s *Scene, _ string) {
		s.Victim.SetSysctl("net/ipv6/conf/eth0/accept_ra", "1")
		s.Victim.SetSysctl("net/ipv6/conf/eth0/autoconf", "1")
		s.BySender(s.Attacker, s.RouterAdvertisement())
	}
	return []Attack{
		{Name: "router advertisement with a default route", Send: advertise, Did: func(s *Scene, _ string) bool {
			return slices.Contains(DefaultRouters(s.T, s.Victim.Netns), s.Attacker.Local().String())
		}},
		{Name: "router advertisement with a prefix", Send: advertise, Did: func(s *Scene, _ string) bool {
			return slices.ContainsFunc(s.Victim.Addresses("eth0"), netip.PrefixFrom(Rogue, 64).Overlaps)
		}},
		{Name: "redirect", Did: heardByVictim, Send: func(s *Scene, token string) {
			body := slices.Concat(make([]byte, 4), s.Attacker.Local().AsSlice(), Faraway[1].AsSlice(), []byte(token))
			s.BySender(s.Attacker, discovery{to: s.Victim, src: s.Attacker.Local(), kind: redirect, body: body}.frame(s))
		}},
	}
}

// onAddresses are packets whose source is not the sender's; each for both families.
func onAddresses() (all []Attack) {
	for i, family := range []string{" by IPv4", " by IPv6"} {
		nobody := addrs("192.0.2.66", "2001:db8:66::66")[i]
		send := func(src func(*Scene) netip.Addr, dst func(*Scene) netip.AddrPort) func(*Scene, string) {
			return func(s *Scene, token string) {
				s.BySender(s.Attacker, s.ToGateway(s.Attacker, UDP(netip.AddrPortFrom(src(s), 4000), dst(s), token)))
			}
		}
		victim := func(s *Scene) netip.Addr { return s.Victim.Addrs[i] }
		to := func(addr netip.Addr, port uint16) func(*Scene) netip.AddrPort {
			return func(*Scene) netip.AddrPort { return netip.AddrPortFrom(addr, port) }
		}
		all = append(all,
			Attack{Name: "source and destination are the neighbour" + family, Did: heardByVictim, Send: send(victim, func(s *Scene) netip.AddrPort {
				return netip.AddrPortFrom(s.Victim.Addrs[i], 5432)
			})},
			Attack{Name: "the neighbour's address to its published port" + family, Did: heardByVictim, Send: send(victim, to(Uplink[i], Published))},
			Attack{Name: "the neighbour's address to the outside" + family, Did: heardByOutside, Send: send(victim, to(Faraway[i], 53))},
			Attack{Name: "an address of nobody to the outside" + family, Did: heardByOutside, Send: send(func(*Scene) netip.Addr { return nobody }, to(Faraway[i], 53))},
		)
	}
	return all
}

// onLoopback: a port that is published on 127.0.0.1, reached by a frame to the host's MAC from elsewhere.
func onLoopback() []Attack {
	packet := func(src netip.Addr, token string) []byte {
		return UDP(netip.AddrPortFrom(src, 4000), netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), Private), token)
	}
	return []Attack{
		{Name: "a port of 127.0.0.1 from the outside", Did: heardByVictim, Weaken: (*Scene).OpenLoopback, Send: func(s *Scene, token string) {
			s.FromOutside(Ether(s.UplinkMAC, MAC(s.Outside.MAC("eth0")), TypeIPv4, packet(Faraway[0], token)))
		}},
		{Name: "a port of 127.0.0.1 from another bridge", Did: heardByVictim, Weaken: (*Scene).OpenLoopback, Send: func(s *Scene, token string) {
			s.BySender(s.Stranger, s.ToGateway(s.Stranger, packet(s.Stranger.Addrs[0], token)))
		}},
		{Name: "a source in 127.0.0.0/8 to a service of the host", Did: (*Scene).Served, Weaken: (*Scene).OpenLoopback, Send: func(s *Scene, token string) {
			from := netip.MustParseAddr("127.0.0.2") // the kernel refuses 127.0.0.1, an address of lo, as a source
			s.BySender(s.Attacker, s.ToGateway(s.Attacker, UDP(at(from), netip.AddrPortFrom(Gateway[0], Service), token)))
		}},
		{Name: "a port of 127.0.0.1 from the same bridge", Did: heardByVictim, Weaken: (*Scene).OpenLoopback, Send: func(s *Scene, token string) {
			s.BySender(s.Attacker, s.ToGateway(s.Attacker, packet(s.Attacker.Addrs[0], token)))
		}},
	}
}

// OpenLoopback makes the rules what they would be without those that keep 127.0.0.1 for the host.
func (s *Scene) OpenLoopback() {
	s.Run(s.T, "nft", "flush chain inet patchbay localnet; flush chain inet patchbay prerouting; add rule inet patchbay prerouting fib daddr type local jump publish")
}

func onTheWire() []Attack {
	toAll := func(frame func(s *Scene, token string) []byte) func(*Scene, string) {
		return func(s *Scene, token string) { s.BySender(s.Attacker, frame(s, token)) }
	}
	tagged := func(kind uint16) func(*Scene, string) {
		return toAll(func(s *Scene, token string) []byte {
			return Tag(Ether(s.Victim.MAC, s.Attacker.MAC, TypeIPv4, UDP(at(Gateway[0]), at(s.Victim.Addrs[0]), token)), kind, 5)
		})
	}
	return []Attack{
		{Name: "a frame with a VLAN tag and another's address", Did: heardByVictim, Send: tagged(typeVLAN)},
		{Name: "a frame with an 802.1ad tag and another's address", Did: heardByVictim, Send: tagged(typeQinQ)},
		{Name: "a frame of an unknown protocol", Did: heardByVictim, Send: toAll(func(s *Scene, token string) []byte {
			return Ether(Broadcast, s.Attacker.MAC, typeTest, []byte(token))
		})},
		{Name: "an IGMP query", Did: heardByVictim, Send: toAll(func(s *Scene, token string) []byte {
			all := netip.MustParseAddr("224.0.0.1")
			query := append([]byte{0x11, 100, 0, 0, 0, 0, 0, 0}, token...)
			binary.BigEndian.PutUint16(query[2:], ^fold(sum(0, query)))
			return Ether(MAC("01:00:5e:00:00:01"), s.Attacker.MAC, TypeIPv4, ipv4(s.Attacker.Addrs[0], all, 2, query))
		})},
		{Name: "an MLD query", Did: heardByVictim, Send: toAll(func(s *Scene, token string) []byte {
			all := netip.MustParseAddr("ff02::1")
			query := ICMPv6(s.Attacker.Local(), all, mldQuery, append(make([]byte, 20), token...))
			return Ether(AllNodes, s.Attacker.MAC, TypeIPv6, IPv6(s.Attacker.Local(), all, 58, query))
		})},
		{Name: "a BPDU", Did: heardByVictim, Send: toAll(func(s *Scene, token string) []byte {
			return append(BPDU(s.Attacker.MAC), token...)
		})},
		{Name: "a DHCP server's answer", Did: heardByVictim, Send: toAll(func(s *Scene, token string) []byte {
			from, to := netip.AddrPortFrom(s.Attacker.Addrs[0], 67), netip.MustParseAddrPort("255.255.255.255:68")
			return Ether(Broadcast, s.Attacker.MAC, TypeIPv4, UDP(from, to, token))
		})},
		{Name: "a DHCPv6 server's answer", Did: heardByVictim, Send: toAll(func(s *Scene, token string) []byte {
			from, to := netip.AddrPortFrom(s.Attacker.Local(), 547), netip.AddrPortFrom(LinkLocal(s.Victim.MAC), 546)
			return Ether(s.Victim.MAC, s.Attacker.MAC, TypeIPv6, UDP(from, to, token))
		})},
	}
}
