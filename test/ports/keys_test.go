package ports

import (
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// With snat false nobody gets an address of the host. A neighbour's request then comes from itself, and
// the answer goes to it directly: it takes that for an answer only where bridged packets are translated.
func TestWithoutSNAT(t *testing.T) {
	bridgeNetfilter(t, func(t *testing.T, s *scene, calls bool) {
		w := newTown(t, s, map[string]any{"snat": false, "ipMasq": false}, port(8080)...)
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

// isClosed is that 127.0.0.1 leads to no port, and that the bridge was not opened for it.
func isClosed(t *testing.T, w *town, number uint16) {
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

// Without hostLocalhost everything is as usual but 127.0.0.1.
func TestWithoutLocalhost(t *testing.T) {
	bridgeNetfilter(t, func(t *testing.T, s *scene, _ bool) {
		w := newTown(t, s, map[string]any{"hostLocalhost": false}, port(8080)...)
		isHost := func(c try) bool { return c.to.Addr() == localhost[0] }
		all(t, slices.DeleteFunc(w.tries(8080, tcpAndUDP()...), isHost))
		isClosed(t, w, 8080)
	})
}

// With masqAll the server sees an address of the host, whoever asks.
func TestMasqAll(t *testing.T) {
	bridgeNetfilter(t, func(t *testing.T, s *scene, _ bool) {
		w := newTown(t, s, map[string]any{"masqAll": true}, port(8080)...)
		tries := w.tries(8080, tcpAndUDP()...)
		for i := range tries {
			tries[i].saw = w.host
		}
		all(t, tries)
	})
}

// counters are what a table of the test's own has counted, by name.
func counters(t *testing.T, s *scene) map[string]string {
	t.Helper()
	counted := map[string]string{}
	listing := s.Run(t, "nft", "list", "counters", "table", "inet", "witness")
	for _, m := range regexp.MustCompile(`counter (\w+) \{\s*packets (\d+)`).FindAllStringSubmatch(listing, -1) {
		counted[m[1]] = m[2]
	}
	return counted
}

// witness adds a table of the test's own, until the test ends.
func witness(t *testing.T, s *scene, lines ...string) {
	t.Helper()
	s.Run(t, "nft", "table inet witness {\n"+strings.Join(lines, "\n")+"\n}")
	t.Cleanup(func() { s.Run(t, "nft", "delete table inet witness") })
}

// Packets to a port of a network with markMasqBit 20 have that bit, and not the usual one, and are
// reached from every direction all the same; the bits of other marks stay.
func TestMarkMasqBit(t *testing.T) {
	bridgeNetfilter(t, func(t *testing.T, s *scene, _ bool) {
		witness(t, s, "counter translated { }", "counter marked { }", "counter usual { }", "counter lost { }",
			"chain count { counter name translated; meta mark 0x100005 counter name marked; "+
				"meta mark & 0x2000 != 0 counter name usual; meta mark & 0x5 != 0x5 counter name lost; }",
			"chain raw { type filter hook prerouting priority raw; th dport 8080 meta mark set 0x5; }",
			"chain out { type filter hook output priority raw; th dport 8080 meta mark set 0x5; }",
			"chain post { type filter hook postrouting priority 99; ct state new ct status dnat goto count; }")
		w := newTown(t, s, map[string]any{"markMasqBit": 20}, port(8080)...)
		all(t, w.tries(8080, tcpAndUDP()...))
		got := counters(t, s)
		if got["translated"] == "0" || got["marked"] != got["translated"] || got["usual"] != "0" || got["lost"] != "0" {
			t.Errorf("the marks of packets: %v", got)
		}
	})
}

// A packet to a port that is not published has the mark that somebody gave it, with the bit or without.
func TestMarksOfOthers(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	witness(t, s, "counter bit { }", "counter other { }", "counter wrong { }",
		"chain raw { type filter hook prerouting priority raw; th dport 7001 meta mark set 0x2000; th dport 7002 meta mark set 0x1; }",
		"chain in { type filter hook input priority filter; iifname != up0 accept; th dport 7001 meta mark 0x2000 counter name bit accept; "+
			"th dport 7002 meta mark 0x1 counter name other accept; th dport 7001-7002 counter name wrong; }")
	w := newTown(t, s, nil, port(8080)...)
	serve(t, s.Netns, uplink, 7001, 7002)
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

// A service of somebody else, as kube-proxy makes them, between pods of one bridge: the backend sees
// the pod, although both have ports of their own.
func TestServicesOfOthers(t *testing.T) {
	bridgeNetfilter(t, func(t *testing.T, s *scene, calls bool) {
		w := newTown(t, s, nil, port(8080)...)
		pod := s.server(t, "pod", w.near, port(8081)...)
		witness(t, s, "chain pre { type nat hook prerouting priority dstnat - 1;",
			"ip daddr 10.96.0.10 meta l4proto { tcp, udp } dnat ip to "+w.web.addrs[0].String(),
			"ip6 daddr fd00:96::10 meta l4proto { tcp, udp } dnat ip6 to "+w.web.addrs[1].String(), "}")
		for _, service := range []string{"10.96.0.10", "[fd00:96::10]"} { // the service is not ours to end
			s.Allow("flow udp " + service + ":80 to ")
		}
		var tries []try
		for i, service := range addrs("10.96.0.10", "fd00:96::10") {
			for _, from := range []*box{pod, w.neighbour} {
				for _, proto := range tcpAndUDP() {
					c := try{from: from.Netns, proto: proto, to: netip.AddrPortFrom(service, 80), saw: []netip.Addr{from.addrs[i]}}
					switch {
					case calls: // else the answer goes to the pod directly, as it does without Patchbay
						c.server = "web"
					case proto == "udp":
						c.oneWay = "web"
					}
					tries = append(tries, c)
				}
			}
		}
		all(t, tries)
		all(t, w.tries(8080, "tcp")) // and the same pods by published ports
	})
}

// Where the host's own firewall drops what is forwarded but for connections that are translated, the
// published port is reached, and the others of the container are not.
func TestUnpublishedPortBehindAFirewall(t *testing.T) {
	bridgeNetfilter(t, func(t *testing.T, s *scene, _ bool) {
		w := newTown(t, s, nil, port(8080)...)
		serve(t, w.web.Netns, w.web.addrs, 81)
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
		all(t, direct(map[uint16]string{80: "web", 81: "web:81"})) // by its own address, while nobody drops
		witness(t, s, "chain forward { type filter hook forward priority filter; policy drop; ct state established,related accept; ct status dnat accept; }")
		s.Run(t, "nft", "add rule inet witness forward iifname != up0 accept")
		all(t, append(direct(map[uint16]string{80: "", 81: ""}), w.tries(8080, tcpAndUDP()...)...))
	})
}
