// Package nat tests masquerading from outside: which addresses remote hosts see, with other machines on the bridge, other NAT rules, and
// after changes of the ruleset.
package nat

import (
	"net/netip"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
)

const (
	subnet4 = "10.88.0.0/16"
	subnet6 = "fd00:88::/64"
)

// gatewayNetwork returns the configuration of a network on bridge cni0 that is its containers' default gateway.
func gatewayNetwork(name string, more ...cni.Conf) cni.Conf {
	return cni.Network(cni.Conf{"name": name}, cni.DefaultGateway()).With(more...)
}

// add attaches a container and returns its addresses.
func add(t testing.TB, h *nettest.Node, c *nettest.Container, config cni.Conf) []netip.Addr {
	t.Helper()
	return cni.Addresses(cni.Add(t, h, c, config).Result(t))
}

// bridgeNetfilter runs a test with both values of bridge-nf-call-iptables and bridge-nf-call-ip6tables.
func bridgeNetfilter(t *testing.T, run func(t *testing.T, set func(h *nettest.Node))) {
	for _, value := range []string{"0", "1"} {
		t.Run("bridge-nf-call="+value, func(t *testing.T) {
			t.Parallel()
			run(t, func(h *nettest.Node) {
				nettest.Need(t, nettest.BrNetfilter)
				h.SetSysctl("net/bridge/bridge-nf-call-iptables", value)
				h.SetSysctl("net/bridge/bridge-nf-call-ip6tables", value)
				h.Baseline()
			})
		})
	}
}

// pings sends echo requests to dst and returns the source addresses that outside sees, with counts.
func pings(t *testing.T, from *nettest.Netns, outside *nettest.Netns, dst string) map[netip.Addr]int {
	t.Helper()
	capture := outside.Capture(t, "eth0")
	if r := from.Ping(netip.MustParseAddr(dst), nettest.PingOptions{Count: 3}); !r.OK() {
		t.Errorf("ping %s: %s", dst, r)
	}
	seen := map[netip.Addr]int{}
	for _, f := range capture.Stop(t).Of(nettest.EchoRequest) {
		if !f.Outgoing && f.Dst == netip.MustParseAddr(dst) {
			seen[f.Src]++
		}
	}
	return seen
}

func sees(t *testing.T, seen map[netip.Addr]int, want netip.Addr) {
	t.Helper()
	if len(seen) != 1 || seen[want] != 3 {
		t.Errorf("the remote host saw %v, want 3 requests from %s only", seen, want)
	}
}

// TestMasquerade: a remote host sees the address of the host, never that of a container.
//
// Claim/bridge-nf-call=0,bridge-nf-call=1: Masquerading: the outside sees the host's address, IPv4 and IPv6, with bridge-nf-call 0 and 1
func TestMasquerade(t *testing.T) {
	bridgeNetfilter(t, func(t *testing.T, set func(*nettest.Node)) {
		h := nettest.Host(t)
		lan := h.LAN(t)
		set(h)
		config := gatewayNetwork("nat", cni.Masquerade(), cni.Pool(subnet4, subnet6))
		c := h.Container("web")
		add(t, h, c, config)
		sees(t, pings(t, c.Netns, lan.Outside, nettest.LANOutside4), netip.MustParseAddr(nettest.LANHost4))
		sees(t, pings(t, c.Netns, lan.Outside, nettest.LANOutside6), netip.MustParseAddr(nettest.LANHost6))
		cni.Del(t, h, c, config)
	})
}
