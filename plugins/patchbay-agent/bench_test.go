package main

import (
	"fmt"
	"log/slog"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/cluster"
)

// cpuTime returns the CPU time of this process: what a machine does beside it does not count.
func cpuTime() time.Duration {
	var u unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkPeers measures what a pass does for the file of the other nodes, which is that of the pass before.
func BenchmarkPeers(b *testing.B) {
	config, err := cluster.ParseConfig([]byte(`{"clusterCIDRs": ["10.128.0.0/9", "fd00:10:244::/48"]}`))
	if err != nil {
		b.Fatal(err)
	}
	var nodes []cluster.Node
	for i := range 5000 {
		nodes = append(nodes, cluster.Object{
			Name: fmt.Sprintf("node-%d", i), UID: fmt.Sprint(i), Created: time.Unix(int64(i), 0),
			PodCIDRs:    []string{fmt.Sprintf("10.%d.%d.0/24", 128+i>>8, i&255), fmt.Sprintf("fd00:10:244:%x::/64", i)},
			InternalIPs: []string{fmt.Sprintf("198.18.%d.%d", i>>8, i&255), fmt.Sprintf("2001:db8:1::%x", i+1)},
		}.Node())
	}
	plan := config.Plan(nodes, cluster.Host{Name: "node-0", MTU: 1500, Local: []netip.Addr{netip.MustParseAddr("198.18.0.0")}})
	a := &agent{options: options{node: "node-0", status: filepath.Join(b.TempDir(), "status.json")}, log: slog.New(slog.DiscardHandler)}
	began := cpuTime()
	for b.Loop() {
		p := &passing{agent: a, cluster: config, unreached: map[netip.Prefix]string{}}
		if p.writePeers(nodes, plan); p.failed {
			b.Fatal("not written")
		}
	}
	b.ReportMetric(float64(cpuTime()-began)/float64(b.N), "cpu-ns/op")
}
