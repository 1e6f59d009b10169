package verbs

import (
	"slices"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/expect"
)

// TestAddMakesBridge that is up, marked as ours, and has the cable as its port.
func TestAddMakesBridge(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	_, r := attach(t, h, h.Container("c"), network())
	b := linkOf(t, h.Netns, "cni0")
	expect.Equal(t, "type", b.Type(), "bridge")
	expect.Equal(t, "alias", b.Attrs().Alias, "patchbay:bridge")
	expect.Equal(t, "up", isUp(t, h.Netns, "cni0"), true)
	expect.Equal(t, "ports", portsOf(t, h.Netns, "cni0"), []string{hostEnd(t, r)})
}

// TestBridgeIsCni0ByDefault, as the reference's.
func TestBridgeIsCni0ByDefault(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	attach(t, h, h.Container("c"), network(conf{"bridge": nil}))
	expect.Equal(t, "type of cni0", linkOf(t, h.Netns, "cni0").Type(), "bridge")
}

// TestNewBridgeHasMACOfItsOwn: local, unicast, and that of the result.
func TestNewBridgeHasMACOfItsOwn(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	_, r := attach(t, h, h.Container("c"), network())
	mac := h.MAC("cni0")
	expect.Equal(t, "first byte", mac[:2], "02")
	expect.Equal(t, "MAC in the result", r.Interfaces[0].Mac, mac)
}

// TestNewBridgesHaveDifferentMACs: two hosts on one LAN, two bridges on one host.
func TestNewBridgesHaveDifferentMACs(t *testing.T) {
	t.Parallel()
	h, other := nettest.Host(t), nettest.Host(t)
	attach(t, h, h.Container("c"), network())
	attach(t, h, h.Container("d"), network(conf{"bridge": "cni1"}))
	attach(t, other, other.Container("c"), network())
	macs := []string{h.MAC("cni0"), h.MAC("cni1"), other.MAC("cni0")}
	slices.Sort(macs)
	if len(slices.Compact(slices.Clone(macs))) != 3 {
		t.Errorf("MACs: %s", macs)
	}
}

// TestNewBridgeKeepsMACWhenLowerPortComes: a MAC that was not set would follow.
func TestNewBridgeKeepsMACWhenLowerPortComes(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	attach(t, h, h.Container("c"), network())
	before := h.MAC("cni0")
	ip(t, h.Netns, "link add low type veth peer name low2")
	ip(t, h.Netns, "link set low address 00:00:5e:00:53:01 master cni0 up")
	expect.Equal(t, "MAC", h.MAC("cni0"), before)
	ip(t, h.Netns, "link del low")
}

// TestBridgeMACStaysThroughChurn of twenty attachments, with the bridge empty in between.
func TestBridgeMACStaysThroughChurn(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	var mac string
	for i := range 20 {
		a := on(h, h.Container("c"+string(rune('a'+i))), network(defaultGateway(), pool("10.1.0.0/24")))
		a.add(t)
		if mac == "" {
			mac = h.MAC("cni0")
		}
		expect.Equal(t, "MAC with a port", h.MAC("cni0"), mac)
		if i%2 == 0 {
			a.del(t)
			expect.Equal(t, "MAC after DEL", h.MAC("cni0"), mac)
		}
	}
}

// uplink gives the host a default route by an interface of some MTU.
func uplink(t *testing.T, h *nettest.Node, mtu, gateway string) {
	t.Helper()
	h.Veth("eth0", h.Container("router").Netns, "eth0")
	ip(t, h.Netns, "link set eth0 mtu "+mtu)
	if strings.Contains(gateway, ":") {
		ip(t, h.Netns, "-6 addr add 2001:db8::2/64 dev eth0 nodad")
	} else {
		ip(t, h.Netns, "addr add 192.0.2.2/24 dev eth0")
	}
	ip(t, h.Netns, "route add default via "+gateway+" dev eth0")
	h.Baseline()
}

