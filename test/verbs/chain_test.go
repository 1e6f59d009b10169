package verbs

import (
	"strings"
	"testing"

	types100 "github.com/containernetworking/cni/pkg/types/100"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/expect"
)

// chained is an attachment in a chain, after a plugin whose result prev was.
func chained(h *nettest.Node, c *nettest.Container, n, prev conf) *attachment {
	return on(h, c, n.with(conf{"prevResult": prev.with(conf{"cniVersion": n["cniVersion"]})}))
}

// tap makes what a plugin for virtual machines makes: a tap on the host, nothing in the container.
func tap(t *testing.T, h *nettest.Node) conf {
	t.Helper()
	ip(t, h.Netns, "tuntap add tap0 mode tap")
	ip(t, h.Netns, "link set tap0 address 02:00:00:00:53:77 up")
	h.Baseline()
	return conf{"interfaces": []conf{{"name": "tap0", "mac": "02:00:00:00:53:77"}}}
}

// cable makes what a veth plugin makes.
func cable(t *testing.T, h *nettest.Node, c *nettest.Container) conf {
	t.Helper()
	h.Veth("their0", c.Netns, "eth0")
	h.Baseline()
	return conf{
		"interfaces": []conf{{"name": "their0", "mac": h.MAC("their0")}, {"name": "eth0", "mac": c.MAC("eth0"), "sandbox": c.Path()}},
		"dns":        conf{"nameservers": []string{"192.0.2.53"}},
	}
}

// TestChainPlugsTap into the bridge; the result is the previous one and the bridge.
func TestChainPlugsTap(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c := h.Container("c")
	a := chained(h, c, network(conf{"hairpinMode": true}), tap(t, h))
	r := a.add(t)
	expect.Equal(t, "ports", portsOf(t, h.Netns, "cni0"), []string{"tap0"})
	expect.Equal(t, "hairpin", hairpin(t, h, "tap0"), true)
	expect.Equal(t, "interfaces", r.Interfaces, []*types100.Interface{
		{Name: "tap0", Mac: "02:00:00:00:53:77"}, {Name: "cni0", Mac: h.MAC("cni0"), Mtu: 1500},
	})
	expect.Equal(t, "links in the container", ip(t, c.Netns, "-br link show type veth"), "")
}

// TestChainPlugsVeth of another plugin, and passes on all that was there.
func TestChainPlugsVeth(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c := h.Container("c")
	a := chained(h, c, network(), cable(t, h, c))
	r := a.add(t)
	expect.Equal(t, "ports", portsOf(t, h.Netns, "cni0"), []string{"their0"})
	expect.Equal(t, "interfaces", []string{r.Interfaces[0].Name, r.Interfaces[1].Name, r.Interfaces[2].Name}, []string{"their0", "eth0", "cni0"})
	expect.Equal(t, "sandbox", r.Interfaces[1].Sandbox, c.Path())
	expect.Equal(t, "dns", r.DNS.Nameservers, []string{"192.0.2.53"})
	a.check(t)
}

// TestChainKeepsAddressesOfBefore in the result, and on the interface.
func TestChainKeepsAddressesOfBefore(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c := h.Container("c")
	prev := cable(t, h, c)
	c.AddAddress("eth0", "192.0.2.7/24")
	h.Baseline()
	a := chained(h, c, network(), prev.with(conf{
		"ips": []conf{{"address": "192.0.2.7/24", "interface": 1}}, "routes": []conf{{"dst": "198.51.100.0/24", "gw": "192.0.2.1"}},
	}))
	r := a.add(t)
	expect.Equal(t, "addresses", addresses(r), []string{"192.0.2.7/24"})
	expect.Equal(t, "routes", routesText(r), []string{"198.51.100.0/24 192.0.2.1 0"})
	a.check(t)
	a.del(t)
	expect.Equal(t, "address after DEL", addressesOf(t, c.Netns, "eth0"), []string{"192.0.2.7/24"})
}

