package verbs

import (
	"slices"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// TestAddMakesBridge: the bridge is up and has our alias, and the host interface is its port.
//
// Claim: ADD creates the bridge
func TestAddMakesBridge(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	_, r := attach(t, h, h.Container("c"), cni.Network())
	b := linkOf(t, h.Netns, "cni0")
	expect.Equal(t, "type", b.Type(), "bridge")
	expect.Equal(t, "alias", b.Attrs().Alias, "patchbay:bridge")
	expect.Equal(t, "up", isUp(t, h.Netns, "cni0"), true)
	expect.Equal(t, "ports", portsOf(t, h.Netns, "cni0"), []string{hostEnd(t, r)})
}

// TestBridgeIsCni0ByDefault: as in the reference plugin.
func TestBridgeIsCni0ByDefault(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	attach(t, h, h.Container("c"), cni.Network(cni.Conf{"bridge": cni.Absent}))
	expect.Equal(t, "type of cni0", linkOf(t, h.Netns, "cni0").Type(), "bridge")
}

// TestNewBridgeHasMACOfItsOwn: it is local and unicast, and the result has it.
//
// Claim: ADD creates the bridge
func TestNewBridgeHasMACOfItsOwn(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	_, r := attach(t, h, h.Container("c"), cni.Network())
	mac := h.MAC("cni0")
	expect.Equal(t, "first byte", mac[:2], "02")
	expect.Equal(t, "MAC in the result", r.Interfaces[0].Mac, mac)
}

// TestNewBridgesHaveDifferentMACs: on two hosts of one LAN, and on one host.
func TestNewBridgesHaveDifferentMACs(t *testing.T) {
	t.Parallel()
	h, other := nettest.Host(t), nettest.Host(t)
	attach(t, h, h.Container("c"), cni.Network())
	attach(t, h, h.Container("d"), cni.Network(cni.Conf{"bridge": "cni1"}))
	attach(t, other, other.Container("c"), cni.Network())
	macs := []string{h.MAC("cni0"), h.MAC("cni1"), other.MAC("cni0")}
	slices.Sort(macs)
	if len(slices.Compact(slices.Clone(macs))) != 3 {
		t.Errorf("MACs: %s", macs)
	}
}

// TestNewBridgeKeepsMACWhenLowerPortComes: Linux changes a bridge's MAC to the lowest of its ports unless it was set
// explicitly.
func TestNewBridgeKeepsMACWhenLowerPortComes(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	attach(t, h, h.Container("c"), cni.Network())
	before := h.MAC("cni0")
	ip(t, h.Netns, "link add low type veth peer name low2")
	ip(t, h.Netns, "link set low address 00:00:5e:00:53:01 master cni0 up")
	expect.Equal(t, "MAC", h.MAC("cni0"), before)
	ip(t, h.Netns, "link del low")
}

// TestBridgeMACStaysThroughChurn: twenty attachments come and go, and the bridge has no port in between.
//
// Claim: ADD creates the bridge
func TestBridgeMACStaysThroughChurn(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	var mac string
	for i := range 20 {
		a := on(h, h.Container("c"+string(rune('a'+i))), cni.Network(cni.DefaultGateway(), cni.Pool("10.1.0.0/24")))
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

// uplink creates an interface with an MTU and the host's default route.
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

// mtus returns the MTUs of bridge, host interface and container interface.
func mtus(t *testing.T, h *nettest.Node, c *nettest.Container, host string) []int {
	t.Helper()
	return []int{
		linkOf(t, h.Netns, "cni0").Attrs().MTU, linkOf(t, h.Netns, host).Attrs().MTU, linkOf(t, c.Netns, "eth0").Attrs().MTU,
	}
}

// Claim: ADD creates the bridge
func TestNewBridgeHasMTUOfUplink(t *testing.T) {
	t.Parallel()
	for name, gateway := range map[string]string{"IPv4": "192.0.2.1", "IPv6": "2001:db8::1"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := nettest.Host(t)
			uplink(t, h, "1380", gateway)
			c := h.Container("c")
			_, r := attach(t, h, c, cni.Network())
			expect.Equal(t, "MTUs of bridge and both ends", mtus(t, h, c, hostEnd(t, r)), []int{1380, 1380, 1380})
		})
	}
}

// Claim: ADD creates the bridge
func TestNewBridgeHasMTU1500WithoutUplink(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c := h.Container("c")
	_, r := attach(t, h, c, cni.Network())
	expect.Equal(t, "MTUs of bridge and both ends", mtus(t, h, c, hostEnd(t, r)), []int{1500, 1500, 1500})
}

// Claim: The keys forceAddress, mtu, hairpinMode, promiscMode, enabledad and disableContainerInterface work as documented
func TestNewBridgeHasMTUOfConfig(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	uplink(t, h, "1380", "192.0.2.1")
	c := h.Container("c")
	_, r := attach(t, h, c, cni.Network(cni.Conf{"mtu": 9000}))
	expect.Equal(t, "MTUs of bridge and both ends", mtus(t, h, c, hostEnd(t, r)), []int{9000, 9000, 9000})
}

// TestNewBridgeKeepsMTU: when its last port is removed and when one with a smaller MTU is added. Linux lowers and
// raises the MTU of a bridge with its ports unless it was set explicitly.
func TestNewBridgeKeepsMTU(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	uplink(t, h, "9000", "192.0.2.1")
	a, _ := attach(t, h, h.Container("c"), cni.Network())
	attach(t, h, h.Container("d"), cni.Network(cni.Conf{"name": "small", "mtu": 1300}))
	expect.Equal(t, "MTU beside a smaller port", linkOf(t, h.Netns, "cni0").Attrs().MTU, 9000)
	a.del(t)
	c := h.Container("e")
	_, r := attach(t, h, c, cni.Network())
	expect.Equal(t, "MTUs of bridge and both ends", mtus(t, h, c, hostEnd(t, r)), []int{9000, 9000, 9000})
}

func TestNewBridgeKeepsMTUWhenEmpty(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	uplink(t, h, "9000", "192.0.2.1")
	a, _ := attach(t, h, h.Container("c"), cni.Network())
	a.del(t)
	expect.Equal(t, "MTU", linkOf(t, h.Netns, "cni0").Attrs().MTU, 9000)
}

// adopted creates a bridge br0 as an administrator would: with addresses, a network card as port, and an MTU.
func adopted(t *testing.T, h *nettest.Node, card string) {
	t.Helper()
	h.Bridge("br0", "192.0.2.10/24", "2001:db8::10/64")
	h.Veth("eth0", h.Container("switch").Netns, "eth0")
	ip(t, h.Netns, "link set eth0 address "+card+" mtu 1450")
	h.Plug("eth0", "br0")
	h.Baseline()
}

// TestAddAdoptsBridgeUntouched: ADD adds the veth pair and state files and changes nothing else on the host.
//
// Claim: ADD uses an existing bridge, which keeps its addresses, MAC, ports and MTU; only `isGateway` adds an address
func TestAddAdoptsBridgeUntouched(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	adopted(t, h, "52:54:00:00:53:10")
	c := h.Container("c")
	before := h.Snapshot()
	_, r := attach(t, h, c, cni.Network(cni.Conf{"bridge": "br0"}, cni.IPAM(cni.Conf{"subnet": "192.0.2.0/24", "rangeStart": "192.0.2.100", "gateway": "192.0.2.1"})))
	for _, line := range nettest.Diff(before, h.Snapshot(), nettest.CleanHost) {
		if !strings.HasPrefix(line, "+ link "+hostEnd(t, r)+": veth") && !strings.HasPrefix(line, "+ file /run/patchbay") {
			t.Error(line)
		}
	}
	expect.Equal(t, "ports", portsOf(t, h.Netns, "br0"), []string{"eth0", hostEnd(t, r)})
}

// TestAddUsesMTUOfAdoptedBridge: host and container interface get the MTU of the bridge.
func TestAddUsesMTUOfAdoptedBridge(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	adopted(t, h, "52:54:00:00:53:10")
	c := h.Container("c")
	_, r := attach(t, h, c, cni.Network(cni.Conf{"bridge": "br0"}))
	expect.Equal(t, "bridge", linkOf(t, h.Netns, "br0").Attrs().MTU, 1450)
	expect.Equal(t, "container", linkOf(t, c.Netns, "eth0").Attrs().MTU, 1450)
	expect.Equal(t, "result", []int{r.Interfaces[0].Mtu, r.Interfaces[1].Mtu, r.Interfaces[2].Mtu}, []int{1450, 1450, 1450})
}

// TestAdoptedBridgeKeepsFloatingMAC: its MAC was never set, so Linux gives it the lowest MAC of its ports. The MAC of
// a host interface is never the lowest, however high that of the network card is.
//
// Claim: ADD uses an existing bridge, which keeps its addresses, MAC, ports and MTU; only `isGateway` adds an address
func TestAdoptedBridgeKeepsFloatingMAC(t *testing.T) {
	t.Parallel()
	for _, card := range []string{"00:16:3e:00:53:10", "52:54:00:00:53:10", "fc:00:00:00:53:10"} {
		t.Run(card, func(t *testing.T) {
			t.Parallel()
			h := nettest.Host(t)
			adopted(t, h, card)
			all, _ := containers(t, h, 3, cni.Network(cni.Conf{"bridge": "br0"}))
			expect.Equal(t, "MAC with three attachments", h.MAC("br0"), card)
			all[0].del(t)
			expect.Equal(t, "MAC after a DEL", h.MAC("br0"), card)
		})
	}
}

// TestAdoptedBridgeWithoutPortsKeepsMAC: host interfaces are its only ports, and are added and removed.
//
// Claim: ADD uses an existing bridge, which keeps its addresses, MAC, ports and MTU; only `isGateway` adds an address
func TestAdoptedBridgeWithoutPortsKeepsMAC(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	h.Bridge("br0", "192.0.2.10/24")
	before := h.MAC("br0")
	all, results := containers(t, h, 3, cni.Network(cni.Conf{"bridge": "br0"}))
	expect.Equal(t, "MAC with three attachments", h.MAC("br0"), before)
	expect.Equal(t, "MAC in the first result", results[0].Interfaces[0].Mac, before)
	for _, a := range all {
		a.check(t)
		a.del(t)
	}
	expect.Equal(t, "MAC after the last DEL", h.MAC("br0"), before)
}

// TestAdoptedBridgeThatLostItsPorts has no MAC address until the first host interface is enslaved; it keeps that one.
//
// Claim: ADD uses an existing bridge, which keeps its addresses, MAC, ports and MTU; only `isGateway` adds an address
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
	all, results := containers(t, h, 2, cni.Network(cni.Conf{"bridge": "br0"}))
	for i, a := range all {
		expect.Equal(t, "MAC in the result", results[i].Interfaces[0].Mac, h.MAC("br0"))
		a.check(t)
	}
	for _, a := range all {
		a.del(t)
	}
}

