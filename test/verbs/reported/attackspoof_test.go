package reported

import (
	"encoding/json"
	"net/netip"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
	"github.com/patchbay-cni/patchbay/test/network/attacks"
)

const (
	spoofedMAC    = "a frame with the neighbour's MAC"
	spoofedARP    = "gratuitous ARP for the neighbour's address"
	spoofedAdvert = "neighbour advertisement for the neighbour"
	spoofed4      = "the neighbour's address to the outside by IPv4"
	spoofed6      = "the neighbour's address to the outside by IPv6"
)

func impersonation() []attacks.Attack {
	return attacks.Named(spoofedMAC, spoofedARP, spoofedAdvert, "ARP reply for the gateway", "neighbour advertisement for the gateway", spoofed4, spoofed6)
}

// spoofRows: a container cannot send with the addresses of another one.
func spoofRows() []row {
	const kind = "a container sends only with its own addresses, if the network is checked"
	one := func(number, name string, run func(t *testing.T)) row { return row{number, name, kind, run} }
	fail := func(set cni.Conf) func(t *testing.T) {
		return func(t *testing.T) {
			s := attacks.NewScene(t, set)
			for _, a := range impersonation() {
				s.Fails(a)
			}
		}
	}
	return []row{
		one("29", "isolated network: the neighbour's MAC, ARP and advertisement", fail(cni.Conf{"ingressPolicy": "isolated"})),
		one("29.1", "open network with spoofCheck full", fail(cni.Conf{"spoofCheck": "full"})),
		one("29.2", "macspoofchk alone: only the MAC is checked", func(t *testing.T) {
			s := attacks.NewScene(t, cni.Conf{"macspoofchk": true})
			s.Fails(attacks.Named(spoofedMAC)[0])
			s.Succeeds(attacks.Named(spoofed4)[0])
		}),
		one("29.3", "isolated network after nft flush ruleset and reload", func(t *testing.T) {
			s := attacks.NewScene(t, cni.Conf{"ingressPolicy": "isolated"})
			s.Run(t, "nft", "flush ruleset")
			s.Run(t, nettest.Patchbay(t), "reload")
			for _, a := range impersonation() {
				s.Fails(a)
			}
		}),
		one("29.4", "another IPAM plugin's addresses", func(t *testing.T) {
			static := cni.Conf{"type": "static", "addresses": []cni.Conf{{"address": "10.95.0.50/24"}, {"address": "fd00:95::50/64"}}}
			s := attacks.NewScene(t, cni.Conf{"spoofCheck": "full"})
			config := attacks.Config(cni.Conf{"spoofCheck": "full", "ipam": static})
			third := s.BoxBy("third", config, nettest.Program(t, "static"))
			for i, addr := range attacks.Gateway {
				if err := third.PingOnce(addr); err != nil {
					t.Errorf("third to its gateway: %v", err)
				}
				token := attacks.Token()
				packet := attacks.UDP(netip.AddrPortFrom(s.Victim.Addrs[i], 4000), netip.AddrPortFrom(attacks.Faraway[i], 53), token)
				s.BySender(third, s.ToGateway(third, packet))
				if s.OutsideEar.Heard(token) {
					t.Errorf("third sent as %s", s.Victim.Addrs[i])
				}
			}
		}),
		one("29.5", "packets before an address is assigned pass: duplicate detection, probe, DHCP request", mayAsk),
		one("29.6", "after another plugin: checked by the MAC of prevResult", chainedChecked),
		one("29.7", "after another plugin without a MAC: refused if requested, else a warning", chainedUnknown),
		one("29.8", "CHECK names what is missing, and DEL leaves nothing", spoofElements),
		one("29.9", "isolated with spoofCheck none: as before", func(t *testing.T) {
			s := attacks.NewScene(t, cni.Conf{"ingressPolicy": "isolated", "spoofCheck": "none"})
			s.Succeeds(attacks.Named(spoofedMAC)[0])
		}),
		one("29.10", "a table bridge patchbay of another program: ADD and STATUS fail alike", foreignBridgeTable),
		one("29.11", "macspoofchk and nothing else in the ruleset: doctor, show and reload handle it", macAlone),
	}
}

