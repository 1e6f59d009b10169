package cluster

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// fleet returns nodes of both families, each of another second.
func fleet(count int) (nodes []Node) {
	for i := range count {
		nodes = append(nodes, Object{
			Name: fmt.Sprintf("node-%d", i), UID: fmt.Sprint(i), Created: time.Unix(int64(i), 0),
			PodCIDRs:    []string{fmt.Sprintf("10.%d.%d.0/24", 128+i>>8, i&255), fmt.Sprintf("fd00:10:244:%x::/64", i)},
			InternalIPs: []string{fmt.Sprintf("198.18.%d.%d", i>>8, i&255), fmt.Sprintf("2001:db8:1::%x", i+1)},
		}.Node())
	}
	return nodes
}

// cpuTime returns the CPU time of this process: what a machine does beside it does not count.
func cpuTime() time.Duration {
	var u unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkPass measures what a pass computes that changes nothing: the plan of a host, and its comparison with the installed routes, two for each node.
func BenchmarkPass(b *testing.B) {
	for _, mode := range []string{ModeDirect, ModeVXLAN} {
		config, err := ParseConfig(fmt.Appendf(nil, `{"clusterCIDRs": ["10.128.0.0/9", "fd00:10:244::/48"], "mode": %q}`, mode))
		if err != nil {
			b.Fatal(err)
		}
		for _, count := range []int{1000, 5000} {
			nodes := fleet(count)
			host := Host{Name: "node-0", MTU: 1500, Local: []netip.Addr{netip.MustParseAddr("198.18.0.0"), netip.MustParseAddr("2001:db8:1::1")}}
			have := config.Plan(nodes, host).Routes
			if len(have) != 2*(count-1) {
				b.Fatalf("%d routes", len(have))
			}
			b.Run(fmt.Sprintf("%s-%d", mode, count), func(b *testing.B) {
				began := cpuTime()
				for b.Loop() {
					if c := Compare(config.Plan(nodes, host).Routes, have); len(c.Add)+len(c.Move)+len(c.Replaced)+len(c.Gone) > 0 {
						b.Fatalf("%+v", c)
					}
				}
				b.ReportMetric(float64(cpuTime()-began)/float64(b.N), "cpu-ns/op")
			})
		}
	}
}