// TestAdoptedBridgeKeepsMTUBesideSmallerPort: the MTU of one network does not affect another.
//
// Claim: ADD uses an existing bridge, which keeps its addresses, MAC, ports and MTU; only `isGateway` adds an address
func TestAdoptedBridgeKeepsMTUBesideSmallerPort(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	adopted(t, h, "52:54:00:00:53:10")
	c := h.Container("c")
	a, r := attach(t, h, c, cni.Network(cni.Conf{"bridge": "br0", "mtu": 1300}))
	expect.Equal(t, "bridge", linkOf(t, h.Netns, "br0").Attrs().MTU, 1450)
	expect.Equal(t, "host end", linkOf(t, h.Netns, hostEnd(t, r)).Attrs().MTU, 1300)
	expect.Equal(t, "container", linkOf(t, c.Netns, "eth0").Attrs().MTU, 1300)
	a.check(t)
}

// TestAdoptedBridgeGetsGatewayAddressOnly: isGateway adds an address, and everything else of the bridge is unchanged.
//
// Claim: ADD uses an existing bridge, which keeps its addresses, MAC, ports and MTU; only `isGateway` adds an address
func TestAdoptedBridgeGetsGatewayAddressOnly(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	adopted(t, h, "52:54:00:00:53:10")
	ip(t, h.Netns, "addr del 192.0.2.10/24 dev br0")
	h.Baseline()
	before := h.Snapshot()
	_, r := attach(t, h, h.Container("c"), cni.Network(cni.Gateway(), cni.Conf{"bridge": "br0"}, cni.Pool("10.1.0.0/24", "fd00:1::/64")))
	for _, line := range nettest.Diff(before, h.Snapshot(), nettest.CleanHost) {
		if !isGatewayChange(line, hostEnd(t, r)) {
			t.Error(line)
		}
	}
	expect.Equal(t, "addresses", addressesOf(t, h.Netns, "br0"), []string{"10.1.0.1/24", "2001:db8::10/64", "fd00:1::1/64"})
}

