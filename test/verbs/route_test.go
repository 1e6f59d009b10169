package verbs

import (
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

const mainTable = 254

// routed returns a network with routes.
func routed(routes ...cni.Conf) cni.Conf {
	return cni.Network(cni.Gateway(), cni.IPAM(cni.Conf{
		"ranges": [][]cni.Conf{{{"subnet": "10.1.0.0/24"}}, {{"subnet": "fd00:1::/64"}}},
		"routes": routes,
	}))
}

// TestRouteFieldsReachTheKernel: each field by itself and all together; CHECK compares them.
//
// Claim: ADD sets routes with every field of the specification
func TestRouteFieldsReachTheKernel(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		route cni.Conf
		want  route
	}{
		{"gateway of the network", cni.Conf{"dst": "198.51.100.0/24"}, route{Dst: "198.51.100.0/24", GW: "10.1.0.1"}},
		{"gw", cni.Conf{"dst": "198.51.100.0/24", "gw": "10.1.0.9"}, route{Dst: "198.51.100.0/24", GW: "10.1.0.9"}},
		{"mtu", cni.Conf{"dst": "198.51.100.0/24", "mtu": 1400}, route{Dst: "198.51.100.0/24", GW: "10.1.0.1", MTU: 1400}},
		{"advmss", cni.Conf{"dst": "198.51.100.0/24", "advmss": 1220}, route{Dst: "198.51.100.0/24", GW: "10.1.0.1", AdvMSS: 1220}},
		{"priority", cni.Conf{"dst": "198.51.100.0/24", "priority": 77}, route{Dst: "198.51.100.0/24", GW: "10.1.0.1", Priority: 77}},
		{"table", cni.Conf{"dst": "198.51.100.0/24", "table": 99}, route{Dst: "198.51.100.0/24", GW: "10.1.0.1", Table: 99}},
		{"scope", cni.Conf{"dst": "198.51.100.0/24", "scope": 200}, route{Dst: "198.51.100.0/24", GW: "10.1.0.1", Scope: 200}},
		{
			"all",
			cni.Conf{"dst": "198.51.100.0/24", "gw": "10.1.0.7", "mtu": 1400, "advmss": 1220, "priority": 77, "table": 99, "scope": 0},
			route{Dst: "198.51.100.0/24", GW: "10.1.0.7", MTU: 1400, AdvMSS: 1220, Priority: 77, Table: 99},
		},
		{
			"all for IPv6",
			cni.Conf{"dst": "2001:db8:9::/48", "gw": "fd00:1::7", "mtu": 1400, "advmss": 1220, "priority": 77, "table": 99},
			route{Dst: "2001:db8:9::/48", GW: "fd00:1::7", MTU: 1400, AdvMSS: 1220, Priority: 77, Table: 99},
		},
		{"IPv6", cni.Conf{"dst": "2001:db8:9::/48"}, route{Dst: "2001:db8:9::/48", GW: "fd00:1::1", Priority: 1024}},
		{"default", cni.Conf{"dst": "0.0.0.0/0"}, route{Dst: "0.0.0.0/0", GW: "10.1.0.1"}},
		{"default for IPv6", cni.Conf{"dst": "::/0"}, route{Dst: "::/0", GW: "fd00:1::1", Priority: 1024}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := nettest.Host(t)
			c := h.Container("c")
			a, _ := attach(t, h, c, routed(tt.route))
			if tt.want.Table == 0 {
				tt.want.Table = mainTable
			}
			expect.Equal(t, "routes", routesOf(t, c.Netns, "eth0"), []route{tt.want})
			a.check(t)
		})
	}
}

