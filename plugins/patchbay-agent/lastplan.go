package main

import (
	"hash/maphash"
	"maps"
	"slices"

	"github.com/patchbay-cni/patchbay/pkg/cluster"
)

// lastPlan is the plan of the last pass and what it was made from. Most passes are made because something on the host has changed, or a minute is over,
// and with 5 000 nodes the plan is most of their time.
type lastPlan struct {
	config *cluster.Config
	nodes  uint64 // sum of the nodes
	host   cluster.Host
	plan   cluster.Plan
}

// planOf returns the plan of this host, which nothing may change: the next pass may have the same.
func (p *passing) planOf(nodes []cluster.Node, host cluster.Host) cluster.Plan {
	last, sum := &p.agent.last, nodesSum(nodes)
	if last.config != p.cluster || last.nodes != sum || !sameHost(last.host, host) {
		*last = lastPlan{} // not two plans in memory
		*last = lastPlan{p.cluster, sum, host, p.cluster.Plan(nodes, host)}
	}
	return last.plan
}

func sameHost(a, b cluster.Host) bool {
	return a.Name == b.Name && a.MTU == b.MTU && slices.Equal(a.Bridge, b.Bridge) && slices.Equal(a.Local, b.Local) && maps.Equal(a.Direct, b.Direct)
}

// seed is that of all hashes of this process.
var seed = maphash.MakeSeed()

// nodesSum returns a hash of nodes in any order.
func nodesSum(nodes []cluster.Node) (sum uint64) {
	var h maphash.Hash
	h.SetSeed(seed)
	for i := range nodes {
		n := &nodes[i]
		h.Reset()
		maphash.WriteComparable(&h, [2]string{n.Name, n.UID})
		maphash.WriteComparable(&h, [4]int64{n.Created.Unix(), int64(len(n.InternalIPs)), int64(len(n.PodCIDRs)), int64(len(n.Unreadable))})
		for _, addr := range n.InternalIPs {
			maphash.WriteComparable(&h, addr)
		}
		for _, cidr := range n.PodCIDRs {
			maphash.WriteComparable(&h, cidr)
		}
		for _, text := range n.Unreadable {
			maphash.WriteComparable(&h, text)
		}
		sum += h.Sum64()
	}
	return sum
}
