package main

import (
	"net/netip"
	"os"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/agentstatus"
	"github.com/patchbay-cni/patchbay/pkg/cluster"
)

// peersText lets a pass write the file of the other nodes, requires that it is what peersOf says, and returns its inode.
func peersText(t *testing.T, p *passing, nodes []cluster.Node, plan cluster.Plan) uint64 {
	t.Helper()
	path := agentstatus.PeersPath(p.options.status)
	p.writePeers(nodes, plan)
	want, err := p.peersOf(nodes, plan).Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(path)
	if err != nil || string(got) != string(want) {
		t.Errorf("%v\ngot %s\nwant %s", err, got, want)
	}
	var file unix.Stat_t
	if err := unix.Stat(path, &file); err != nil {
		t.Fatal(err)
	}
	return file.Ino
}

// TestPeersFile: the file of the other nodes is written again whenever one of those things has changed that it is made from, and when another program
// has edited or deleted it; else it stays, whatever the order of the nodes.
//
// Claim: peers.json is written again when a node, a route or a problem has changed, or another program has changed the file
func TestPeersFile(t *testing.T) {
	config, err := cluster.ParseConfig([]byte(`{"clusterCIDRs": ["10.244.0.0/16", "fd00:10:244::/48"]}`))
	if err != nil {
		t.Fatal(err)
	}
	p, nodes := newPassing(t, config), sixNodes()
	path := agentstatus.PeersPath(p.options.status)
	plan := config.Plan(nodes, cluster.Host{Name: "node-1", MTU: 1500})
	first := peersText(t, p, nodes, plan)
	slices.Reverse(nodes)
	if again := peersText(t, p, nodes, plan); again != first || p.agent.peers.sum != p.peersSum(nodes, plan) {
		t.Error("it is written again although nothing has changed")
	}
	addr, dst := netip.MustParseAddr("192.0.2.99"), plan.Routes[0].Dst
	for _, change := range []func(){
		func() { nodes[1].InternalIPs = []netip.Addr{addr} },
		func() { nodes[1].PodCIDRs = append(nodes[1].PodCIDRs, netip.MustParsePrefix("10.244.77.0/24")) },
		func() { nodes[1].Name = "node-other" },
		func() { nodes = nodes[1:] },
		func() { plan.Routes = slices.Clone(plan.Routes); plan.Routes[0].Via = addr },
		func() { plan.Routes = plan.Routes[1:] },
		func() { p.kept = []cluster.Route{{Dst: dst, Via: addr, Device: cluster.Overlay4}} },
		func() { plan.Problems = append(plan.Problems, cluster.Problem{Node: "node-2", Text: "a problem"}) },
		func() { p.unreached[plan.Routes[0].Dst] = "another program has it" },
		func() { p.unreached[plan.Routes[0].Dst] = "another reason" },
		func() { _ = os.WriteFile(path, []byte("edited"), 0o600) },
		func() { _ = os.Remove(path) },
	} {
		change()
		peersText(t, p, nodes, plan)
	}
}
