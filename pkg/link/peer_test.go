package link_test

import (
	"net/netip"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// TestPeerInSandbox: the namespace of the other end decides, not its index or name, which the peer of another veth can have too.
//
// Claim: ADD creates a veth pair if `prevResult` names no host interface of this container; the lists of Nomad, BuildKit and Apptainer
// work, with loopback first; interfaces of the host and of other containers never become bridge ports
func TestPeerInSandbox(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c, other := h.Container("c"), h.Container("other")
	h.Veth("mine", c.Netns, "eth0")
	h.Veth("theirs", other.Netns, "eth0") // of the same index there
	h.Veth("here", h.Netns, "here2")
	h.Bridge("br0")
	h.Baseline()
	host := in(t, h)
	h.Do(func() {
		sandbox, err := link.OpenSandbox(c.Path(), false)
		if err != nil {
			t.Fatal(err)
		}
		defer sandbox.Close()
		for name, want := range map[string]bool{"mine": true, "theirs": false, "here": false, "br0": false, "lo": false} {
			l, err := host.Link(name)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := host.PeerInSandbox(l, sandbox); got != want || err != nil {
				t.Errorf("peer of %s is in the container: %t, %v, want %t", name, got, err, want)
			}
		}
	})
}

// TestRoutesThrough: default routes and routes through a router count, routes to a connected subnet do not.
func TestRoutesThrough(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		routes []string
		want   bool
	}{
		{nil, false},
		{[]string{"route add 198.51.100.7 dev wire scope link", "-6 route add 2001:db8:9::/64 dev wire"}, false},
		{[]string{"route add default dev wire"}, true},
		{[]string{"-6 route add default dev wire table 100"}, true},
		{[]string{"route add 198.51.100.0/24 via 192.0.2.9"}, true},
		{[]string{"-6 route add 2001:db8:9::/64 via 2001:db8::9 table 100"}, true},
		{[]string{"route add default nexthop via 192.0.2.9 nexthop via 203.0.113.9"}, true},
		{[]string{"route add default via 203.0.113.9"}, false},
	} {
		h := nettest.Host(t)
		peer := h.Container("peer")
		h.Veth("wire", peer.Netns, "wire")
		h.Veth("wire2", peer.Netns, "wire2")
		h.AddAddress("wire", "192.0.2.1/24", "2001:db8::1/64")
		h.AddAddress("wire2", "203.0.113.1/24")
		for _, route := range tc.routes {
			h.Run(t, "sh", "-c", "ip "+route)
		}
		h.Baseline()
		host := in(t, h)
		l, err := host.Link("wire")
		if err != nil {
			t.Fatal(err)
		}
		if got, err := host.RoutesThrough(l.Index); got != tc.want || err != nil {
			t.Errorf("%q: %t, %v, want %t", tc.routes, got, err, tc.want)
		}
		if address, err := host.AddressedByHost(l.Index); address != netip.MustParsePrefix("192.0.2.1/24") || err != nil {
			t.Errorf("address %s, %v", address, err)
		}
	}
}