// mayAsk: packets that a container sends before it has an address reach bridge and host.
func mayAsk(t *testing.T) {
	s := attacks.NewScene(t, cni.Conf{"spoofCheck": "full", "enabledad": true})
	a := s.Attacker
	none4, none6 := netip.IPv4Unspecified(), netip.IPv6Unspecified()
	group := netip.MustParseAddr("ff02::1:ff00:1")
	token := attacks.Token()
	detect := attacks.ICMPv6(none6, group, attacks.NeighbourAsk, append(attacks.Ask(a.Addrs[1], nil), token...))
	s.BySender(a, attacks.Ether(attacks.MAC("33:33:ff:00:00:01"), a.MAC, attacks.TypeIPv6, attacks.IPv6(none6, group, 58, detect)))
	heard(s, s.Victim, token)

	foreign, token := attacks.Token(), attacks.Token()
	detect = attacks.ICMPv6(none6, group, attacks.NeighbourAsk, append(attacks.Ask(s.Victim.Addrs[1], nil), foreign...))
	probe := append(attacks.ARP(attacks.ARPRequest, a.MAC, none4, netip.MustParseAddr("10.95.0.99")), token...)
	s.BySender(a, attacks.Ether(attacks.MAC("33:33:ff:00:00:01"), a.MAC, attacks.TypeIPv6, attacks.IPv6(none6, group, 58, detect)),
		attacks.Ether(attacks.Broadcast, a.MAC, attacks.TypeARP, probe))
	heard(s, s.Victim, token)
	notHeard(s, s.Victim, foreign) // the victim can still use its own address

	token = attacks.Token()
	client, server := netip.AddrPortFrom(none4, 68), netip.MustParseAddrPort("255.255.255.255:67")
	s.BySender(a, attacks.Ether(attacks.Broadcast, a.MAC, attacks.TypeIPv4, attacks.UDP(client, server, token)))
	heard(s, s.Victim, token)
}

// chained is a container whose interface the test created, and the configuration of a plugin after the one that
// created it.
func chained(s *attacks.Scene, set cni.Conf, mac string) *attacks.Box {
	b := &attacks.Box{Container: s.Container("guest")}
	s.Veth("made0", b.Netns, "eth0")
	inside := cni.Conf{"name": "eth0", "sandbox": b.Path()}
	if mac != "" {
		inside["mac"] = b.Container.MAC("eth0")
	}
	b.MAC = attacks.MAC(b.Container.MAC("eth0"))
	set["prevResult"] = cni.Conf{"cniVersion": "1.1.0", "interfaces": []cni.Conf{{"name": "made0"}, inside}}
	b.Config = attacks.Config(set)
	return b
}

func chainedChecked(t *testing.T) {
	s := attacks.NewScene(t, cni.Conf{"ingressPolicy": "isolated"})
	b := chained(s, cni.Conf{"ingressPolicy": "isolated"}, "known")
	for _, ip := range s.CNI(t, b.Call("ADD")).Result(t).IPs {
		addr, _ := netip.AddrFromSlice(ip.Address.IP)
		b.Addrs = append(b.Addrs, addr.Unmap())
	}
	t.Cleanup(func() { s.CNI(t, b.Call("DEL")).OK(t); s.Run(t, "ip", "link", "del", "made0") })
	token := attacks.Token()
	packet := attacks.UDP(netip.AddrPortFrom(s.Victim.Addrs[0], 4000), netip.AddrPortFrom(attacks.Faraway[0], 53), token)
	s.BySender(b, s.ToGateway(b, packet), attacks.Ether(s.HostMAC, s.Victim.MAC, attacks.TypeIPv4, packet))
	if s.OutsideEar.Heard(token) {
		t.Errorf("the guest sent as %s", s.Victim.Addrs[0])
	}
}

func chainedUnknown(t *testing.T) {
	s := attacks.NewHost(t)
	b := chained(s, cni.Conf{"ingressPolicy": "isolated", "spoofCheck": "full"}, "")
	t.Cleanup(func() { s.Run(t, "ip", "link", "del", "made0") })
	e := s.CNI(t, b.Call("ADD")).Error(t)
	expect.Contains(t, e.Msg+" "+e.Details, "no earlier plugin reports the MAC address", `spoofCheck to "none"`)
	if e.Code != 7 {
		t.Errorf("got code %d, want 7", e.Code)
	}
	s.CNI(t, b.Call("DEL")).OK(t)
	b.Config = without(t, b.Config, "spoofCheck")
	answer := s.CNI(t, b.Call("ADD")).OK(t)
	expect.Contains(t, string(answer.Stderr), "not checked", "made0")
	s.CNI(t, b.Call("DEL")).OK(t)
}

