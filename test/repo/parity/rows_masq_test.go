package parity

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
)

// masqueradeRows returns networks with ipMasq and each backend of the reference; Patchbay has one and accepts each value. They compare the source
// addresses that others see, and that no rule of the containers is left.
func masqueradeRows() []row {
	masq := cni.Conf{"ipMasq": true}
	iptables, nftables := masq.With(cni.Conf{"ipMasqBackend": "iptables"}), masq.With(cni.Conf{"ipMasqBackend": "nftables"})
	return []row{
		{name: "ipMasq", keys: gatewayed(masq), outside: true},
		{name: "ipMasq, both families", keys: dual(masq), outside: true},
		{name: "ipMasq false, both families", keys: dual(cni.Conf{"ipMasq": false, "ipMasqBackend": "iptables"}), outside: true},
		{name: "ipMasq, no ipam", keys: masq},
		{name: "ipMasq, isGateway false", keys: pool("10.1.0.0/24").With(masq)},
		{name: "ipMasqBackend iptables", keys: gatewayed(iptables), outside: true},
		{name: "ipMasqBackend iptables, both families", keys: dual(iptables), outside: true},
		{name: "ipMasqBackend nftables", keys: gatewayed(nftables), outside: true},
		{name: "ipMasqBackend nftables, both families", keys: dual(nftables), outside: true},
		{name: "ipMasqBackend of another name", keys: gatewayed(masq.With(cni.Conf{"ipMasqBackend": "ebtables"}))},
	}
}

// addPings records the source address that the outside, the host and a neighbour on the bridge see when container one pings them.
func (s *side) addPings(t *testing.T) {
	t.Helper()
	if s.lan == nil || len(refusals(s.facts)) > 0 {
		return
	}
	one, two := s.both[0], s.both[1]
	for _, to := range []struct {
		name    string
		at      *nettest.Netns
		link    string
		address []netip.Addr
	}{
		{"the outside", s.lan.Outside, "eth0", []netip.Addr{netip.MustParseAddr(nettest.LANOutside4), netip.MustParseAddr(nettest.LANOutside6)}},
		{"the host", s.Netns, s.bridge, gateways(s.Netns, s.bridge)},
		{"a neighbour", two.Netns, "eth0", gateways(two.Netns, "eth0")},
	} {
		for _, address := range to.address {
			if family := slices.ContainsFunc(one.Addresses("eth0"), func(p netip.Prefix) bool { return p.Addr().Is4() == address.Is4() }); !family {
				continue
			}
			s.facts["ping of "+to.name+" at "+address.String()+": seen from"] = s.seen(t, one, to.at, to.link, address)
		}
	}
}

func gateways(n *nettest.Netns, link string) (out []netip.Addr) {
	for _, p := range n.Addresses(link) {
		out = append(out, p.Addr())
	}
	return out
}

// seen pings, and returns the source of the echo request as it arrived, and whether the reply came back.
func (s *side) seen(t *testing.T, from *nettest.Container, at *nettest.Netns, link string, to netip.Addr) string {
	t.Helper()
	capture := at.Capture(t, link)
	ping := from.Ping(to, nettest.PingOptions{Count: 2})
	request := func(f nettest.Frame) bool { return f.Kind == nettest.EchoRequest && f.Dst == to }
	if err := capture.Wait(1, 2*time.Second, request); err != nil {
		t.Errorf("nothing arrives at %s, by ours %t: %v", to, s.ours, err)
	}
	var sources []string
	for _, f := range capture.Stop(t).Where(request) {
		sources = append(sources, f.Src.String())
	}
	slices.Sort(sources)
	answer := strings.Join(slices.Compact(sources), " ")
	if !ping.OK() {
		answer += ", no reply"
	}
	return answer
}

// addRules states which rules and elements name a container, or one of its addresses: whether there is one, and after the DELs
// which are left.
func (s *side) addRules(t *testing.T, attached bool) {
	t.Helper()
	names := []string{s.both[0].ID(), s.both[1].ID()}
	for fact := range s.facts {
		if address, found := strings.CutPrefix(fact, "with both: file "); found {
			names = append(names, address) // last_reserved_ip.0 is in no rule
		}
	}
	var found []string
	for line := range strings.Lines(s.Run(t, "nft", "list", "ruleset")) {
		if slices.ContainsFunc(names, func(name string) bool { return strings.Contains(line, name) }) {
			found = append(found, strings.TrimSpace(line))
		}
	}
	if attached {
		s.facts["with both: a rule is about them"] = fmt.Sprint(len(found) > 0)
		return
	}
	s.facts["after both DELs: rules about them"] = strings.Join(found, "\n")
}
