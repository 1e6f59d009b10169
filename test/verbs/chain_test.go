package verbs

import (
	"strings"
	"testing"

	types100 "github.com/containernetworking/cni/pkg/types/100"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// chained returns an attachment in a chain, after a plugin whose result was prev.
func chained(h *nettest.Node, c *nettest.Container, n, prev cni.Conf) *attachment {
	return on(h, c, n.With(cni.Conf{"prevResult": prev.With(cni.Conf{"cniVersion": n["cniVersion"]})}))
}

// tap creates what a plugin for virtual machines creates: a tap on the host, nothing in the container.
func tap(t *testing.T, h *nettest.Node) cni.Conf {
	t.Helper()
	ip(t, h.Netns, "tuntap add tap0 mode tap")
	ip(t, h.Netns, "link set tap0 address 02:00:00:00:53:77 up")
	h.Baseline()
	return cni.Conf{"interfaces": []cni.Conf{{"name": "tap0", "mac": "02:00:00:00:53:77"}}}
}

// vethResult creates a veth pair as a veth plugin does, and returns that plugin's result.
func vethResult(t *testing.T, h *nettest.Node, c *nettest.Container) cni.Conf {
	t.Helper()
	h.Veth("their0", c.Netns, "eth0")
	h.Baseline()
	return cni.Conf{
		"interfaces": []cni.Conf{{"name": "their0", "mac": h.MAC("their0")}, {"name": "eth0", "mac": c.MAC("eth0"), "sandbox": c.Path()}},
		"dns":        cni.Conf{"nameservers": []string{"192.0.2.53"}},
	}
}

// TestChainMakesTapABridgePort: the tap becomes a bridge port; the result is the previous one and the bridge.
//
// Claim: In a chain, `prevResult` is handled as CNI's CONVENTIONS require
func TestChainMakesTapABridgePort(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c := h.Container("c")
	a := chained(h, c, cni.Network(cni.Conf{"hairpinMode": true}), tap(t, h))
	r := a.add(t)
	expect.Equal(t, "ports", portsOf(t, h.Netns, "cni0"), []string{"tap0"})
	expect.Equal(t, "hairpin", hairpin(t, h, "tap0"), true)
	expect.Equal(t, "interfaces", r.Interfaces, []*types100.Interface{
		{Name: "tap0", Mac: "02:00:00:00:53:77"}, {Name: "cni0", Mac: h.MAC("cni0"), Mtu: 1500},
	})
	expect.Equal(t, "links in the container", ip(t, c.Netns, "-br link show type veth"), "")
}

// TestChainMakesVethABridgePort: the veth of another plugin becomes a bridge port, and its result is passed on whole.
//
// Claim: In a chain, `prevResult` is handled as CNI's CONVENTIONS require
func TestChainMakesVethABridgePort(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c := h.Container("c")
	a := chained(h, c, cni.Network(), vethResult(t, h, c))
	r := a.add(t)
	expect.Equal(t, "ports", portsOf(t, h.Netns, "cni0"), []string{"their0"})
	expect.Equal(t, "interfaces", []string{r.Interfaces[0].Name, r.Interfaces[1].Name, r.Interfaces[2].Name}, []string{"their0", "eth0", "cni0"})
	expect.Equal(t, "sandbox", r.Interfaces[1].Sandbox, c.Path())
	expect.Equal(t, "dns", r.DNS.Nameservers, []string{"192.0.2.53"})
	a.check(t)
}

// TestChainKeepsAddressesOfPreviousPlugin: the previous plugin's addresses stay in the result and on the interface.
func TestChainKeepsAddressesOfPreviousPlugin(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c := h.Container("c")
	prev := vethResult(t, h, c)
	c.AddAddress("eth0", "192.0.2.7/24")
	h.Baseline()
	a := chained(h, c, cni.Network(), prev.With(cni.Conf{
		"ips": []cni.Conf{{"address": "192.0.2.7/24", "interface": 1}}, "routes": []cni.Conf{{"dst": "198.51.100.0/24", "gw": "192.0.2.1"}},
	}))
	r := a.add(t)
	expect.Equal(t, "addresses", addresses(r), []string{"192.0.2.7/24"})
	expect.Equal(t, "routes", routesText(r), []string{"198.51.100.0/24 192.0.2.1 0"})
	a.check(t)
	a.del(t)
	expect.Equal(t, "address after DEL", addressesOf(t, c.Netns, "eth0"), []string{"192.0.2.7/24"})
}

// TestChainDelKeepsTheInterface: deleting the interface is left to the plugin that created it.
//
// Claim: In a chain, `prevResult` is handled as CNI's CONVENTIONS require
func TestChainDelKeepsTheInterface(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c := h.Container("c")
	a := chained(h, c, cni.Network(), tap(t, h))
	a.add(t)
	a.del(t)
	expect.Equal(t, "tap0", hasLink(t, h.Netns, "tap0"), true)
	expect.Equal(t, "ports", len(portsOf(t, h.Netns, "cni0")), 0)
	noLeaks(t, h)
	a.del(t)
	noLeaks(t, h)
}

// TestChainDelAfterTheInterfaceIsGone: plugins of a chain are called in reverse order, but the tap may be deleted
// before.
func TestChainDelAfterTheInterfaceIsGone(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	a := chained(h, h.Container("c"), cni.Network(), tap(t, h))
	a.add(t)
	ip(t, h.Netns, "link del tap0")
	h.Allow("link tap0")
	a.del(t)
	expect.Equal(t, "records", len(files(t, h, "/run/patchbay/net")), 0)
}

// TestChainDelKeepsNewTapOfSameName: the tap of a virtual machine was deleted, the next machine has a tap of the same
// name on the same bridge, and then the first one's DEL comes.
//
// Claim: DEL removes only what carries this attachment's own hash
func TestChainDelKeepsNewTapOfSameName(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	prev := tap(t, h)
	first := chained(h, h.Container("first"), cni.Network(), prev)
	first.add(t)
	ip(t, h.Netns, "link del tap0")
	ip(t, h.Netns, "tuntap add tap0 mode tap")
	ip(t, h.Netns, "link set tap0 address 02:00:00:00:53:77 up")
	second := chained(h, h.Container("second"), cni.Network(), prev)
	second.add(t)
	first.del(t)
	expect.Equal(t, "ports", portsOf(t, h.Netns, "cni0"), []string{"tap0"})
	second.check(t)
	second.del(t)
	expect.Equal(t, "ports in the end", len(portsOf(t, h.Netns, "cni0")), 0)
}

// TestChainDelLeavesInterfaceInAnotherBridge: it was moved there after ADD.
func TestChainDelLeavesInterfaceInAnotherBridge(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	a := chained(h, h.Container("c"), cni.Network(), tap(t, h))
	a.add(t)
	ip(t, h.Netns, "link add br9 type bridge")
	ip(t, h.Netns, "link set tap0 master br9")
	a.del(t)
	expect.Equal(t, "ports of the other bridge", portsOf(t, h.Netns, "br9"), []string{"tap0"})
	ip(t, h.Netns, "link del br9")
}

// TestChainAssignsAddresses: ADD assigns addresses to the interface of the plugin before; DEL removes these and no
// others.
//
// Claim: In a chain, `prevResult` is handled as CNI's CONVENTIONS require
func TestChainAssignsAddresses(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c := h.Container("c")
	a := chained(h, c, cni.Network(cni.DefaultGateway(), cni.Pool("10.1.0.0/24", "fd00:1::/64")), vethResult(t, h, c))
	r := a.add(t)
	expect.Equal(t, "addresses", addresses(r), []string{"10.1.0.2/24", "fd00:1::2/64"})
	expect.Equal(t, "interface", []int{*r.IPs[0].Interface, *r.IPs[1].Interface}, []int{1, 1})
	expect.Equal(t, "routes", routesText(r), []string{"0.0.0.0/0 10.1.0.1 0", "::/0 fd00:1::1 0"})
	ping(t, c.Netns, "10.1.0.1")
	ping(t, c.Netns, "fd00:1::1")
	a.check(t)
	a.del(t)
	expect.Equal(t, "addresses after DEL", len(addressesOf(t, c.Netns, "eth0")), 0)
	expect.Equal(t, "routes after DEL", len(routesOf(t, c.Netns, "eth0")), 0)
	expect.Equal(t, "eth0", hasLink(t, c.Netns, "eth0"), true)
	noLeaks(t, h)
}

// TestChainDelKeepsTheNextNamespaceAtThePath: another namespace at the path has an eth0 with the same address.
//
// Claim: A namespace is identified by its cookie: another namespace at the same path is another one, for ADD and for DEL
func TestChainDelKeepsTheNextNamespaceAtThePath(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c, d := h.Container("c"), h.Container("d")
	a := chained(h, c, cni.Network(cni.Pool("10.1.0.0/24")), vethResult(t, h, c))
	a.add(t)
	h.Veth("other0", d.Netns, "eth0")
	d.AddAddress("eth0", "10.1.0.2/24")
	back := moved(t, h, c, d)
	a.del(t)
	back()
	expect.Equal(t, "address at the path", addressesOf(t, d.Netns, "eth0"), []string{"10.1.0.2/24"})
	ip(t, h.Netns, "link del other0")
	ip(t, c.Netns, "addr del 10.1.0.2/24 dev eth0")
}

// TestChainAssignsAddressesToTheGuest: the addresses for the guest of a tap are reserved and in the result; there is
// no interface in the container to assign them to.
func TestChainAssignsAddressesToTheGuest(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	a := chained(h, h.Container("c"), cni.Network(cni.Gateway(), cni.Pool("10.1.0.0/24")), tap(t, h))
	r := a.add(t)
	expect.Equal(t, "addresses", addresses(r), []string{"10.1.0.2/24"})
	expect.Equal(t, "reserved", files(t, h, addressDir(a))["10.1.0.2"], a.id+"\r\neth0")
	expect.Equal(t, "gateway", addressesOf(t, h.Netns, "cni0"), []string{"10.1.0.1/24"})
	a.check(t)
}

// TestChainCheck: CHECK reports each change since ADD.
//
// Claim: In a chain, `prevResult` is handled as CNI's CONVENTIONS require
func TestChainCheck(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, outside, want string }{
		{"unplugged", "link set tap0 nomaster", "host link tap0 is not a port of bridge cni0"},
		{"gone", "link del tap0", "host link tap0 no longer exists"},
		{"bridge gone", "link del cni0", "interface cni0: no such interface"},
		{"hairpin", "link set tap0 type bridge_slave hairpin on", "hairpin mode of tap0 is true"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := nettest.Host(t)
			a := chained(h, h.Container("c"), cni.Network(), tap(t, h))
			h.Allow("link tap0") // one row deletes it
			a.add(t)
			a.check(t)
			ip(t, h.Netns, tt.outside)
			expect.Contains(t, a.drift(t), tt.want)
		})
	}
}