func without(t *testing.T, config []byte, key string) []byte {
	t.Helper()
	var conf cni.Conf
	if err := json.Unmarshal(config, &conf); err != nil {
		t.Fatal(err)
	}
	delete(conf, key)
	text, err := json.Marshal(conf)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func spoofElements(t *testing.T) {
	s := attacks.NewScene(t, cni.Conf{"spoofCheck": "full"})
	s.Check(s.Victim).OK(t)
	for _, set := range []string{"checked", "own_mac", "own4", "own6", "own6_target"} {
		kind := map[bool]string{true: "map", false: "set"}[set == "checked"]
		s.Run(t, "nft", "flush "+kind+" bridge patchbay "+set)
		e := s.Check(s.Victim).Error(t)
		expect.Contains(t, e.Msg+" "+e.Details, "map "+set+" of nftables lacks "+s.Victim.Port)
		s.Run(t, nettest.Patchbay(t), "reload")
		s.Check(s.Victim).OK(t)
	}
	s.Run(t, "nft", "flush chain bridge patchbay check_ipv6")
	e := s.Check(s.Victim).Error(t)
	expect.Contains(t, e.Msg+" "+e.Details, "chain check_ipv6 of table bridge patchbay")
	s.Run(t, nettest.Patchbay(t), "reload")
	for _, b := range []*attacks.Box{s.Victim, s.Attacker} {
		s.CNI(t, b.Call("DEL")).OK(t)
	}
	if left := s.Run(t, "nft", "list", "table", "bridge", "patchbay"); strings.Contains(left, "elements") {
		t.Errorf("left behind:\n%s", left)
	}
}

func foreignBridgeTable(t *testing.T) {
	for name, set := range map[string]cni.Conf{"isolated": {"ingressPolicy": "isolated"}, "checked": {"macspoofchk": true}} {
		s := attacks.NewHost(t)
		s.Run(t, "nft", "add table bridge patchbay")
		b := &attacks.Box{Container: s.Container(name), Config: attacks.Config(set)}
		add, status := s.CNI(t, b.Call("ADD")).Error(t), s.CNI(t, b.Call("STATUS")).Error(t)
		if !strings.HasSuffix(status.Msg, add.Msg) || add.Code != 108 || status.Code != 50 {
			t.Errorf("%s: ADD says %d %q, STATUS %d %q", name, add.Code, add.Msg, status.Code, status.Msg)
		}
		s.CNI(t, b.Call("DEL")).OK(t)
		s.Run(t, "nft", "delete table bridge patchbay")
		s.CNI(t, b.Call("STATUS")).OK(t)
	}
}

func macAlone(t *testing.T) {
	s := attacks.NewHost(t)
	b := s.Box("b", attacks.Config(cni.Conf{"macspoofchk": true, "ipMasq": false}))
	lost := "map own_mac of nftables lacks " + b.Port
	s.Run(t, "nft", "flush set bridge patchbay own_mac")
	for _, verb := range []string{"doctor", "show"} {
		out, _ := s.Command(nettest.Patchbay(t), verb).CombinedOutput()
		expect.Contains(t, strings.Join(strings.Fields(strings.ReplaceAll(string(out), "│", "")), " "), lost)
	}
	s.Run(t, nettest.Patchbay(t), "reload")
	s.Check(b).OK(t)
	token := attacks.Token()
	from := netip.AddrPortFrom(b.Addrs[0], 4000)
	ear := attacks.Listen(t, s.Netns, attacks.Bridge)
	s.HostMAC = attacks.MAC(s.MAC(attacks.Bridge))
	frame := attacks.UDP(from, netip.AddrPortFrom(attacks.Gateway[0], 9), token)
	last := attacks.Token()
	attacks.Send(t, b.Netns, "eth0", attacks.Ether(s.HostMAC, attacks.MAC("02:00:00:00:be:ef"), attacks.TypeIPv4, frame),
		s.ToGateway(b, attacks.UDP(from, netip.AddrPortFrom(attacks.Gateway[0], 9), last)))
	if !ear.Wait(last, attacks.Patience) || ear.Heard(token) {
		t.Errorf("b sends with another MAC: %t, with its own: %t", ear.Heard(token), ear.Heard(last))
	}
}