// isGatewayChange allows the changes that isGateway makes: addresses with their routes, forwarding, the veth pair and
// files.
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

// TestGatewayOfAdoptedBridgeIsItsAddress: if br0 already has the gateway address nothing is added.
func TestGatewayOfAdoptedBridgeIsItsAddress(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	h.Bridge("br0", "10.1.0.1/24")
	c := h.Container("c")
	a, _ := attach(t, h, c, cni.Network(cni.DefaultGateway(), cni.Conf{"bridge": "br0"}, cni.Pool("10.1.0.0/24")))
	expect.Equal(t, "addresses", addressesOf(t, h.Netns, "br0"), []string{"10.1.0.1/24"})
	ping(t, c.Netns, "10.1.0.1")
	a.check(t)
}

// TestAdoptedBridgeIsSetUp: ADD sets a bridge up that is down, else the container would have no connection.
func TestAdoptedBridgeIsSetUp(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	h.Bridge("br0")
	ip(t, h.Netns, "link set br0 address 02:00:00:00:53:01 down")
	h.Baseline()
	attach(t, h, h.Container("c"), cni.Network(cni.Conf{"bridge": "br0"}))
	expect.Equal(t, "up", isUp(t, h.Netns, "br0"), true)
	expect.Equal(t, "alias", linkOf(t, h.Netns, "br0").Attrs().Alias, "")
}

