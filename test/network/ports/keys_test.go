package ports

import (
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestWithoutSNAT: with snat false the source of no client is translated. A neighbour's request then has its own source address, and the reply goes
// to it directly: it accepts that as a reply only if bridged packets are translated (bridge-nf-call).
//
// Claim: snat, masqAll, markMasqBit and hostLocalhost work as documented; the marks of other packets stay
func TestWithoutSNAT(t *testing.T) {
	bridgeNetfilter(t, func(t *testing.T, s *scene, calls bool) {
		w := newHost(t, s, map[string]any{"snat": false, "ipMasq": false}, port(8080)...)
		var tries []try
		for _, proto := range tcpAndUDP() {
			for i, to := range at(8080, uplink...) {
				tries = append(tries, try{from: s.outside.Netns, proto: proto, to: to, server: "web", saw: faraway},
					try{from: s.Netns, proto: proto, to: to, server: "web", saw: w.host})
				near := try{from: w.neighbour.Netns, proto: proto, to: to, saw: []netip.Addr{w.neighbour.addrs[i]}}
				switch {
				case calls:
					near.server = "web"
				case proto == "udp":
					near.oneWay = "web"
				}
				tries = append(tries, near)
			}
		}
		all(t, tries)
		isClosed(t, w, 8080)
	})
}

// isClosed checks that the port is not published on 127.0.0.1, and that route_localnet of the bridge is off.
func isClosed(t *testing.T, w *publishingHost, number uint16) {
	t.Helper()
	for _, proto := range tcpAndUDP() {
		a := try{from: w.Netns, proto: proto, to: netip.AddrPortFrom(localhost[0], number)}.make()
		if at, isHeard := heard.Load(a.payload); a.err == nil || isHeard {
			t.Errorf("%s: got %v, %v (heard: %v)", a.try, a.got, a.err, at)
		}
	}
	if got := w.Sysctl("net/ipv4/conf/" + w.near.bridge() + "/route_localnet"); got != "0" {
		t.Errorf("route_localnet of %s is %s", w.near.bridge(), got)
	}
}

// TestWithoutLocalhost: without hostLocalhost a port is reachable as usual except through 127.0.0.1.
//
// Claim: snat, masqAll, markMasqBit and hostLocalhost work as documented; the marks of other packets stay
func TestWithoutLocalhost(t *testing.T) {
	bridgeNetfilter(t, func(t *testing.T, s *scene, _ bool) {
		w := newHost(t, s, map[string]any{"hostLocalhost": false}, port(8080)...)
		isHost := func(c try) bool { return c.to.Addr() == localhost[0] }
		all(t, slices.DeleteFunc(w.tries(8080, tcpAndUDP()...), isHost))
		isClosed(t, w, 8080)
	})
}

// TestMasqAll: with masqAll the server sees an address of the host for every client.
//
// Claim: snat, masqAll, markMasqBit and hostLocalhost work as documented; the marks of other packets stay
func TestMasqAll(t *testing.T) {
	bridgeNetfilter(t, func(t *testing.T, s *scene, _ bool) {
		w := newHost(t, s, map[string]any{"masqAll": true}, port(8080)...)
		tries := w.tries(8080, tcpAndUDP()...)
		for i := range tries {
			tries[i].saw = w.host
		}
		all(t, tries)
	})
}

// counters returns the packet counts of the counting table, by name.
func counters(t *testing.T, s *scene) map[string]string {
	t.Helper()
	counted := map[string]string{}
	listing := s.Run(t, "nft", "list", "counters", "table", "inet", "counting")
	for _, m := range regexp.MustCompile(`counter (\w+) \{\s*packets (\d+)`).FindAllStringSubmatch(listing, -1) {
		counted[m[1]] = m[2]
	}
	return counted
}

// countingTable adds table inet counting until the test ends.
func countingTable(t *testing.T, s *scene, lines ...string) {
	t.Helper()
	s.Run(t, "nft", "table inet counting {\n"+strings.Join(lines, "\n")+"\n}")
	t.Cleanup(func() { s.Run(t, "nft", "delete table inet counting") })
}

// TestMarkMasqBit: packets to a port of a network with markMasqBit 20 have that mark bit, and not the default one; connections work from every
// direction, and other mark bits stay.
//
// Claim: snat, masqAll, markMasqBit and hostLocalhost work as documented; the marks of other packets stay
func TestMarkMasqBit(t *testing.T) {
	bridgeNetfilter(t, func(t *testing.T, s *scene, _ bool) {
		countingTable(t, s, "counter translated { }", "counter marked { }", "counter usual { }", "counter lost { }",
			"chain count { counter name translated; meta mark 0x100005 counter name marked; "+
				"meta mark & 0x2000 != 0 counter name usual; meta mark & 0x5 != 0x5 counter name lost; }",
			"chain raw { type filter hook prerouting priority raw; th dport 8080 meta mark set 0x5; }",
			"chain out { type filter hook output priority raw; th dport 8080 meta mark set 0x5; }",
			"chain post { type filter hook postrouting priority 99; ct state new ct status dnat goto count; }")
		w := newHost(t, s, map[string]any{"markMasqBit": 20}, port(8080)...)
		all(t, w.tries(8080, tcpAndUDP()...))
		got := counters(t, s)
		if got["translated"] == "0" || got["marked"] != got["translated"] || got["usual"] != "0" || got["lost"] != "0" {
			t.Errorf("the marks of packets: %v", got)
		}
	})
}

// TestMarksOfOthers: a packet to an unpublished port keeps its mark, with the bit or without.
//
// Claim: snat, masqAll, markMasqBit and hostLocalhost work as documented; the marks of other packets stay
func TestMarksOfOthers(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	countingTable(t, s, "counter bit { }", "counter other { }", "counter wrong { }",
		"chain raw { type filter hook prerouting priority raw; th dport 7001 meta mark set 0x2000; th dport 7002 meta mark set 0x1; }",
		"chain in { type filter hook input priority filter; iifname != up0 accept; th dport 7001 meta mark 0x2000 counter name bit accept; "+
			"th dport 7002 meta mark 0x1 counter name other accept; th dport 7001-7002 counter name wrong; }")
	w := newHost(t, s, nil, port(8080)...)
	listen(t, s.Netns, uplink, 7001, 7002)
	var tries []try
	for number, server := range map[uint16]string{7001: "host:7001", 7002: "host:7002"} {
		for _, to := range at(number, uplink...) {
			for _, proto := range tcpAndUDP() {
				tries = append(tries, try{from: s.outside.Netns, proto: proto, to: to, server: server, saw: faraway})
			}
		}
	}
	all(t, tries)
	all(t, w.tries(8080, "tcp"))
	if got := counters(t, s); got["bit"] == "0" || got["other"] == "0" || got["wrong"] != "0" || len(got) != 3 {
		t.Errorf("the marks of packets: %v", got)
	}
}

// TestServicesOfOthers: with a service of another program, as of kube-proxy, between pods of one bridge, the backend sees the pod, although both
// publish ports.
//
// Claim: A service of another program keeps the pod's address, though both have ports
func TestServicesOfOthers(t *testing.T) {
	bridgeNetfilter(t, func(t *testing.T, s *scene, calls bool) {
		w := newHost(t, s, nil, port(8080)...)
		pod := s.server(t, "pod", w.near, port(8081)...)
		countingTable(t, s, "chain pre { type nat hook prerouting priority dstnat - 1;",
			"ip daddr 10.96.0.10 meta l4proto { tcp, udp } dnat ip to "+w.web.addrs[0].String(),
			"ip6 daddr fd00:96::10 meta l4proto { tcp, udp } dnat ip6 to "+w.web.addrs[1].String(), "}")
		for _, service := range []string{"10.96.0.10", "[fd00:96::10]"} { // Patchbay does not delete flows of the service
			s.Allow("flow udp " + service + ":80 to ")
		}
		var tries []try
		for i, service := range addrs("10.96.0.10", "fd00:96::10") {
			for _, from := range []*box{pod, w.neighbour} {
				for _, proto := range tcpAndUDP() {
					c := try{from: from.Netns, proto: proto, to: netip.AddrPortFrom(service, 80), saw: []netip.Addr{from.addrs[i]}}
					switch {
					case calls: // otherwise the reply goes to the pod directly, as without Patchbay
						c.server = "web"
					case proto == "udp":
						c.oneWay = "web"
					}
					tries = append(tries, c)
				}
			}
		}
		all(t, tries)
		all(t, w.tries(8080, "tcp")) // and the same pods through published ports
	})
}

// TestUnpublishedPortBehindAFirewall: if the host's firewall drops forwarded packets except translated connections, the published port is reachable,
// and other ports of the container are not.
//
// Claim: Where the host's own firewall accepts translated connections, published ports are reached and no others
func TestUnpublishedPortBehindAFirewall(t *testing.T) {
	bridgeNetfilter(t, func(t *testing.T, s *scene, _ bool) {
		w := newHost(t, s, nil, port(8080)...)
		listen(t, w.web.Netns, w.web.addrs, 81)
		direct := func(servers map[uint16]string) (tries []try) {
			for number, server := range servers {
				for _, to := range at(number, w.web.addrs...) {
					for _, proto := range tcpAndUDP() {
						tries = append(tries, try{from: s.outside.Netns, proto: proto, to: to, server: server})
					}
				}
			}
			return tries
		}
		all(t, direct(map[uint16]string{80: "web", 81: "web:81"})) // by its own address, without a rule that drops
		countingTable(t, s, "chain forward { type filter hook forward priority filter; policy drop; ct state established,related accept; ct status dnat accept; }")
		s.Run(t, "nft", "add rule inet counting forward iifname != up0 accept")
		all(t, append(direct(map[uint16]string{80: "", 81: ""}), w.tries(8080, tcpAndUDP()...)...))
	})
}
