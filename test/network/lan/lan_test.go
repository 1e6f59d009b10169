// Package lan tests containers as machines of a LAN: the host's bridge br0 has an uplink to it. There is no NAT, and the host does not route.
package lan

import (
	"net/netip"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
)

func config() cni.Conf {
	return cni.Network(cni.Conf{"cniVersion": "1.0.0", "name": "lan", "bridge": "br0"}, cni.IPAM(cni.Conf{
		"ranges": [][]cni.Conf{
			{{"subnet": "192.0.2.0/24", "rangeStart": "192.0.2.100", "rangeEnd": "192.0.2.150", "gateway": "192.0.2.1"}},
			{{"subnet": "2001:db8:0:1::/64", "rangeStart": "2001:db8:0:1::100", "rangeEnd": "2001:db8:0:1::150", "gateway": "2001:db8:0:1::1"}},
		},
		"routes": []cni.Conf{{"dst": "0.0.0.0/0"}, {"dst": "::/0"}},
	}))
}

func attach(t *testing.T, h *nettest.Node, c *nettest.Container) (mac string, addrs []netip.Addr) {
	t.Helper()
	result := cni.Add(t, h, c, config()).Result(t)
	return result.Interfaces[2].Mac, cni.Addresses(result)
}

func detach(t *testing.T, h *nettest.Node, c *nettest.Container) {
	t.Helper()
	cni.Del(t, h, c, config())
}

// TestContainerIsAHostOfTheLAN: the router and the remote host see the container's own MAC address on the LAN and its own IP addresses. The
// host neither routes nor sends redirects, and its settings do not change.
//
// Claim: An attachment on a bridge with an uplink is a host of that LAN
func TestContainerIsAHostOfTheLAN(t *testing.T) {
	h := nettest.Host(t)
	lan := h.LAN(t)
	mac, forward := h.MAC("br0"), h.Sysctl("net/ipv4/ip_forward")
	c := h.Container("web")
	containerMAC, addrs := attach(t, h, c)
	atRouter, atOutside := lan.Router.Capture(t, "lan"), lan.Outside.Capture(t, "eth0")
	atContainer, atBridge := c.Capture(t, "eth0"), h.Capture(t, "br0")

	for i, dst := range []string{nettest.LANOutside4, nettest.LANOutside6} {
		result := c.Ping(netip.MustParseAddr(dst), nettest.PingOptions{Count: 5})
		if !result.OK() || result.Redirects != 0 {
			t.Errorf("ping %s: %s", dst, result)
		}
		if err := lan.Outside.PingOnce(addrs[i]); err != nil {
			t.Errorf("the remote host pings the container: %v", err)
		}
	}

	fromContainer := func(f nettest.Frame) bool {
		return f.Kind == nettest.EchoRequest && !f.Outgoing && (f.Src == addrs[0] || f.Src == addrs[1])
	}
	onLAN := atRouter.Stop(t).Where(fromContainer)
	if len(onLAN) != 10 {
		t.Errorf("the router got %d of 10 requests with the container's addresses:\n%s", len(onLAN), onLAN)
	}
	for _, f := range onLAN {
		if f.SrcMAC != containerMAC {
			t.Errorf("the router got a request from MAC %s, the container has %s", f.SrcMAC, containerMAC)
		}
	}
	if n := len(atOutside.Stop(t).Where(fromContainer)); n != 10 {
		t.Errorf("the remote host got %d of 10 requests with the container's own addresses", n)
	}
	for name, capture := range map[string]*nettest.Capture{"container": atContainer, "bridge": atBridge} {
		if redirects := capture.Stop(t).Of(nettest.Redirect); len(redirects) != 0 {
			t.Errorf("redirects at the %s:\n%s", name, redirects)
		}
	}
	if h.MAC("br0") != mac || h.Sysctl("net/ipv4/ip_forward") != forward || h.Sysctl("net/ipv6/conf/all/forwarding") != "0" {
		t.Errorf("br0 has MAC %s (had %s), ip_forward is %s", h.MAC("br0"), mac, h.Sysctl("net/ipv4/ip_forward"))
	}
	detach(t, h, c)
}

// TestLANHostStaysReachable: remote hosts reach the host before, during and after attachments.
//
// Claim: An attachment on a bridge with an uplink is a host of that LAN
func TestLANHostStaysReachable(t *testing.T) {
	h := nettest.Host(t)
	lan := h.LAN(t)
	before := h.Addresses("br0")
	reach := func(when string) {
		t.Helper()
		for _, dst := range []string{nettest.LANHost4, nettest.LANHost6} {
			if r := lan.Outside.Ping(netip.MustParseAddr(dst), nettest.PingOptions{Count: 3}); !r.OK() {
				t.Errorf("%s: the remote host pings %s: %s", when, dst, r)
			}
		}
	}
	reach("before")
	var containers []*nettest.Container
	for _, name := range []string{"a", "b", "c", "d"} {
		c := h.Container(name)
		attach(t, h, c)
		containers = append(containers, c)
		reach("with " + name)
	}
	after := h.Addresses("br0")
	if len(before) != len(after) {
		t.Errorf("br0 had %v, has %v", before, after)
	}
	for _, c := range containers {
		detach(t, h, c)
	}
	reach("after")
}

// TestLANNeighbours: machines on the LAN, containers on the bridge, host and router reach each other.
//
// Claim: An attachment on a bridge with an uplink is a host of that LAN
func TestLANNeighbours(t *testing.T) {
	h := nettest.Host(t)
	lan := h.LAN(t)
	printer := lan.Neighbour("printer", "192.0.2.20/24", "2001:db8:0:1::20/64")
	a, b := h.Container("a"), h.Container("b")
	_, addrsA := attach(t, h, a)
	_, addrsB := attach(t, h, b)
	for _, p := range []struct {
		from *nettest.Netns
		to   string
	}{
		{a.Netns, addrsB[0].String()},
		{a.Netns, addrsB[1].String()},
		{b.Netns, "192.0.2.20"},
		{b.Netns, "2001:db8:0:1::20"},
		{printer, addrsA[0].String()},
		{printer, addrsA[1].String()},
		{a.Netns, nettest.LANRouter4},
		{a.Netns, nettest.LANRouter6},
		{a.Netns, nettest.LANHost4},
		{h.Netns, addrsA[1].String()},
	} {
		if err := p.from.PingOnce(netip.MustParseAddr(p.to)); err != nil {
			t.Errorf("%s pings %s: %v", p.from.Name(), p.to, err)
		}
	}
	detach(t, h, a)
	detach(t, h, b)
}
