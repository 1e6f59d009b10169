package ports

import (
	"net/netip"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// citizen is somebody who asks and is asked: a container, or the machine outside.
type citizen struct {
	*nettest.Netns
	addrs  []netip.Addr
	net    string // the network's name; "" outside
	policy string // open, same-bridge, isolated; "" outside
	port   uint16 // which it publishes; 0 for none
}

// city is two containers on a network of each policy, and one on another network of each of the
// policies that keep apart; each publishes a port.
func city(t *testing.T, s *scene) []citizen {
	t.Helper()
	serve(t, s.outside.Netns, faraway, 80)
	all := []citizen{{s.outside.Netns, faraway, "", "", 0}}
	for i, c := range []struct{ name, net, policy string }{
		{"o1", "open", "open"},
		{"o2", "open", "open"},
		{"s1", "same", "same-bridge"},
		{"s2", "same", "same-bridge"},
		{"s3", "same2", "same-bridge"},
		{"i1", "isol", "isolated"},
		{"i2", "isol", "isolated"},
		{"i3", "isol2", "isolated"},
	} {
		number := map[string]int{"open": 81, "same": 82, "same2": 83, "isol": 84, "isol2": 85}[c.net]
		published := uint16(8000 + i)
		b := s.server(t, c.name, network{name: c.net, n: number, keys: map[string]any{"ingressPolicy": c.policy}}, port(published)...)
		all = append(all, citizen{b.Netns, b.addrs, c.net, c.policy, published})
	}
	return all
}

// reaches is the promise of ingressPolicy for connections to a container's own address.
func (c citizen) reaches(to citizen) bool {
	switch {
	case c.net == to.net:
		return c.policy != "isolated"
	case c.net == "" || to.net == "": // the outside is not what a policy is about
		return true
	}
	return c.policy == "open" || to.policy == "open"
}

// reachesPort is the promise for published ports: they are reached but by neighbours of an isolated network.
func (c citizen) reachesPort(to citizen) bool {
	return c.Netns == to.Netns || c.net != to.net || c.policy != "isolated"
}

// Who reaches whom, by the container's own address and by a published port: every pair, both families and protocols.
func TestIngressPolicy(t *testing.T) {
	bridgeNetfilter(t, func(t *testing.T, s *scene, _ bool) {
		citizens := city(t, s)
		var tries []try
		add := func(from, to citizen, by []netip.AddrPort, may bool) {
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
		for _, from := range citizens {
			for _, to := range citizens {
				if from.Netns != to.Netns {
					add(from, to, at(80, to.addrs...), from.reaches(to))
				}
				if to.port != 0 {
					add(from, to, at(to.port, uplink...), from.reachesPort(to))
				}
			}
		}
		for _, to := range citizens[1:] {
			host := citizen{Netns: s.Netns}
			add(host, to, at(80, to.addrs...), true)
			add(host, to, at(to.port, append(uplink[:2:2], localhost...)...), true)
		}
		all(t, tries)
	})
}

// detour sends what is for a neighbour to the gateway, which would route it back to the bridge.
func detour(t *testing.T, from, to *box, n network) {
	t.Helper()
	for i, gateway := range n.gateway() {
		way := []string{to.addrs[i].String(), "via", gateway.String(), "dev", "eth0"}
		ip := func(verb string) { from.Run(t, "ip", append([]string{"route", verb}, way...)...) }
		ip("add")
		t.Cleanup(func() { ip("del") })
	}
}

// Neighbours of an isolated network do not reach each other by their gateway either.
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
		all(t, tries("two")) // there, though the answer does not come back: the test could have failed
	})
}
