package ports

import (
	"net/netip"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// endpoint is a client and a server: a container, or the machine outside.
type endpoint struct {
	*nettest.Netns
	addrs  []netip.Addr
	net    string // the network's name; "" outside
	policy string // open, same-bridge, isolated, published; "" outside
	port   uint16 // its published port; 0 for none
}

// policyHosts attaches two containers to a network of each policy, and one to a second network of each
// restrictive policy; each publishes a port.
func policyHosts(t *testing.T, s *scene) []endpoint {
	t.Helper()
	listen(t, s.outside.Netns, faraway, 80)
	all := []endpoint{{s.outside.Netns, faraway, "", "", 0}}
	for i, c := range []struct{ name, net, policy string }{
		{"o1", "open", "open"},
		{"o2", "open", "open"},
		{"s1", "same", "same-bridge"},
		{"s2", "same", "same-bridge"},
		{"s3", "same2", "same-bridge"},
		{"i1", "isol", "isolated"},
		{"i2", "isol", "isolated"},
		{"i3", "isol2", "isolated"},
		{"p1", "publ", "published"},
		{"p2", "publ", "published"},
		{"p3", "publ2", "published"},
	} {
		number := map[string]int{"open": 81, "same": 82, "same2": 83, "isol": 84, "isol2": 85, "publ": 86, "publ2": 87}[c.net]
		published := uint16(8000 + i)
		b := s.server(t, c.name, network{name: c.net, n: number, keys: map[string]any{"ingressPolicy": c.policy}}, port(published)...)
		all = append(all, endpoint{b.Netns, b.addrs, c.net, c.policy, published})
	}
	return all
}

// reaches reports whether ingressPolicy allows connections to a container's own address.
func (c endpoint) reaches(to endpoint) bool {
	switch {
	case c.net == to.net:
		return c.policy != "isolated"
	case to.policy == "published": // also from the outside
		return false
	case c.net == "" || to.net == "": // the other policies do not concern the outside
		return true
	}
	return c.policy == "open" || to.policy == "open"
}

// reachesPort reports whether a published port is reachable: by all except neighbours of an isolated network.
func (c endpoint) reachesPort(to endpoint) bool {
	return c.Netns == to.Netns || c.net != to.net || c.policy != "isolated"
}

// TestIngressPolicy: connections of every pair, to the container's own address and to its published port, over both families and protocols.
//
// Claim: ingressPolicy open, same-bridge, isolated and published decide who reaches whom, by the address, a published port and the gateway,
// with bridge-nf-call 0 and 1
func TestIngressPolicy(t *testing.T) {
	bridgeNetfilter(t, func(t *testing.T, s *scene, _ bool) {
		endpoints := policyHosts(t, s)
		var tries []try
		add := func(from, to endpoint, by []netip.AddrPort, may bool) {
			for _, where := range by {
				for _, proto := range tcpAndUDP() {
					c := try{from: from.Netns, proto: proto, to: where}
					if may {
						c.server = to.Name()
					}
					tries = append(tries, c)
				}
			}
		}
		for _, from := range endpoints {
			for _, to := range endpoints {
				if from.Netns != to.Netns {
					add(from, to, at(80, to.addrs...), from.reaches(to))
				}
				if to.port != 0 {
					add(from, to, at(to.port, uplink...), from.reachesPort(to))
				}
			}
		}
		for _, to := range endpoints[1:] {
			host := endpoint{Netns: s.Netns}
			add(host, to, at(80, to.addrs...), true)
			add(host, to, at(to.port, append(uplink[:2:2], localhost...)...), true)
		}
		all(t, tries)
	})
}

// detour routes packets for a neighbour through the gateway, which would route them back to the bridge.
func detour(t *testing.T, from, to *box, n network) {
	t.Helper()
	for i, gateway := range n.gateway() {
		way := []string{to.addrs[i].String(), "via", gateway.String(), "dev", "eth0"}
		ip := func(verb string) { from.Run(t, "ip", append([]string{"route", verb}, way...)...) }
		ip("add")
		t.Cleanup(func() { ip("del") })
	}
}

// TestIsolatedByTheGateway: neighbours of an isolated network do not reach each other through their gateway either.
//
// Claim: ingressPolicy open, same-bridge, isolated and published decide who reaches whom, by the address, a published port and the gateway,
// with bridge-nf-call 0 and 1
func TestIsolatedByTheGateway(t *testing.T) {
	bridgeNetfilter(t, func(t *testing.T, s *scene, _ bool) {
		n := network{name: "isol", n: 81, keys: map[string]any{"ingressPolicy": "isolated"}}
		one, two := s.server(t, "one", n), s.server(t, "two", n)
		detour(t, one, two, n)
		s.SetSysctl("net/ipv4/conf/cni81/send_redirects", "0")
		tries := func(heardBy string) (tries []try) {
			for _, to := range at(80, two.addrs...) {
				tries = append(tries, try{from: one.Netns, proto: "udp", to: to, oneWay: heardBy})
			}
			return tries
		}
		all(t, tries(""))
		s.Run(t, "nft", "delete element inet patchbay apart { cni81 . cni81 }")
		s.Run(t, "nft", "delete element inet patchbay isolated { cni81 }")
		all(t, tries("two")) // the request arrives (the reply does not): the test is able to fail
	})
}
