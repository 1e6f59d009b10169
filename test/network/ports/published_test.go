package ports

import (
	"net/netip"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// TestPublishedICMP: with ingressPolicy published a container gets the replies to its pings and the ICMP errors about its own packets, and
// no pings from outside of its bridge. The machine outside routes to another one behind a link with a small MTU, and reports the packets
// that are too big for it.
//
// Claim: With ingressPolicy published the outside of the bridge reaches published ports alone; a container gets replies, and ICMP errors of
// path MTU discovery, of IPv4 and IPv6
func TestPublishedICMP(t *testing.T) {
	bridgeNetfilter(t, func(t *testing.T, s *scene, _ bool) {
		beyond, small := s.Container("beyond"), addrs("198.51.100.9", "2001:db8:0:4::9")
		s.outside.Veth("small0", beyond.Netns, "eth0")
		s.outside.AddAddress("small0", "198.51.100.1/24", "2001:db8:0:4::1/64")
		beyond.AddAddress("eth0", small[0].String()+"/24", small[1].String()+"/64")
		beyond.AddRoute("0.0.0.0/0", "198.51.100.1")
		beyond.AddRoute("::/0", "2001:db8:0:4::1")
		s.outside.Run(t, "ip", "link", "set", "small0", "mtu", "1300")
		beyond.Run(t, "ip", "link", "set", "eth0", "mtu", "1300")
		s.outside.SetSysctl("net/ipv4/ip_forward", "1")
		s.outside.SetSysctl("net/ipv6/conf/all/forwarding", "1")
		s.Run(t, "ip", "route", "add", "198.51.100.0/24", "via", faraway[0].String())
		s.Run(t, "ip", "route", "add", "2001:db8:0:4::/64", "via", faraway[1].String())
		s.Baseline()
		// Without masquerading: the outside has a route, and sends to the container's own address.
		n := network{name: "publ", n: 81, keys: map[string]any{"ingressPolicy": "published", "ipMasq": false}}
		p1, p2 := s.server(t, "p1", n), s.server(t, "p2", n)
		for i := range 2 {
			pings(t, p1.Netns, faraway[i], true)
			pings(t, p1.Netns, p2.addrs[i], true)
			pings(t, s.Netns, p1.addrs[i], true)
			pings(t, s.outside.Netns, p1.addrs[i], false)
			pings(t, beyond.Netns, p1.addrs[i], false)
			if got := tooBig(t, p1.Netns, small[i]); got != 1300 {
				t.Errorf("path MTU from p1 to %s: %d, want 1300", small[i], got)
			}
		}
		// The test is able to fail: without the rule pings from the outside arrive, and without answers no errors do.
		s.Run(t, "nft", "flush", "chain", "inet", "patchbay", "answers_only")
		pings(t, s.outside.Netns, p1.addrs[0], true)
		s.Run(t, "nft", "add", "rule", "inet", "patchbay", "answers_only", "drop")
		pings(t, p1.Netns, faraway[0], false)
	})
}

// tooBig sends packets that are too big for the path, and returns the path MTU that the namespace then has, 0 for none.
func tooBig(t *testing.T, from *nettest.Netns, to netip.Addr) int {
	t.Helper()
	for range 5 {
		from.Ping(to, nettest.PingOptions{Size: 1400}) // the first ones get an error instead of a reply
	}
	var mtu int
	from.Do(func() { mtu = pathMTU(t, to) })
	return mtu
}
