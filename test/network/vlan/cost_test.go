package vlan

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
)

// BenchmarkGateway measures round trips to the gateway of a VLAN: on an interface of type vlan, as Patchbay has it, and on a veth pair with
// an access port, as the reference bridge has it. Both are on one host, and are asked in turns. On Linux 6.1, emulated: 317 us and 340 us.
//
//	RUN=^$ BENCH=Gateway PACKAGES=test/network/vlan make test-kernels
func BenchmarkGateway(b *testing.B) {
	if !nettest.Has(nettest.VLANFiltering) {
		b.Skip("no VLAN filtering in this kernel")
	}
	h := nettest.Host(b)
	h.NoOracle("a veth pair of the host stays")
	h.Allow("link")
	c := h.Container("c")
	config := cni.Network(vlan(100), cni.Gateway(), cni.Pool("10.100.0.0/24"))
	cni.Add(b, h, c, config)
	h.Run(b, "ip", "link", "add", "veth100", "type", "veth", "peer", "name", "access100")
	h.Run(b, "ip", "link", "set", "access100", "up", "master", "cni0")
	h.Run(b, "bridge", "vlan", "add", "dev", "access100", "vid", "100", "pvid", "untagged")
	h.Run(b, "ip", "address", "add", "10.101.0.1/24", "dev", "veth100")
	h.Run(b, "ip", "link", "set", "veth100", "up")
	c.Run(b, "ip", "address", "add", "10.101.0.2/24", "dev", "eth0")
	gateways := map[string]string{"vlan": "10.100.0.1", "veth": "10.101.0.1"}
	times := map[string][]time.Duration{}
	for b.Loop() {
		for _, name := range []string{"vlan", "veth", "veth", "vlan"} {
			result := c.Ping(netip.MustParseAddr(gateways[name]), nettest.PingOptions{Count: 20})
			if result.Received == 0 {
				b.Fatalf("%s: %s", name, result)
			}
			times[name] = append(times[name], result.RTTs...)
		}
	}
	for name, all := range times {
		slices.Sort(all)
		b.ReportMetric(float64(all[len(all)/2].Nanoseconds())/1000, fmt.Sprintf("us/%s", name))
	}
	cni.Del(b, h, c, config)
}