// TestChainDelUnplugsAndLeavesTheInterface to who made it.
func TestChainDelUnplugsAndLeavesTheInterface(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c := h.Container("c")
	a := chained(h, c, network(), tap(t, h))
	a.add(t)
	a.del(t)
	expect.Equal(t, "tap0", hasLink(t, h.Netns, "tap0"), true)
	expect.Equal(t, "ports", len(portsOf(t, h.Netns, "cni0")), 0)
	noLeaks(t, h)
	a.del(t)
	noLeaks(t, h)
}

// TestChainDelAfterTheInterfaceIsGone: plugins of a chain are called backwards, but a tap may have died before.
func TestChainDelAfterTheInterfaceIsGone(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	a := chained(h, h.Container("c"), network(), tap(t, h))
	a.add(t)
	ip(t, h.Netns, "link del tap0")
	h.Allow("link tap0")
	a.del(t)
	expect.Equal(t, "records", len(files(t, h, "/run/patchbay/net")), 0)
}

// TestChainDelLeavesAnotherOfTheName: the tap of a machine that ended is gone, the next machine has
// one of the same name in the same bridge, and then comes the first one's DEL.
func TestChainDelLeavesAnotherOfTheName(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	prev := tap(t, h)
	first := chained(h, h.Container("first"), network(), prev)
	first.add(t)
	ip(t, h.Netns, "link del tap0")
	ip(t, h.Netns, "tuntap add tap0 mode tap")
	ip(t, h.Netns, "link set tap0 address 02:00:00:00:53:77 up")
	second := chained(h, h.Container("second"), network(), prev)
	second.add(t)
	first.del(t)
	expect.Equal(t, "ports", portsOf(t, h.Netns, "cni0"), []string{"tap0"})
	second.check(t)
	second.del(t)
	expect.Equal(t, "ports in the end", len(portsOf(t, h.Netns, "cni0")), 0)
}

// TestChainDelLeavesInterfaceInAnotherBridge, where somebody has moved it.
func TestChainDelLeavesInterfaceInAnotherBridge(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	a := chained(h, h.Container("c"), network(), tap(t, h))
	a.add(t)
	ip(t, h.Netns, "link add br9 type bridge")
	ip(t, h.Netns, "link set tap0 master br9")
	a.del(t)
	expect.Equal(t, "ports of the other bridge", portsOf(t, h.Netns, "br9"), []string{"tap0"})
	ip(t, h.Netns, "link del br9")
}

// TestChainGivesAddresses to the interface that the plugin before made; DEL takes just those.
func TestChainGivesAddresses(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c := h.Container("c")
	a := chained(h, c, network(defaultGateway(), pool("10.1.0.0/24", "fd00:1::/64")), cable(t, h, c))
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

// TestChainDelLeavesWhoIsAtThePathNow alone: another namespace, whose eth0 has the same address.
func TestChainDelLeavesWhoIsAtThePathNow(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c, d := h.Container("c"), h.Container("d")
	a := chained(h, c, network(pool("10.1.0.0/24")), cable(t, h, c))
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

// TestChainGivesAddressesToTheGuest of a tap: they are reserved and in the result, for there is no interface to put them on.
func TestChainGivesAddressesToTheGuest(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	a := chained(h, h.Container("c"), network(gateway(), pool("10.1.0.0/24")), tap(t, h))
	r := a.add(t)
	expect.Equal(t, "addresses", addresses(r), []string{"10.1.0.2/24"})
	expect.Equal(t, "reserved", files(t, h, addressDir(a))["10.1.0.2"], a.id+"\r\neth0")
	expect.Equal(t, "gateway", addressesOf(t, h.Netns, "cni0"), []string{"10.1.0.1/24"})
	a.check(t)
}

// TestChainCheck finds what has changed since.
func TestChainCheck(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, outside, want string }{
		{"unplugged", "link set tap0 nomaster", "host link tap0 is not plugged into bridge cni0"},
		{"gone", "link del tap0", "host link tap0 does not exist any more"},
		{"bridge gone", "link del cni0", "interface cni0: does not exist"},
		{"hairpin", "link set tap0 type bridge_slave hairpin on", "hairpin mode of tap0 is true"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := nettest.Host(t)
			a := chained(h, h.Container("c"), network(), tap(t, h))
			h.Allow("link tap0") // in one row it goes
			a.add(t)
			a.check(t)
			ip(t, h.Netns, tt.outside)
			expect.Contains(t, a.drift(t), tt.want)
		})
	}
}