// mtus are those of the bridge, the host end and the container end.
func mtus(t *testing.T, h *nettest.Node, c *nettest.Container, host string) []int {
	t.Helper()
	return []int{
		linkOf(t, h.Netns, "cni0").Attrs().MTU, linkOf(t, h.Netns, host).Attrs().MTU, linkOf(t, c.Netns, "eth0").Attrs().MTU,
	}
}

func TestNewBridgeHasMTUOfUplink(t *testing.T) {
	t.Parallel()
	for name, gateway := range map[string]string{"IPv4": "192.0.2.1", "IPv6": "2001:db8::1"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := nettest.Host(t)
			uplink(t, h, "1380", gateway)
			c := h.Container("c")
			_, r := attach(t, h, c, network())
			expect.Equal(t, "MTUs of bridge and both ends", mtus(t, h, c, hostEnd(t, r)), []int{1380, 1380, 1380})
		})
	}
}

func TestNewBridgeHasMTU1500WithoutUplink(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c := h.Container("c")
	_, r := attach(t, h, c, network())
	expect.Equal(t, "MTUs of bridge and both ends", mtus(t, h, c, hostEnd(t, r)), []int{1500, 1500, 1500})
}

func TestNewBridgeHasMTUOfConfig(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	uplink(t, h, "1380", "192.0.2.1")
	c := h.Container("c")
	_, r := attach(t, h, c, network(conf{"mtu": 9000}))
	expect.Equal(t, "MTUs of bridge and both ends", mtus(t, h, c, hostEnd(t, r)), []int{9000, 9000, 9000})
}

// TestNewBridgeKeepsMTU when its last port goes and when one with less comes: Linux lowers and
// raises the MTU of a bridge with its ports unless somebody has set it.
func TestNewBridgeKeepsMTU(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	uplink(t, h, "9000", "192.0.2.1")
	a, _ := attach(t, h, h.Container("c"), network())
	attach(t, h, h.Container("d"), network(conf{"name": "small", "mtu": 1300}))
	expect.Equal(t, "MTU beside a smaller port", linkOf(t, h.Netns, "cni0").Attrs().MTU, 9000)
	a.del(t)
	c := h.Container("e")
	_, r := attach(t, h, c, network())
	expect.Equal(t, "MTUs of bridge and both ends", mtus(t, h, c, hostEnd(t, r)), []int{9000, 9000, 9000})
}

func TestNewBridgeKeepsMTUWhenEmpty(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	uplink(t, h, "9000", "192.0.2.1")
	a, _ := attach(t, h, h.Container("c"), network())
	a.del(t)
	expect.Equal(t, "MTU", linkOf(t, h.Netns, "cni0").Attrs().MTU, 9000)
}

// adopted makes a bridge br0 as an administrator has it: addresses, a network card as port, an MTU.
func adopted(t *testing.T, h *nettest.Node, card string) {
	t.Helper()
	h.Bridge("br0", "192.0.2.10/24", "2001:db8::10/64")
	h.Veth("eth0", h.Container("switch").Netns, "eth0")
	ip(t, h.Netns, "link set eth0 address "+card+" mtu 1450")
	h.Plug("eth0", "br0")
	h.Baseline()
}

// TestAddAdoptsBridgeUntouched compares everything there is on the host: the cable and state files come, nothing else differs.
func TestAddAdoptsBridgeUntouched(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	adopted(t, h, "52:54:00:00:53:10")
	c := h.Container("c")
	before := h.Snapshot()
	_, r := attach(t, h, c, network(conf{"bridge": "br0"}, ipam(conf{"subnet": "192.0.2.0/24", "rangeStart": "192.0.2.100", "gateway": "192.0.2.1"})))
	for _, line := range nettest.Diff(before, h.Snapshot(), nettest.CleanHost) {
		if !strings.HasPrefix(line, "+ link "+hostEnd(t, r)+": veth") && !strings.HasPrefix(line, "+ file /run/patchbay") {
			t.Error(line)
		}
	}
	expect.Equal(t, "ports", portsOf(t, h.Netns, "br0"), []string{"eth0", hostEnd(t, r)})
}

