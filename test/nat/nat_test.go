// Package nat shows masquerading from outside: what the world sees of containers, whoever
// else is on the bridge, whatever was done to the ruleset meanwhile.
package nat

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// network is a configuration; extra keys are JSON members with a comma behind each.
func network(name, bridge, extra string, subnets ...string) []byte {
	var ranges []string
	for _, s := range subnets {
		ranges = append(ranges, fmt.Sprintf(`[{"subnet": %q}]`, s))
	}
	return []byte(fmt.Sprintf(`{"cniVersion": "1.1.0", "name": %q, "type": "patchbay", "bridge": %q, "isDefaultGateway": true, %s
		"ipam": {"type": "patchbay", "ranges": [%s]}}`, name, bridge, extra, strings.Join(ranges, ", ")))
}

const (
	subnet4 = "10.88.0.0/16"
	subnet6 = "fd00:88::/64"
	masq    = `"ipMasq": true,`
)

func call(command string, c *nettest.Container, config []byte) nettest.Call {
	return nettest.Call{Command: command, ContainerID: c.ID(), Netns: c.Path(), IfName: "eth0", Config: config}
}

// add attaches a container and returns its addresses.
func add(t testing.TB, h *nettest.Node, c *nettest.Container, config []byte) []netip.Addr {
	t.Helper()
	var addrs []netip.Addr
	for _, ip := range h.CNI(t, call("ADD", c, config)).Result(t).IPs {
		addr, _ := netip.AddrFromSlice(ip.Address.IP)
		addrs = append(addrs, addr.Unmap())
	}
	return addrs
}

func del(t testing.TB, h *nettest.Node, c *nettest.Container, config []byte) {
	t.Helper()
	h.CNI(t, call("DEL", c, config)).OK(t)
}

// check is CHECK with a result of the addresses' network.
func check(t testing.TB, h *nettest.Node, c *nettest.Container, config, result []byte) nettest.Answer {
	t.Helper()
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(config, &fields); err != nil {
		t.Fatal(err)
	}
	fields["prevResult"] = result
	with, err := json.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	return h.CNI(t, call("CHECK", c, with))
}

// bridgeNetfilter are the values of bridge-nf-call-iptables and bridge-nf-call-ip6tables to be tried.
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

// pings sends echoes to the outside and returns the addresses that it saw them come from.
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
		t.Errorf("the outside saw %v, want 3 requests from %s alone", seen, want)
	}
}

// The outside sees the host, never a container; what was there before is there again after DEL.
func TestMasquerade(t *testing.T) {
	bridgeNetfilter(t, func(t *testing.T, set func(*nettest.Node)) {
		h := nettest.Host(t)
		lan := h.LAN(t)
		set(h)
		config := network("nat", "cni0", masq, subnet4, subnet6)
		c := h.Container("web")
		add(t, h, c, config)
		sees(t, pings(t, c.Netns, lan.Outside, nettest.LANOutside4), netip.MustParseAddr(nettest.LANHost4))
		sees(t, pings(t, c.Netns, lan.Outside, nettest.LANOutside6), netip.MustParseAddr(nettest.LANHost6))
		del(t, h, c, config)
	})
}