// TestChainInEveryVersion that knows interfaces in results.
func TestChainInEveryVersion(t *testing.T) {
	t.Parallel()
	for _, version := range versions()[2:] {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			h := nettest.Host(t)
			a := chained(h, h.Container("c"), network(conf{"cniVersion": version}), tap(t, h))
			a.add(t)
			expect.Contains(t, string(a.prev), `"cniVersion": "`+version+`"`)
			expect.Equal(t, "ports", portsOf(t, h.Netns, "cni0"), []string{"tap0"})
		})
	}
}

// TestChainKeepsMACOfAdoptedBridge, though a tap's may be lower than the network card's.
func TestChainKeepsMACOfAdoptedBridge(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	adopted(t, h, "52:54:00:00:53:10")
	a := chained(h, h.Container("c"), network(conf{"bridge": "br0"}), tap(t, h))
	a.add(t)
	expect.Equal(t, "MAC", h.MAC("br0"), "52:54:00:00:53:10")
	a.del(t)
	expect.Equal(t, "MAC after DEL", h.MAC("br0"), "52:54:00:00:53:10")
}

// TestChainWithoutHostInterface is an error in words: there is nothing to plug.
func TestChainWithoutHostInterface(t *testing.T) {
	t.Parallel()
	for name, prev := range map[string]conf{
		"none":   {"interfaces": []conf{}},
		"inside": {"interfaces": []conf{{"name": "lo", "sandbox": "/run/netns/c"}}},
		"gone":   {"interfaces": []conf{{"name": "tap9"}}},
		"bridge": {"interfaces": []conf{{"name": "br9"}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := nettest.Host(t)
			h.Bridge("br9")
			a := chained(h, h.Container("c"), network(), prev)
			expect.Contains(t, a.fails(t, "ADD", 7).Msg, "prevResult", "no host-side interface")
			expect.Equal(t, "cni0", hasLink(t, h.Netns, "cni0"), false)
		})
	}
}

// TestChainOfAnotherBridgesPort is refused: it is somebody's already.
func TestChainOfAnotherBridgesPort(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	prev := tap(t, h)
	h.Bridge("br9")
	h.Plug("tap0", "br9")
	h.Baseline()
	a := chained(h, h.Container("c"), network(pool("10.1.0.0/24")), prev)
	e := a.run(t, "ADD").Error(t)
	expect.Contains(t, e.Msg, "tap0", "another bridge")
	expect.Equal(t, "ports", portsOf(t, h.Netns, "br9"), []string{"tap0"})
	noLeaks(t, h)
}

// TestChainAfterReferencePtp: a cable that a real plugin made, unplugged from nothing and plugged in here.
func TestChainAfterReferencePtp(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c := h.Container("c")
	first := delegating(t, h, c, conf{
		"cniVersion": "1.0.0", "name": "net", "type": "ptp",
		"ipam": conf{"type": "patchbay", "ranges": [][]conf{{{"subnet": "10.1.0.0/24"}}}, "dataDir": "/run/ptp"},
	})
	first.conf["name"] = "first"
	r := first.add(t)
	a := on(h, c, network(conf{"cniVersion": "1.0.0", "prevResult": first.prev}))
	a.add(t)
	expect.Equal(t, "ports", portsOf(t, h.Netns, "cni0"), []string{r.Interfaces[0].Name})
	a.check(t)
	a.del(t)
	expect.Equal(t, "ports after DEL", len(portsOf(t, h.Netns, "cni0")), 0)
	first.check(t)
	if !strings.HasPrefix(r.Interfaces[0].Name, "veth") || !hasLink(t, h.Netns, r.Interfaces[0].Name) {
		t.Errorf("the cable is gone: %v", r.Interfaces)
	}
}
