package bandwidth

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// form is a way to limit what a container sends. Its host interface is host0, its own eth0; peer is another container on the bridge.
type form struct {
	name string
	// limit runs commands: %R is the rate in bit/s, %B in byte/s, %b the burst in bytes.
	host, container []string
}

// forms returns the ways that docs/bandwidth.md compares.
func forms() []form {
	const policer = "nft add table netdev x; nft 'add chain netdev x c { type filter hook ingress device host0 priority 0; }'; "
	return []form{
		{name: "nftables limit, 100 ms", host: []string{policer + "nft add rule netdev x c limit rate over %B bytes/second burst %b bytes drop"}},
		{name: "nftables limit, 1 s", host: []string{policer + "nft add rule netdev x c limit rate over %B bytes/second burst %B bytes drop"}},
		{
			name:      "tbf in the container, nftables limit",
			host:      []string{policer + "nft add rule netdev x c limit rate over %B bytes/second burst %B bytes drop"},
			container: []string{"tc qdisc add dev eth0 root tbf rate %Rbit burst %b limit 200000"},
		},
		{name: "ifb with tbf", host: []string{
			"ip link add ifb0 numtxqueues 1 numrxqueues 1 up type ifb", "tc qdisc add dev ifb0 root tbf rate %Rbit burst %b limit %L",
			"tc qdisc add dev host0 clsact",
			"tc filter add dev host0 ingress u32 match u32 0 0 action mirred egress redirect dev ifb0",
		}},
	}
}

// BenchmarkForms prints the TCP goodput of each form as a percentage of the rate, the share of the segments that are sent again, and the
// longest pause of the receiver: on one host, and to a host that is 20 ms away.
//
//	cd test && go test -run '^$' -bench Forms -benchtime 1x -exec ../scripts/as-root.sh ./network/bandwidth
func BenchmarkForms(b *testing.B) {
	for _, f := range forms() {
		for _, rate := range []uint64{1e6, 10e6, 100e6, 1e9} {
			for _, delay := range []time.Duration{0, 10 * time.Millisecond} {
				if delay > 0 && rate > 100e6 {
					continue // more than the wire of this test carries
				}
				b.Run(fmt.Sprintf("%s/%d Mbit/RTT %v", f.name, rate/1e6, 2*delay), func(b *testing.B) { f.measure(b, rate, delay) })
			}
		}
	}
}

func (f form) measure(b *testing.B, rate uint64, delay time.Duration) {
	for b.Loop() {
		p := newPair(b, delay)
		f.apply(b, p, rate)
		got := send(b, p.container.Netns, p.peer.Netns, "10.1.0.3", 3*time.Second, 6*time.Second)
		b.ReportMetric(100*got.rate/float64(rate), "%rate")
		b.ReportMetric(100*got.again, "%again")
		b.ReportMetric(float64(got.pause.Milliseconds()), "ms-pause")
	}
	b.ReportMetric(0, "ns/op")
}

func (f form) apply(b *testing.B, p *pair, rate uint64) {
	b.Helper()
	burst := max(rate/8/10, 20000)
	words := strings.NewReplacer("%R", strconv.FormatUint(rate, 10), "%B", strconv.FormatUint(rate/8, 10), "%b", strconv.FormatUint(burst, 10), "%L", strconv.FormatUint(rate/8/40+burst, 10))
	for _, line := range f.host {
		p.host.Run(b, "sh", "-ec", words.Replace(line))
	}
	for _, line := range f.container {
		p.container.Run(b, "sh", "-ec", words.Replace(line))
	}
}

// pair is two containers on a bridge.
type pair struct {
	host            *nettest.Node
	container, peer *nettest.Container
}

func newPair(t testing.TB, delay time.Duration) *pair {
	h := nettest.Host(t)
	h.NoOracle("the host is removed with all that is on it")
	p := &pair{host: h, container: h.Container("c"), peer: h.Container("peer")}
	h.Bridge("br0")
	h.Veth("host0", p.container.Netns, "eth0")
	if delay == 0 {
		h.Veth("host1", p.peer.Netns, "eth0")
	} else {
		wire(t, h.Netns, "host1", p.peer.Netns, "eth0", delay)
	}
	h.Plug("host0", "br0")
	h.Plug("host1", "br0")
	p.container.AddAddress("eth0", "10.1.0.2/24")
	p.peer.AddAddress("eth0", "10.1.0.3/24")
	return p
}