// TestRouteFieldsAreInTheResult: with their configured values.
//
// Claim: ADD sets routes with every field of the specification
func TestRouteFieldsAreInTheResult(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	_, r := attach(t, h, h.Container("c"), routed(
		cni.Conf{"dst": "198.51.100.0/24", "gw": "10.1.0.7", "mtu": 1400, "advmss": 1220, "priority": 77, "table": 99, "scope": 0},
		cni.Conf{"dst": "203.0.113.0/24"},
	))
	one, two := r.Routes[0], r.Routes[1]
	expect.Equal(t, "dst and gw", one.Dst.String()+" "+one.GW.String(), "198.51.100.0/24 10.1.0.7")
	expect.Equal(t, "numbers", []int{one.MTU, one.AdvMSS, one.Priority, *one.Table, *one.Scope}, []int{1400, 1220, 77, 99, 0})
	if two.Dst.String() != "203.0.113.0/24" || two.GW != nil || two.Table != nil || two.Scope != nil {
		t.Errorf("second route: %v", two)
	}
}

// TestRouteOnTheLink: a route of scope link has no gateway.
//
// Claim: ADD sets routes with every field of the specification
func TestRouteOnTheLink(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c := h.Container("c")
	a, _ := attach(t, h, c, cni.Network(cni.IPAM(cni.Conf{
		"ranges": [][]cni.Conf{{{"subnet": "10.1.0.0/24"}}},
		"routes": []cni.Conf{{"dst": "198.51.100.0/24", "scope": 253}},
	})))
	expect.Equal(t, "routes", routesOf(t, c.Netns, "eth0"), []route{{Dst: "198.51.100.0/24", Scope: 253, Table: mainTable}})
	a.check(t)
}

// TestSeveralRoutes: to one destination, with different metrics.
func TestSeveralRoutes(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c := h.Container("c")
	a, _ := attach(t, h, c, routed(
		cni.Conf{"dst": "0.0.0.0/0", "priority": 10}, cni.Conf{"dst": "0.0.0.0/0", "gw": "10.1.0.9", "priority": 20}, cni.Conf{"dst": "198.51.100.0/24"},
	))
	expect.Equal(t, "routes", routesOf(t, c.Netns, "eth0"), []route{
		{Dst: "0.0.0.0/0", GW: "10.1.0.1", Priority: 10, Table: mainTable},
		{Dst: "0.0.0.0/0", GW: "10.1.0.9", Priority: 20, Table: mainTable},
		{Dst: "198.51.100.0/24", GW: "10.1.0.1", Table: mainTable},
	})
	a.check(t)
}

// TestGatewayOutsideTheSubnet: the gateway gets an on-link route, where the host too reaches it over the bridge.
//
// Claim: A route to the network's own subnet works as with the reference plugin; a gateway outside the subnet must be reachable over the
// bridge
// Claim: ADD sets routes with every field of the specification
func TestGatewayOutsideTheSubnet(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	h.Bridge("br0", "192.0.2.10/24", "2001:db8::10/64")
	c := h.Container("c")
	routes := routed(cni.Conf{"dst": "198.51.100.0/24", "gw": "192.0.2.1"}, cni.Conf{"dst": "2001:db8:9::/48", "gw": "2001:db8::1"})
	a, _ := attach(t, h, c, routes.With(cni.Conf{"bridge": "br0", "isGateway": cni.Absent}))
	expect.Equal(t, "routes", routesOf(t, c.Netns, "eth0"), []route{
		{Dst: "198.51.100.0/24", GW: "192.0.2.1", Table: mainTable, Onlink: true},
		{Dst: "2001:db8:9::/48", GW: "2001:db8::1", Priority: 1024, Table: mainTable, Onlink: true},
	})
	a.check(t)
}

// TestIsDefaultGatewayAddsDefaultRoutes: one for each family that has a gateway; the result has them.
//
// Claim: The keys isGateway and isDefaultGateway work as documented
func TestIsDefaultGatewayAddsDefaultRoutes(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c := h.Container("c")
	_, r := attach(t, h, c, cni.Network(cni.DefaultGateway(), cni.Pool("10.1.0.0/24", "fd00:1::/64")))
	expect.Equal(t, "routes", routesOf(t, c.Netns, "eth0"), []route{
		{Dst: "0.0.0.0/0", GW: "10.1.0.1", Table: mainTable}, {Dst: "::/0", GW: "fd00:1::1", Priority: 1024, Table: mainTable},
	})
	expect.Equal(t, "routes in the result", routesText(r), []string{"0.0.0.0/0 10.1.0.1 0", "::/0 fd00:1::1 0"})
	expect.Equal(t, "addresses of the bridge", addressesOf(t, h.Netns, "cni0"), []string{"10.1.0.1/24", "fd00:1::1/64"})
}