// TestChainInEveryVersion: in every version whose results have interfaces.
func TestChainInEveryVersion(t *testing.T) {
	t.Parallel()
	for _, version := range versions()[2:] {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			h := nettest.Host(t)
			a := chained(h, h.Container("c"), cni.Network(cni.Conf{"cniVersion": version}), tap(t, h))
			a.add(t)
			expect.Contains(t, string(a.prev), `"cniVersion": "`+version+`"`)
			expect.Equal(t, "ports", portsOf(t, h.Netns, "cni0"), []string{"tap0"})
		})
	}
}

// TestChainKeepsMACOfAdoptedBridge: although the MAC of a tap may be lower than the network card's.
func TestChainKeepsMACOfAdoptedBridge(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	adopted(t, h, "52:54:00:00:53:10")
	a := chained(h, h.Container("c"), cni.Network(cni.Conf{"bridge": "br0"}), tap(t, h))
	a.add(t)
	expect.Equal(t, "MAC", h.MAC("br0"), "52:54:00:00:53:10")
	a.del(t)
	expect.Equal(t, "MAC after DEL", h.MAC("br0"), "52:54:00:00:53:10")
}

// TestChainWithoutHostInterface: if prevResult has no host interface of this container ADD creates a veth pair, as
// without a chain.
//
// Claim: ADD creates a veth pair if `prevResult` names no host interface of this container; the lists of Nomad, BuildKit and Apptainer
// work, with loopback first; interfaces of the host and of other containers never become bridge ports
func TestChainWithoutHostInterface(t *testing.T) {
	t.Parallel()
	for name, prev := range map[string]cni.Conf{
		"none":   {"interfaces": []cni.Conf{}},
		"inside": {"interfaces": []cni.Conf{{"name": "lo", "sandbox": "/run/netns/c"}}},
		"gone":   {"interfaces": []cni.Conf{{"name": "tap9"}}},
		"bridge": {"interfaces": []cni.Conf{{"name": "br9"}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := nettest.Host(t)
			h.Bridge("br9")
			h.Baseline()
			a := chained(h, h.Container("c"), cni.Network(), prev)
			r := a.add(t)
			expect.Equal(t, "ports", portsOf(t, h.Netns, "cni0"), []string{hostEnd(t, r)})
			expect.Equal(t, "interfaces of before and ours", len(r.Interfaces), 3+len(prev["interfaces"].([]cni.Conf)))
			a.check(t)
		})
	}
}

