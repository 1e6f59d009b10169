package main

import (
	"net/netip"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/patchbay-cni/patchbay/pkg/cluster"
)

// TestPlanAgain: the plan of a pass is that of its nodes, host and configuration, whichever of them has changed since the last pass.
//
// Claim: A pass makes a new plan when a node, an address of the host or the configuration has changed
func TestPlanAgain(t *testing.T) {
	parse := func(mode string) *cluster.Config {
		config, err := cluster.ParseConfig([]byte(`{"clusterCIDRs": ["10.244.0.0/16", "fd00:10:244::/48"], "mode": "` + mode + `"}`))
		if err != nil {
			t.Fatal(err)
		}
		return config
	}
	p, nodes := newPassing(t, parse("auto")), sixNodes()
	host := cluster.Host{Name: "node-1", MTU: 1500, Local: nodes[0].InternalIPs, Direct: map[netip.Addr]bool{}}
	other := netip.MustParseAddr("192.0.2.99")
	changed := 0
	for i, change := range []func(){
		func() {},
		func() { nodes[1].InternalIPs = []netip.Addr{other} },
		func() { nodes[1].PodCIDRs = nodes[1].PodCIDRs[:1] },
		func() { nodes[1].Created = time.Unix(99, 0) },
		func() { nodes[2].Unreadable = []string{"x"} },
		func() { nodes[2].Name = "node-other" },
		func() { nodes = slices.Delete(nodes, 3, 4) },
		func() { host.MTU = 1400 },
		func() { host.Bridge = []netip.Prefix{netip.MustParsePrefix("10.244.5.1/24")} },
		func() { host.Direct = map[netip.Addr]bool{other: true} },
		func() { host.Local = nil },
		func() { p.cluster = parse("direct") },
	} {
		before := p.planOf(nodes, host)
		change()
		want, got := p.cluster.Plan(nodes, host), p.planOf(nodes, host)
		if !reflect.DeepEqual(got, want) {
			t.Errorf("change %d:\ngot  %+v\nwant %+v", i, got, want)
		}
		if !reflect.DeepEqual(got, before) {
			changed++
		}
		slices.Reverse(nodes)
		if again := p.planOf(nodes, host); !reflect.DeepEqual(again, want) || len(want.Routes) > 0 && &again.Routes[0] != &got.Routes[0] {
			t.Errorf("change %d: another plan of the same nodes", i)
		}
	}
	if changed < 9 {
		t.Errorf("%d of these changes have changed the plan", changed)
	}
}
