package verbs

import (
	"testing"

	types100 "github.com/containernetworking/cni/pkg/types/100"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// TestResultHoldsAllInterfaces: bridge, host interface and container interface, in the reference's order, with MAC and
// MTU as the kernel has them.
//
// Claim: The result of ADD is complete, with mtu, MACs and sandbox
func TestResultHoldsAllInterfaces(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c := h.Container("c")
	_, r := attach(t, h, c, cni.Network(cni.DefaultGateway(), cni.Conf{"mtu": 1400}, cni.Pool("10.1.0.0/24")))
	host := hostEnd(t, r)
	expect.Equal(t, "interfaces", r.Interfaces, []*types100.Interface{
		{Name: "cni0", Mac: h.MAC("cni0"), Mtu: 1400},
		{Name: host, Mac: h.MAC(host), Mtu: 1400},
		{Name: "eth0", Mac: c.MAC("eth0"), Mtu: 1400, Sandbox: c.Path()},
	})
}

// TestResultAddressesPointToTheContainer, each with its gateway.
//
// Claim: The result of ADD is complete, with mtu, MACs and sandbox
func TestResultAddressesPointToTheContainer(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c := h.Container("c")
	_, r := attach(t, h, c, cni.Network(cni.Gateway(), cni.Pool("10.1.0.0/24", "10.2.0.0/16", "fd00:1::/64")))
	expect.Equal(t, "addresses", addresses(r), []string{"10.1.0.2/24", "10.2.0.2/16", "fd00:1::2/64"})
	for i, want := range []string{"10.1.0.1", "10.2.0.1", "fd00:1::1"} {
		expect.Equal(t, "gateway", r.IPs[i].Gateway.String(), want)
		expect.Equal(t, "interface", *r.IPs[i].Interface, 2)
	}
	expect.Equal(t, "in the kernel", addressesOf(t, c.Netns, "eth0"), []string{"10.1.0.2/24", "10.2.0.2/16", "fd00:1::2/64"})
}

// TestResultWithoutIPAM: the result has interfaces and nothing else.
//
// Claim: The result of ADD is complete, with mtu, MACs and sandbox
func TestResultWithoutIPAM(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	_, r := attach(t, h, h.Container("c"), cni.Network())
	expect.Equal(t, "interfaces, addresses, routes", []int{len(r.Interfaces), len(r.IPs), len(r.Routes)}, []int{3, 0, 0})
	expect.Equal(t, "dns", r.DNS.IsEmpty(), true)
}

func TestResultNamesTheInterfaceAsked(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c := h.Container("c")
	a := on(h, c, cni.Network())
	a.ifname = "lan-15-bytes-ok"
	expect.Equal(t, "name", a.add(t).Interfaces[2].Name, "lan-15-bytes-ok")
	expect.Equal(t, "up", isUp(t, c.Netns, "lan-15-bytes-ok"), true)
	a.check(t)
}