// TestChainOfAnotherBridgesPort: ADD fails because the interface is in use.
func TestChainOfAnotherBridgesPort(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	prev := tap(t, h)
	h.Bridge("br9")
	h.Plug("tap0", "br9")
	h.Baseline()
	a := chained(h, h.Container("c"), cni.Network(cni.Pool("10.1.0.0/24")), prev)
	e := a.run(t, "ADD").Error(t)
	expect.Contains(t, e.Msg, "tap0", "another bridge")
	expect.Equal(t, "ports", portsOf(t, h.Netns, "br9"), []string{"tap0"})
	noLeaks(t, h)
}

// TestChainAfterReferencePtp: a veth pair that a real plugin created becomes a bridge port.
//
// Claim: In a chain, `prevResult` is handled as CNI's CONVENTIONS require
func TestChainAfterReferencePtp(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c := h.Container("c")
	first := delegating(t, h, c, cni.Conf{
		"cniVersion": "1.0.0", "name": "net", "type": "ptp",
		"ipam": cni.Conf{"type": "patchbay", "ranges": [][]cni.Conf{{{"subnet": "10.1.0.0/24"}}}, "dataDir": "/run/ptp"},
	})
	first.conf["name"] = "first"
	r := first.add(t)
	a := on(h, c, cni.Network(cni.Conf{"cniVersion": "1.0.0", "prevResult": first.prev}))
	a.add(t)
	expect.Equal(t, "ports", portsOf(t, h.Netns, "cni0"), []string{r.Interfaces[0].Name})
	a.check(t)
	a.del(t)
	expect.Equal(t, "ports after DEL", len(portsOf(t, h.Netns, "cni0")), 0)
	first.check(t)
	if !strings.HasPrefix(r.Interfaces[0].Name, "veth") || !hasLink(t, h.Netns, r.Interfaces[0].Name) {
		t.Errorf("the host interface was deleted: %v", r.Interfaces)
	}
}