// TestBridgeStaysAfterDel: a bridge does not belong to an attachment.
func TestBridgeStaysAfterDel(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	a, _ := attach(t, h, h.Container("c"), cni.Network(cni.Gateway(), cni.Pool("10.1.0.0/24")))
	mac := h.MAC("cni0")
	a.del(t)
	expect.Equal(t, "MAC", h.MAC("cni0"), mac)
	expect.Equal(t, "addresses", addressesOf(t, h.Netns, "cni0"), []string{"10.1.0.1/24"})
	expect.Equal(t, "ports", len(portsOf(t, h.Netns, "cni0")), 0)
}

// TestNewBridgeIgnoresRouterAdvertisements: containers may send them; the reference plugin ignores them too.
func TestNewBridgeIgnoresRouterAdvertisements(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	attach(t, h, h.Container("c"), cni.Network())
	expect.Equal(t, "accept_ra", h.Sysctl("net/ipv6/conf/cni0/accept_ra"), "0")
}

// TestTwoNetworksShareABridge: each has its gateway address, if they do not conflict.
func TestTwoNetworksShareABridge(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c, d := h.Container("c"), h.Container("d")
	a, _ := attach(t, h, c, cni.Network(cni.DefaultGateway(), cni.Pool("fd00:1::/64")))
	b, _ := attach(t, h, d, cni.Network(cni.DefaultGateway(), cni.Pool("fd00:2::/64"), cni.Conf{"name": "other"}))
	expect.Equal(t, "addresses", addressesOf(t, h.Netns, "cni0"), []string{"fd00:1::1/64", "fd00:2::1/64"})
	a.check(t)
	b.check(t)
	ping(t, c.Netns, "fd00:1::1")
	ping(t, d.Netns, "fd00:2::1")
}
