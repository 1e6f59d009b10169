package attacks

import (
	"encoding/binary"
	"maps"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// local is a service of the host on its link-local address of the bridge, and on its address towards the outside.
type local struct {
	address netip.Addr
	mu      sync.Mutex
	got     map[string]bool
}

// localPort is the port of these services.
const localPort = 7001

// listenLocal starts the services of the host.
func (s *Scene) listenLocal() *local {
	s.T.Helper()
	l := &local{address: LinkLocal(s.HostMAC), got: map[string]bool{}}
	s.SetSysctl("net/ipv6/conf/"+Bridge+"/accept_dad", "0")
	for _, where := range []netip.AddrPort{netip.AddrPortFrom(l.address.WithZone(Bridge), localPort), netip.AddrPortFrom(Uplink[0], localPort)} {
		var socket *net.UDPConn
		var err error
		s.Do(func() { socket, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(where)) })
		if err != nil {
			s.T.Fatalf("listen on the host: %v", err)
		}
		s.T.Cleanup(func() { _ = socket.Close() })
		go func() {
			for buf := make([]byte, 200); ; {
				n, err := socket.Read(buf)
				if err != nil {
					return
				}
				l.mu.Lock()
				l.got[string(buf[:n])] = true
				l.mu.Unlock()
			}
		}()
	}
	return l
}

func (l *local) heard(_ *Scene, token string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.got[token]
}

// evasions are ways to send something past a list of destinations that has the gateway alone.
func evasions(l *local) (all []Attack) {
	send := func(name string, did func(*Scene, string) bool, frame func(s *Scene, token string) []byte) {
		all = append(all, Attack{Name: name, Did: did, Send: func(s *Scene, token string) { s.BySender(s.Attacker, frame(s, token)) }})
	}
	for i, family := range []string{" by IPv4", " by IPv6"} {
		nobody := addrs("10.95.0.99", "fd00:95::99")[i]
		send("a datagram to the outside"+family, heardByOutside, func(s *Scene, token string) []byte {
			return s.ToGateway(s.Attacker, UDP(netip.AddrPortFrom(s.Attacker.Addrs[i], 4000), netip.AddrPortFrom(Faraway[i], 443), token))
		})
		send("a datagram to the outside from port 53 to 67"+family, heardByOutside, func(s *Scene, token string) []byte {
			return s.ToGateway(s.Attacker, UDP(netip.AddrPortFrom(s.Attacker.Addrs[i], 68), netip.AddrPortFrom(Faraway[i], 67), token))
		})
		send("a datagram to the outside from an address of nobody"+family, heardByOutside, func(s *Scene, token string) []byte {
			return s.ToGateway(s.Attacker, UDP(netip.AddrPortFrom(nobody, 4000), netip.AddrPortFrom(Faraway[i], 443), token))
		})
		send("a datagram to the outside with another MAC"+family, heardByOutside, func(s *Scene, token string) []byte {
			packet := UDP(netip.AddrPortFrom(s.Attacker.Addrs[i], 4000), netip.AddrPortFrom(Faraway[i], 443), token)
			return Ether(s.HostMAC, MAC("02:00:00:00:be:ef"), typeOf(packet), packet)
		})
		send("a datagram to another bridge"+family, func(s *Scene, token string) bool { return s.Stranger.Ear.Heard(token) }, func(s *Scene, token string) []byte {
			return s.ToGateway(s.Attacker, UDP(netip.AddrPortFrom(s.Attacker.Addrs[i], 4000), netip.AddrPortFrom(s.Stranger.Addrs[i], 443), token))
		})
		send("a datagram to the neighbour"+family, heardByVictim, func(s *Scene, token string) []byte {
			packet := UDP(netip.AddrPortFrom(s.Attacker.Addrs[i], 4000), netip.AddrPortFrom(s.Victim.Addrs[i], 443), token)
			return Ether(s.Victim.MAC, s.Attacker.MAC, typeOf(packet), packet)
		})
		send("a datagram to the neighbour's published port"+family, heardByVictim, func(s *Scene, token string) []byte {
			return s.ToGateway(s.Attacker, UDP(netip.AddrPortFrom(s.Attacker.Addrs[i], 4000), netip.AddrPortFrom(Uplink[i], Published), token))
		})
		send("multicast to neighbours"+family, heardByVictim, func(s *Scene, token string) []byte {
			group, hardware := netip.MustParseAddr("224.0.0.251"), MAC("01:00:5e:00:00:fb")
			if i == 1 {
				group, hardware = netip.MustParseAddr("ff02::1"), AllNodes
			}
			packet := UDP(netip.AddrPortFrom(s.Attacker.Addrs[i], 5353), netip.AddrPortFrom(group, 5353), token)
			return Ether(hardware, s.Attacker.MAC, typeOf(packet), packet)
		})
	}
	return slices.Concat(all, evasionsByIPv4(l), evasionsByIPv6(l))
}