// TestAddGivesMTUOfAdoptedBridge to the container.
func TestAddGivesMTUOfAdoptedBridge(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	adopted(t, h, "52:54:00:00:53:10")
	c := h.Container("c")
	_, r := attach(t, h, c, network(conf{"bridge": "br0"}))
	expect.Equal(t, "bridge", linkOf(t, h.Netns, "br0").Attrs().MTU, 1450)
	expect.Equal(t, "container", linkOf(t, c.Netns, "eth0").Attrs().MTU, 1450)
	expect.Equal(t, "result", []int{r.Interfaces[0].Mtu, r.Interfaces[1].Mtu, r.Interfaces[2].Mtu}, []int{1450, 1450, 1450})
}

// TestAdoptedBridgeKeepsFloatingMAC: it was never set, so Linux gives it the lowest MAC of its
// ports. None of ours is ever the lowest, be the network card's as high as it likes.
func TestAdoptedBridgeKeepsFloatingMAC(t *testing.T) {
	t.Parallel()
	for _, card := range []string{"00:16:3e:00:53:10", "52:54:00:00:53:10", "fc:00:00:00:53:10"} {
		t.Run(card, func(t *testing.T) {
			t.Parallel()
			h := nettest.Host(t)
			adopted(t, h, card)
			all, _ := containers(t, h, 3, network(conf{"bridge": "br0"}))
			expect.Equal(t, "MAC with three cables", h.MAC("br0"), card)
			all[0].del(t)
			expect.Equal(t, "MAC after a DEL", h.MAC("br0"), card)
		})
	}
}

// TestAdoptedBridgeWithoutPortsKeepsMAC though ours are then the only ports, come and go.
func TestAdoptedBridgeWithoutPortsKeepsMAC(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	h.Bridge("br0", "192.0.2.10/24")
	before := h.MAC("br0")
	all, results := containers(t, h, 3, network(conf{"bridge": "br0"}))
	expect.Equal(t, "MAC with three cables", h.MAC("br0"), before)
	expect.Equal(t, "MAC in the first result", results[0].Interfaces[0].Mac, before)
	for _, a := range all {
		a.check(t)
		a.del(t)
	}
	expect.Equal(t, "MAC after the last DEL", h.MAC("br0"), before)
}

// TestAdoptedBridgeThatLostItsPorts has no MAC at all, until our first cable brings one, which stays.
func TestAdoptedBridgeThatLostItsPorts(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	h.Bridge("br0", "192.0.2.10/24")
	h.Veth("port", h.Netns, "far")
	h.Plug("port", "br0")
	ip(t, h.Netns, "link del port")
	expect.Equal(t, "MAC before", h.MAC("br0"), "") // all zero
	h.Baseline()
	h.Allow("link br0 mac")
	h.Allow("fdb br0 ")
	all, results := containers(t, h, 2, network(conf{"bridge": "br0"}))
	for i, a := range all {
		expect.Equal(t, "MAC in the result", results[i].Interfaces[0].Mac, h.MAC("br0"))
		a.check(t)
	}
	for _, a := range all {
		a.del(t)
	}
}

// TestAdoptedBridgeKeepsMTUBesideSmallerPort: a network with an MTU of its own is nobody else's business.
func TestAdoptedBridgeKeepsMTUBesideSmallerPort(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	adopted(t, h, "52:54:00:00:53:10")
	c := h.Container("c")
	a, r := attach(t, h, c, network(conf{"bridge": "br0", "mtu": 1300}))
	expect.Equal(t, "bridge", linkOf(t, h.Netns, "br0").Attrs().MTU, 1450)
	expect.Equal(t, "host end", linkOf(t, h.Netns, hostEnd(t, r)).Attrs().MTU, 1300)
	expect.Equal(t, "container", linkOf(t, c.Netns, "eth0").Attrs().MTU, 1300)
	a.check(t)
}

