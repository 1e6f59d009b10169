package ports

import (
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// outboundAddrs are the addresses that the outside sees of a container with outboundAddr4 and outboundAddr6.
var outboundAddrs = addrs("203.0.113.20", "2001:db8:0:3::20")

// TestOutboundAddr: who sees which source address of a container, with and without ipMasq, and published ports as without the keys.
//
// Claim: With `outboundAddr4` and `outboundAddr6` the outside sees these addresses, also of the neighbour's published port and without
// `ipMasq`; published ports work as without them; an address that the host lacks is a warning of ADD, STATUS and doctor
func TestOutboundAddr(t *testing.T) {
	bridgeNetfilter(t, func(t *testing.T, s *scene, calls bool) {
		s.AddAddress("up0", outboundAddrs[0].String()+"/24", outboundAddrs[1].String()+"/64")
		s.Baseline()
		listen(t, s.outside.Netns, faraway, 80)
		keys := map[string]any{"outboundAddr4": outboundAddrs[0].String(), "outboundAddr6": outboundAddrs[1].String()}
		masq := network{name: "masq", n: 81, keys: keys}
		alone := network{name: "alone", n: 82, keys: map[string]any{"outboundAddr4": outboundAddrs[0].String(), "ipMasq": false}}
		usual := network{name: "usual", n: 83}
		m1, m2 := s.server(t, "m1", masq, port(8001)...), s.server(t, "m2", masq, port(8002)...)
		a1, u1 := s.server(t, "a1", alone), s.server(t, "u1", usual, port(8003)...)
		var tries []try
		for i := range 2 {
			for _, proto := range tcpAndUDP() {
				add := func(c try) {
					c.proto = proto
					tries = append(tries, c)
				}
				seen := outboundAddrs[i : i+1]
				add(try{from: m1.Netns, to: at(80, faraway[i])[0], server: "outside", saw: seen})
				add(try{from: m1.Netns, to: at(80, u1.addrs[i])[0], server: "u1", saw: seen})
				add(try{from: m1.Netns, to: at(8003, uplink[i])[0], server: "u1", saw: seen})
				add(try{from: m1.Netns, to: at(80, m2.addrs[i])[0], server: "m2", saw: m1.addrs[i : i+1]})
				add(try{from: m1.Netns, to: at(8001, uplink[i])[0], server: "m1", saw: masq.gateway()})
				neighbour := try{from: m1.Netns, to: at(8002, uplink[i])[0], server: "m2", saw: masq.gateway()}
				if calls {
					neighbour.saw = nil // bridged: see snat in docs/configuration.md
				}
				add(neighbour)
				add(try{from: s.outside.Netns, to: at(8001, uplink[i])[0], server: "m1", saw: faraway[i : i+1]})
				add(try{from: s.outside.Netns, to: at(8001, outboundAddrs[i])[0], server: "m1", saw: faraway[i : i+1]})
				add(try{from: u1.Netns, to: at(80, faraway[i])[0], server: "outside", saw: append(uplink[:2:2], outboundAddrs...)})
				if i == 0 {
					add(try{from: a1.Netns, to: at(80, faraway[0])[0], server: "outside", saw: seen})
				} else { // IPv6 of this network is not masqueraded, and the outside has a route
					add(try{from: a1.Netns, to: at(80, faraway[1])[0], server: "outside", saw: a1.addrs[1:]})
				}
			}
		}
		all(t, tries)
	})
}

// TestOutboundAddrMissing: the address is not one of the host. Replies arrive where the outside routes it here, and ADD, STATUS and doctor
// say that the host does not have it.
//
// Claim: With `outboundAddr4` and `outboundAddr6` the outside sees these addresses, also of the neighbour's published port and without
// `ipMasq`; published ports work as without them; an address that the host lacks is a warning of ADD, STATUS and doctor
func TestOutboundAddrMissing(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	listen(t, s.outside.Netns, faraway, 80)
	routed := addrs("198.51.100.5", "2001:db8:5::5")
	n := network{name: "routed", n: 81, keys: map[string]any{"outboundAddr4": routed[0].String(), "outboundAddr6": routed[1].String()}}
	b := &box{Container: s.Container("m1")}
	answer := s.CNI(t, call("ADD", b, "eth0", n.config(nil)))
	t.Cleanup(func() { s.CNI(t, call("DEL", b, "eth0", n.config(nil))).OK(t) })
	answer.OK(t)
	says := func(what, text string) {
		t.Helper()
		for i, key := range []string{"outboundAddr4", "outboundAddr6"} {
			if want := key + " " + routed[i].String() + " is not an address of this host: replies arrive only if they are routed here"; !strings.Contains(text, want) {
				t.Errorf("%s does not say %q:\n%s", what, want, text)
			}
		}
	}
	says("ADD", string(answer.Stderr))
	status := s.CNI(t, nettest.Call{Command: "STATUS", Config: n.config(nil)})
	status.OK(t)
	says("STATUS", string(status.Stderr))
	out := s.Run(t, "sh", "-c", nettest.Patchbay(t)+" doctor || true")
	says("doctor", out)
	var tries []try
	for i := range 2 {
		tries = append(tries, try{from: b.Netns, proto: "tcp", to: at(80, faraway[i])[0], server: "outside", saw: routed[i : i+1]})
	}
	all(t, tries) // its default route is this host
}
