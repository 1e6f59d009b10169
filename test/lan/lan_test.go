// Package lan shows the origin's own case: containers as machines of the LAN that the host's
// br0 is a port of. It never uses NAT, and the host never routes.
package lan

import (
	"net/netip"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

const config = `{
  "cniVersion": "1.0.0", "name": "lan", "type": "patchbay", "bridge": "br0",
  "ipam": {
    "type": "patchbay",
    "ranges": [
      [{"subnet": "192.0.2.0/24", "rangeStart": "192.0.2.100", "rangeEnd": "192.0.2.150", "gateway": "192.0.2.1"}],
      [{"subnet": "2001:db8:0:1::/64", "rangeStart": "2001:db8:0:1::100", "rangeEnd": "2001:db8:0:1::150", "gateway": "2001:db8:0:1::1"}]
    ],
    "routes": [{"dst": "0.0.0.0/0"}, {"dst": "::/0"}]
  }
}`

func attach(t *testing.T, h *nettest.Node, c *nettest.Container) (mac string, addrs []netip.Addr) {
	t.Helper()
	call := nettest.Call{Command: "ADD", ContainerID: c.ID(), Netns: c.Path(), IfName: "eth0", Config: []byte(config)}
	result := h.CNI(t, call).Result(t)
	for _, ip := range result.IPs {
		addr, _ := netip.AddrFromSlice(ip.Address.IP)
		addrs = append(addrs, addr.Unmap())
	}
	return result.Interfaces[2].Mac, addrs
}

func detach(t *testing.T, h *nettest.Node, c *nettest.Container) {
	t.Helper()
	h.CNI(t, nettest.Call{Command: "DEL", ContainerID: c.ID(), Netns: c.Path(), IfName: "eth0", Config: []byte(config)}).OK(t)
}

// The router and the host outside see the container itself: its own MAC on the LAN, its own
// address everywhere. The host neither routes nor redirects, and stays what it was.
func TestLANContainerIsAMachineOfTheLAN(t *testing.T) {
	h := nettest.Host(t)
	lan := h.LAN(t)
	mac, forward := h.MAC("br0"), h.Sysctl("net/ipv4/ip_forward")
	c := h.Container("web")
	cableMAC, addrs := attach(t, h, c)
	atRouter, atOutside := lan.Router.Capture(t, "lan"), lan.Outside.Capture(t, "eth0")
	atContainer, atBridge := c.Capture(t, "eth0"), h.Capture(t, "br0")

	for i, dst := range []string{nettest.LANOutside4, nettest.LANOutside6} {
		result := c.Ping(netip.MustParseAddr(dst), nettest.PingOptions{Count: 5})
		if !result.OK() || result.Redirects != 0 {
			t.Errorf("ping %s: %s", dst, result)
		}
		if err := lan.Outside.PingOnce(addrs[i]); err != nil {
			t.Errorf("the outside pings the container: %v", err)
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
		if f.SrcMAC != cableMAC {
			t.Errorf("the router got a request from MAC %s, the container has %s", f.SrcMAC, cableMAC)
		}
	}
	if n := len(atOutside.Stop(t).Where(fromContainer)); n != 10 {
		t.Errorf("the outside got %d of 10 requests with the container's own addresses", n)
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

// The host is reachable from outside at every moment: before, with containers, after.
func TestLANHostStaysReachable(t *testing.T) {
	h := nettest.Host(t)
	lan := h.LAN(t)
	before := h.Addresses("br0")
	reach := func(when string) {
		t.Helper()
		for _, dst := range []string{nettest.LANHost4, nettest.LANHost6} {
			if r := lan.Outside.Ping(netip.MustParseAddr(dst), nettest.PingOptions{Count: 3}); !r.OK() {
				t.Errorf("%s the outside pings %s: %s", when, dst, r)
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

// Neighbours on the LAN and on the bridge reach each other and the router without detour.
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
