package attacks

import (
	"net/netip"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

func TestMain(m *testing.M) { expect.Main(m, 4) }

// setting is a kind of network.
type setting struct {
	name   string
	keys   map[string]any
	refuse bool // the network refuses all attacks, not only those that every network refuses
}

func settings() []setting {
	return []setting{
		{"isolated", map[string]any{"ingressPolicy": "isolated"}, true},
		{"spoofCheck full", map[string]any{"spoofCheck": "full"}, true},
		{"egress", map[string]any{"egress": map[string]any{"allow": []string{"10.95.0.0/24", "fd00:95::/64", "203.0.113.0/24", "2001:db8:0:3::/64"}}}, true},
		{"open", nil, false},
	}
}

// None of the attacks passes where it must not, each passes where nothing refuses it, and what containers may do works meanwhile.
//
// Claim: What a container must not send has no effect on an isolated network and on one with `egress` or `spoofCheck` `full`, with bridge-nf-call 0
// and 1, IPv4 and IPv6: another's MAC or address in frames, packets, ARP and neighbour discovery, router advertisements, redirects, DHCP
// answers, multicast queries, VLAN tags, BPDUs, unknown protocols; on an open network each has its effect. A port of 127.0.0.1 is reached
// from the host alone, and no container sends to the host from 127.0.0.0/8
func TestAttackTable(t *testing.T) {
	for _, calls := range []string{"0", "1"} {
		for _, set := range settings() {
			t.Run("bridge-nf-call="+calls+" "+set.name, func(t *testing.T) {
				t.Parallel()
				s := attached(t, calls, set.keys)
				s.controls(set)
				for _, a := range Table() {
					s.try(a, set)
				}
				s.controls(set)
			})
		}
	}
}

// try makes an attack, and where only a rule of every network refuses it, again without the rule.
func (s *Scene) try(a Attack, set setting) {
	s.T.Helper()
	if !set.refuse && a.Weaken == nil {
		s.Succeeds(a)
		return
	}
	s.Fails(a)
	if !set.refuse {
		a.Weaken(s)
		s.Succeeds(a)
		s.Run(s.T, nettest.Patchbay(s.T), "reload")
	}
}

// controls are what must work: the way outside, published ports, and neighbours unless the network is isolated.
func (s *Scene) controls(set setting) {
	s.T.Helper()
	s.Resolve()
	for i := range 2 {
		for _, b := range []*Box{s.Victim, s.Attacker, s.Stranger} {
			if err := b.PingOnce(Faraway[i]); err != nil {
				s.T.Errorf("%s to the outside: %v", b.Name(), err)
			}
		}
		packet := func(from, to netip.Addr, port uint16) (frame []byte, token string) {
			token = Token()
			return UDP(netip.AddrPortFrom(from, 4000), netip.AddrPortFrom(to, port), token), token
		}
		outside, fromOutside := packet(Faraway[i], Uplink[i], Published)
		s.FromOutside(Ether(s.UplinkMAC, MAC(s.Outside.MAC("eth0")), typeOf(outside), outside))
		itself, fromItself := packet(s.Victim.Addrs[i], Uplink[i], Published)
		s.BySender(s.Victim, s.ToGateway(s.Victim, itself))
		stranger, fromStranger := packet(s.Stranger.Addrs[i], Uplink[i], Published)
		s.BySender(s.Stranger, s.ToGateway(s.Stranger, stranger))
		for from, token := range map[string]string{"the outside": fromOutside, "itself": fromItself, "another bridge": fromStranger} {
			if !s.Victim.Ear.Wait(token, Patience) {
				s.T.Errorf("the victim's published port %d, %s, from %s: nothing arrives", Published, Uplink[i], from)
			}
		}
		neighbour, fromNeighbour := packet(s.Attacker.Addrs[i], s.Victim.Addrs[i], Inside)
		s.BySender(s.Attacker, Ether(s.Victim.MAC, s.Attacker.MAC, typeOf(neighbour), neighbour))
		isolated := set.keys["ingressPolicy"] == "isolated"
		if heard := !isolated && s.Victim.Ear.Wait(fromNeighbour, Patience) || s.Victim.Ear.Heard(fromNeighbour); heard == isolated {
			s.T.Errorf("what the neighbour sends as itself arrives: %t", heard)
		}
	}
}

// attached returns a host with bridge-nf-call on or off, "1" or "0", and its containers attached with keys.
func attached(t *testing.T, calls string, keys map[string]any) *Scene {
	t.Helper()
	s := NewHost(t)
	nettest.Need(t, nettest.BrNetfilter)
	s.SetSysctl("net/bridge/bridge-nf-call-iptables", calls)
	s.SetSysctl("net/bridge/bridge-nf-call-ip6tables", calls)
	s.Baseline()
	s.Attach(keys)
	return s
}