// one is an attack with one frame.
func one(name string, did func(*Scene, string) bool, frame func(s *Scene, token string) []byte) Attack {
	return Attack{Name: name, Did: did, Send: func(s *Scene, token string) { s.BySender(s.Attacker, frame(s, token)) }}
}

func evasionsByIPv4(l *local) []Attack {
	return []Attack{
		one("a broadcast to neighbours", heardByVictim, func(s *Scene, token string) []byte {
			packet := UDP(netip.AddrPortFrom(s.Attacker.Addrs[0], 68), netip.AddrPortFrom(netip.MustParseAddr("255.255.255.255"), 67), token)
			return Ether(Broadcast, s.Attacker.MAC, TypeIPv4, packet)
		}),
		one("a service of the host on another address", l.heard, func(s *Scene, token string) []byte {
			return s.ToGateway(s.Attacker, UDP(netip.AddrPortFrom(s.Attacker.Addrs[0], 4000), netip.AddrPortFrom(Uplink[0], localPort), token))
		}),
		one("an unknown transport to the outside", heardByOutside, func(s *Scene, token string) []byte {
			return s.ToGateway(s.Attacker, ipv4(s.Attacker.Addrs[0], Faraway[0], 253, []byte(token)))
		}),
		one("an echo request to the outside", heardByOutside, func(s *Scene, token string) []byte {
			echo := append([]byte{8, 0, 0, 0, 0, 1, 0, 1}, token...)
			binary.BigEndian.PutUint16(echo[2:], ^fold(sum(0, echo)))
			return s.ToGateway(s.Attacker, ipv4(s.Attacker.Addrs[0], Faraway[0], 1, echo))
		}),
	}
}

func evasionsByIPv6(l *local) []Attack {
	// The body of an advertisement for the attacker's own address, with a text behind it.
	advert := func(s *Scene, token string) []byte {
		return append(Advert(s.Attacker.Addrs[1], s.Attacker.MAC), token...)
	}
	return []Attack{
		one("a service of the host on its link-local address", l.heard, func(s *Scene, token string) []byte {
			return s.ToGateway(s.Attacker, UDP(netip.AddrPortFrom(s.Attacker.Local(), 4000), netip.AddrPortFrom(l.address, localPort), token))
		}),
		one("the neighbour's link-local address", heardByVictim, func(s *Scene, token string) []byte {
			packet := UDP(netip.AddrPortFrom(s.Attacker.Local(), 4000), netip.AddrPortFrom(s.Victim.Local(), 443), token)
			return Ether(s.Victim.MAC, s.Attacker.MAC, TypeIPv6, packet)
		}),
		one("a neighbour advertisement to the outside", heardByOutside, func(s *Scene, token string) []byte {
			message := ICMPv6(s.Attacker.Addrs[1], Faraway[1], NeighbourAdvert, advert(s, token))
			return s.ToGateway(s.Attacker, IPv6(s.Attacker.Addrs[1], Faraway[1], 58, message))
		}),
		one("a neighbour advertisement to the outside by the neighbour's MAC, as if it were a router", heardByVictim, func(s *Scene, token string) []byte {
			message := ICMPv6(s.Attacker.Addrs[1], Faraway[1], NeighbourAdvert, advert(s, token))
			return Ether(s.Victim.MAC, s.Attacker.MAC, TypeIPv6, IPv6(s.Attacker.Addrs[1], Faraway[1], 58, message))
		}),
		one("a neighbour solicitation to the outside", heardByOutside, func(s *Scene, token string) []byte {
			message := ICMPv6(s.Attacker.Addrs[1], Faraway[1], NeighbourAsk, append(Ask(Faraway[1], s.Attacker.MAC), token...))
			return s.ToGateway(s.Attacker, IPv6(s.Attacker.Addrs[1], Faraway[1], 58, message))
		}),
		one("a datagram to the outside behind a hop-by-hop header", heardByOutside, func(s *Scene, token string) []byte {
			src, dst := netip.AddrPortFrom(s.Attacker.Addrs[1], 4000), netip.AddrPortFrom(Faraway[1], 443)
			datagram := UDP(src, dst, token)[40:]
			options := []byte{17, 0, 1, 4, 0, 0, 0, 0} // PadN
			return s.ToGateway(s.Attacker, IPv6(src.Addr(), dst.Addr(), 0, append(options, datagram...)))
		}),
	}
}

