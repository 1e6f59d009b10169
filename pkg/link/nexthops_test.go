package link_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// TestGateways: the next hops through one interface, whatever form and table their route has.
//
// Claim: No container gets an address of the bridge, a gateway of the host or of the network's routes, or the network or broadcast
// address: the pool and sticky addresses skip it; a request for it, or an IPAM plugin that returns it, is refused
func TestGateways(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	h.Bridge("br0", "192.0.2.254/24", "2001:db8:1::ff/64")
	h.Bridge("br1", "198.51.100.1/24")
	for _, route := range []string{
		"203.0.113.0/27 via 192.0.2.2",
		"203.0.113.32/27 via 192.0.2.3 table 77",
		"203.0.113.64/27 nexthop via 192.0.2.4 dev br0 nexthop via 198.51.100.4 dev br1",
		"203.0.113.96/27 via 198.51.100.5",
		"203.0.113.128/27 via inet6 2001:db8:1::6 dev br0",
		"203.0.113.160/27 dev br0",
		"blackhole 203.0.113.192/27",
	} {
		h.Run(t, "ip", append([]string{"route", "add"}, strings.Fields(route)...)...)
	}
	for _, route := range []string{
		"2001:db8:7::/64 via 2001:db8:1::7",
		"2001:db8:8::/64 nexthop via 2001:db8:1::8 dev br0 nexthop via 2001:db8:1::9 dev br0",
		"unreachable 2001:db8:9::/64",
	} {
		h.Run(t, "ip", append([]string{"-6", "route", "add"}, strings.Fields(route)...)...)
	}
	h.Baseline()
	host := in(t, h)
	b, err := host.Bridge("br0")
	if err != nil {
		t.Fatal(err)
	}
	for is4, want := range map[bool]string{
		true:  "192.0.2.2 192.0.2.3 192.0.2.4 2001:db8:1::6",
		false: "2001:db8:1::7 2001:db8:1::8 2001:db8:1::9",
	} {
		found, err := host.Gateways(b.Index, is4)
		if err != nil {
			t.Fatal(err)
		}
		slices.SortFunc(found, netip.Addr.Compare)
		var texts []string
		for _, addr := range found {
			texts = append(texts, addr.String())
		}
		if got := strings.Join(texts, " "); got != want {
			t.Errorf("IPv4 %t: got %s, want %s", is4, got, want)
		}
	}
}
