package verbs

import (
	"fmt"
	"testing"

	types100 "github.com/containernetworking/cni/pkg/types/100"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// routesText returns "dst gateway metric" of each route of a result.
func routesText(r *types100.Result) []string {
	var out []string
	for _, one := range r.Routes {
		out = append(out, fmt.Sprintf("%s %s %d", one.Dst.String(), one.GW, one.Priority))
	}
	return out
}

// twoNetworks attaches one container to two networks.
func twoNetworks(t *testing.T) (h *nettest.Node, c *nettest.Container, a, b *attachment) {
	t.Helper()
	h = nettest.Host(t)
	c = h.Container("c")
	first, second := pair()
	a, _ = attach(t, h, c, first)
	b = on(h, c, second)
	b.ifname = "eth1"
	b.add(t)
	return h, c, a, b
}

// TestSecondDefaultRouteGetsAMetric: the second default route gets a higher metric, in both families; the first is
// unchanged.
//
// Claim: ADD attaches a container to several networks; a second default route gets its own metric
func TestSecondDefaultRouteGetsAMetric(t *testing.T) {
	t.Parallel()
	_, c, _, _ := twoNetworks(t)
	expect.Equal(t, "routes of the first", routesOf(t, c.Netns, "eth0"), []route{
		{Dst: "0.0.0.0/0", GW: "10.1.0.1", Table: mainTable},
		{Dst: "::/0", GW: "fd00:1::1", Priority: 1024, Table: mainTable},
	})
	expect.Equal(t, "routes of the second", routesOf(t, c.Netns, "eth1"), []route{
		{Dst: "0.0.0.0/0", GW: "10.2.0.1", Priority: 100, Table: mainTable},
		{Dst: "::/0", GW: "fd00:2::1", Priority: 1124, Table: mainTable},
	})
}

// TestSecondDefaultRouteIsReported: the result has the route with its metric.
//
// Claim: ADD attaches a container to several networks; a second default route gets its own metric
func TestSecondDefaultRouteIsReported(t *testing.T) {
	t.Parallel()
	_, _, _, b := twoNetworks(t)
	expect.Equal(t, "routes", routesText(b.result(t)), []string{"0.0.0.0/0 10.2.0.1 100", "::/0 fd00:2::1 1124"})
}

// TestThirdDefaultRouteGetsTheNextMetric: and CHECK of all three attachments succeeds.
func TestThirdDefaultRouteGetsTheNextMetric(t *testing.T) {
	t.Parallel()
	h, c, a, b := twoNetworks(t)
	third := on(h, c, cni.Network(cni.DefaultGateway(), cni.Pool("10.3.0.0/24"), cni.Conf{"name": "third", "bridge": "cni2"}))
	third.ifname = "eth2"
	expect.Equal(t, "routes", routesText(third.add(t)), []string{"0.0.0.0/0 10.3.0.1 200"})
	for _, one := range []*attachment{a, b, third} {
		one.check(t)
	}
}

// TestBothNetworksAreReached: one container reaches the gateways of both networks.
//
// Claim: ADD attaches a container to several networks; a second default route gets its own metric
func TestBothNetworksAreReached(t *testing.T) {
	t.Parallel()
	_, c, _, _ := twoNetworks(t)
	for _, gateway := range []string{"10.1.0.1", "fd00:1::1", "10.2.0.1", "fd00:2::1"} {
		ping(t, c.Netns, gateway)
	}
}

// TestSecondNetworkTakesOver: after DEL on the first network the default route of the second is in effect.
func TestSecondNetworkTakesOver(t *testing.T) {
	t.Parallel()
	h, c, a, b := twoNetworks(t)
	a.del(t)
	expect.Equal(t, "eth0", hasLink(t, c.Netns, "eth0"), false)
	expect.Equal(t, "routes of the second", len(routesOf(t, c.Netns, "eth1")), 2)
	b.check(t)
	ping(t, c.Netns, "10.1.0.1") // the address of the first bridge, routed through the second network
	expect.Equal(t, "host forwards", h.Sysctl("net/ipv4/ip_forward"), "1")
}

// TestOneNetworkTwice: a container has two interfaces on one network.
//
// Claim: ADD attaches a container to several networks; a second default route gets its own metric
func TestOneNetworkTwice(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c := h.Container("c")
	n := cni.Network(cni.Gateway(), cni.Pool("10.1.0.0/24"))
	a, r := attach(t, h, c, n)
	b := on(h, c, n)
	b.ifname = "eth1"
	expect.Equal(t, "addresses", append(addresses(r), addresses(b.add(t))...), []string{"10.1.0.2/24", "10.1.0.3/24"})
	a.check(t)
	b.check(t)
	a.del(t)
	b.check(t)
	expect.Equal(t, "eth1", addressesOf(t, c.Netns, "eth1"), []string{"10.1.0.3/24"})
}