// TestIsDefaultGatewayKeepsDefaultRouteOfIPAM: the section ipam has a default route with another gateway.
//
// Claim: The keys isGateway and isDefaultGateway work as documented
func TestIsDefaultGatewayKeepsDefaultRouteOfIPAM(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c := h.Container("c")
	a, _ := attach(t, h, c, routed(cni.Conf{"dst": "0.0.0.0/0", "gw": "10.1.0.9"}).With(cni.DefaultGateway()))
	expect.Equal(t, "routes", routesOf(t, c.Netns, "eth0"), []route{
		{Dst: "0.0.0.0/0", GW: "10.1.0.9", Table: mainTable}, {Dst: "::/0", GW: "fd00:1::1", Priority: 1024, Table: mainTable},
	})
	a.check(t)
}

// TestIsDefaultGatewayWithDefaultRouteWithoutGateway: many conflists have such a route; ADD creates one route, not
// two.
func TestIsDefaultGatewayWithDefaultRouteWithoutGateway(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c := h.Container("c")
	a, _ := attach(t, h, c, routed(cni.Conf{"dst": "0.0.0.0/0"}, cni.Conf{"dst": "::/0"}).With(cni.DefaultGateway()))
	expect.Equal(t, "routes", routesOf(t, c.Netns, "eth0"), []route{
		{Dst: "0.0.0.0/0", GW: "10.1.0.1", Table: mainTable}, {Dst: "::/0", GW: "fd00:1::1", Priority: 1024, Table: mainTable},
	})
	a.check(t)
}

// TestIsGatewayAddsNoRoute: the bridge gets the gateway address, the container only the route of its subnet.
//
// Claim: The keys isGateway and isDefaultGateway work as documented
func TestIsGatewayAddsNoRoute(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c := h.Container("c")
	a, r := attach(t, h, c, cni.Network(cni.Gateway(), cni.Pool("10.1.0.0/24")))
	expect.Equal(t, "routes", len(routesOf(t, c.Netns, "eth0")), 0)
	expect.Equal(t, "routes in the result", len(r.Routes), 0)
	ping(t, c.Netns, "10.1.0.1")
	a.check(t)
}

// TestWithoutGatewayTheHostIsUnchanged: ADD changes only the bridge.
func TestWithoutGatewayTheHostIsUnchanged(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c, d := h.Container("c"), h.Container("d")
	a, _ := attach(t, h, c, cni.Network(cni.Pool("10.1.0.0/24", "fd00:1::/64")))
	_, r := attach(t, h, d, cni.Network(cni.Pool("10.1.0.0/24", "fd00:1::/64")))
	expect.Equal(t, "addresses of the bridge", len(addressesOf(t, h.Netns, "cni0")), 0)
	expect.Equal(t, "forwarding", []string{h.Sysctl("net/ipv4/ip_forward"), h.Sysctl("net/ipv6/conf/all/forwarding")}, []string{"0", "0"})
	ping(t, c.Netns, addr(t, r, 0).String())
	ping(t, c.Netns, addr(t, r, 1).String())
	a.check(t)
}

// TestIsGatewayWithoutIPAMDoesNothing: as in the reference.
//
// Claim: The keys isGateway and isDefaultGateway work as documented
func TestIsGatewayWithoutIPAMDoesNothing(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	a, _ := attach(t, h, h.Container("c"), cni.Network(cni.DefaultGateway()))
	expect.Equal(t, "addresses of the bridge", len(addressesOf(t, h.Netns, "cni0")), 0)
	expect.Equal(t, "forwarding", h.Sysctl("net/ipv4/ip_forward"), "0")
	a.check(t)
}