// TestAdoptedBridgeGetsGatewayAddressOnly with isGateway: what it had stays.
func TestAdoptedBridgeGetsGatewayAddressOnly(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	adopted(t, h, "52:54:00:00:53:10")
	ip(t, h.Netns, "addr del 192.0.2.10/24 dev br0")
	h.Baseline()
	before := h.Snapshot()
	_, r := attach(t, h, h.Container("c"), network(gateway(), conf{"bridge": "br0"}, pool("10.1.0.0/24", "fd00:1::/64")))
	for _, line := range nettest.Diff(before, h.Snapshot(), nettest.CleanHost) {
		if !isGatewayChange(line, hostEnd(t, r)) {
			t.Error(line)
		}
	}
	expect.Equal(t, "addresses", addressesOf(t, h.Netns, "br0"), []string{"10.1.0.1/24", "2001:db8::10/64", "fd00:1::1/64"})
}

// isGatewayChange permits the addresses with their routes, forwarding, the cable and files.
func isGatewayChange(line, host string) bool {
	for _, prefix := range []string{
		"+ address br0 10.1.0.1/24", "+ address br0 fd00:1::1/64", "+ route table 254 10.1.0.0/24", "+ route table 254 fd00:1::/64",
		"+ link " + host + ": veth", "+ file /run/patchbay", "~ sysctl net/ipv4/ip_forward: 0 -> 1",
	} {
		if strings.HasPrefix(line, prefix) {
			return true
		}
	}
	return strings.HasPrefix(line, "~ sysctl ") && strings.HasSuffix(line, "/forwarding: 0 -> 1")
}

// TestGatewayOfAdoptedBridgeIsItsAddress: where br0 has it already nothing is added.
func TestGatewayOfAdoptedBridgeIsItsAddress(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	h.Bridge("br0", "10.1.0.1/24")
	c := h.Container("c")
	a, _ := attach(t, h, c, network(defaultGateway(), conf{"bridge": "br0"}, pool("10.1.0.0/24")))
	expect.Equal(t, "addresses", addressesOf(t, h.Netns, "br0"), []string{"10.1.0.1/24"})
	ping(t, c.Netns, "10.1.0.1")
	a.check(t)
}

// TestAdoptedBridgeIsSetUp when it is down: a cable to a dead bridge helps nobody.
func TestAdoptedBridgeIsSetUp(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	h.Bridge("br0")
	ip(t, h.Netns, "link set br0 address 02:00:00:00:53:01 down")
	h.Baseline()
	attach(t, h, h.Container("c"), network(conf{"bridge": "br0"}))
	expect.Equal(t, "up", isUp(t, h.Netns, "br0"), true)
	expect.Equal(t, "alias", linkOf(t, h.Netns, "br0").Attrs().Alias, "")
}

// TestBridgeStaysAfterDel, for it belongs to nobody's attachment.
func TestBridgeStaysAfterDel(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	a, _ := attach(t, h, h.Container("c"), network(gateway(), pool("10.1.0.0/24")))
	mac := h.MAC("cni0")
	a.del(t)
	expect.Equal(t, "MAC", h.MAC("cni0"), mac)
	expect.Equal(t, "addresses", addressesOf(t, h.Netns, "cni0"), []string{"10.1.0.1/24"})
	expect.Equal(t, "ports", len(portsOf(t, h.Netns, "cni0")), 0)
}

// TestNewBridgeIgnoresRouterAdvertisements of a container, as the reference's does.
func TestNewBridgeIgnoresRouterAdvertisements(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	attach(t, h, h.Container("c"), network())
	expect.Equal(t, "accept_ra", h.Sysctl("net/ipv6/conf/cni0/accept_ra"), "0")
}

// TestTwoNetworksShareABridge: each with its gateway, where the families' rules allow it.
func TestTwoNetworksShareABridge(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c, d := h.Container("c"), h.Container("d")
	a, _ := attach(t, h, c, network(defaultGateway(), pool("fd00:1::/64")))
	b, _ := attach(t, h, d, network(defaultGateway(), pool("fd00:2::/64"), conf{"name": "other"}))
	expect.Equal(t, "addresses", addressesOf(t, h.Netns, "cni0"), []string{"fd00:1::1/64", "fd00:2::1/64"})
	a.check(t)
	b.check(t)
	ping(t, c.Netns, "fd00:1::1")
	ping(t, d.Netns, "fd00:2::1")
}