// None of the evasions passes a list of destinations, and each of them passes without one.
//
// Claim: A container with `egress` does not get around it: not with another address or MAC, a link-local address, neighbour discovery, ports
// of DHCP, broadcast and multicast, extension headers, another transport, nor with a flow of an earlier container
func TestEgressEvasions(t *testing.T) {
	egress := map[string]any{"egress": map[string]any{"allow": []string{Gateway[0].String(), Gateway[1].String()}, "default": "drop"}}
	for _, calls := range []string{"0", "1"} {
		for _, set := range []setting{{"egress", egress, true}, {"open", nil, false}} {
			t.Run("bridge-nf-call="+calls+" "+set.name, func(t *testing.T) {
				t.Parallel()
				s := attached(t, calls, set.keys)
				l := s.listenLocal()
				for _, a := range evasions(l) {
					if set.refuse {
						s.Fails(a)
					} else {
						s.Succeeds(a)
					}
				}
			})
		}
	}
}

// A flow that an earlier container opened from the same address and port is of no use to one whose list does not have its destination.
//
// Claim: A container with `egress` does not get around it: not with another address or MAC, a link-local address, neighbour discovery, ports
// of DHCP, broadcast and multicast, extension headers, another transport, nor with a flow of an earlier container
func TestEgressOldFlow(t *testing.T) {
	t.Parallel()
	s := NewHost(t)
	s.SetSysctl("net/netfilter/nf_conntrack_udp_timeout_stream", "3600")
	s.Baseline()
	s.Allow("flow ")
	ips := map[string]any{"runtimeConfig": map[string]any{"ips": []string{"10.95.0.77/24", "fd00:95::77/64"}}, "capabilities": map[string]any{"ips": true}}
	list := func(allow ...string) []byte {
		keys := maps.Clone(ips)
		keys["egress"] = map[string]any{"allow": append(allow, Gateway[0].String(), Gateway[1].String())}
		return Config(keys)
	}
	outside := Listen(t, s.Outside.Netns, "eth0")
	sends := func(b *Box) string {
		token := Token()
		packet := UDP(netip.AddrPortFrom(b.Addrs[0], 4000), netip.AddrPortFrom(Faraway[0], 9999), token)
		s.HostMAC, s.HostEar = MAC(s.MAC(Bridge)), Listen(t, s.Netns, Bridge)
		s.BySender(b, s.ToGateway(b, packet))
		return token
	}
	echo(t, s.Outside)
	first := &Box{Container: s.Container("first"), Config: list(Faraway[0].String())}
	s.CNI(t, first.Call("ADD")).OK(t)
	first.Addrs, first.MAC = addrs("10.95.0.77", "fd00:95::77"), MAC(first.Container.MAC("eth0"))
	ear := Listen(t, first.Netns, "eth0")
	for range 3 { // with replies in between the flow is established
		if token := sends(first); !outside.Wait(token, Patience) || !ear.Wait(token, Patience) {
			t.Fatal("the first container does not reach its destination")
		}
	}
	s.CNI(t, first.Call("DEL")).OK(t)
	second := s.Box("second", list())
	if token := sends(second); outside.Heard(token) {
		t.Error("the second container used the flow of the first")
	}
}

// echo returns datagrams to port 9999 of the machine outside.
func echo(t *testing.T, at *nettest.Container) {
	t.Helper()
	var socket *net.UDPConn
	var err error
	at.Do(func() {
		socket, err = net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(Faraway[0], 9999)))
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = socket.Close() })
	go func() {
		for buf := make([]byte, 200); ; {
			n, from, err := socket.ReadFrom(buf)
			if err != nil {
				return
			}
			_, _ = socket.WriteTo(buf[:n], from)
		}
	}()
}
