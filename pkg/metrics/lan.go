package metrics

import (
	"github.com/patchbay-cni/patchbay/pkg/health"
	"github.com/patchbay-cni/patchbay/pkg/lan"
)

// writeLAN writes the networks of patchbay-lan. Those whose program does not run have no samples of addresses, blocks and problems: other hosts
// may have the blocks by now.
func (e *exposition) writeLAN(networks []health.LAN) {
	for _, f := range []struct {
		name, help string
		value      func(*health.LAN) float64
		known      func(*health.LAN) bool
	}{
		{"patchbay_lan_up", "Whether patchbay-lan runs for a network.", func(n *health.LAN) float64 { return yes(n.Running) }, nil},
		{"patchbay_lan_ready", "Whether the network configuration exists, so that containers get addresses.", func(n *health.LAN) float64 { return yes(n.State == lan.Ready) }, nil},
		{"patchbay_lan_addresses_free", "Free addresses in the blocks of this host; absent if patchbay-lan does not run.", func(n *health.LAN) float64 { return float64(n.Free) }, hasStatus},
		{"patchbay_lan_problems", "Problems that patchbay-lan reports; absent if it does not run.", func(n *health.LAN) float64 { return float64(len(n.Problems)) }, hasStatus},
		{
			"patchbay_lan_confirmed_timestamp_seconds", "Time at which etcd last confirmed the blocks of this host; absent before, and if patchbay-lan does not run.",
			func(n *health.LAN) float64 { return float64(n.Confirmed.Unix()) }, func(n *health.LAN) bool { return hasStatus(n) && !n.Confirmed.IsZero() },
		},
	} {
		headed := false
		for i := range networks {
			if n := &networks[i]; f.known == nil || f.known(n) {
				if !headed {
					e.family(f.name, gauge, f.help)
				}
				headed = true
				e.sample(f.name, f.value(n), "network", label(n.Network))
			}
		}
	}
	e.writeBlocks(networks)
}

func hasStatus(n *health.LAN) bool { return n.Status != nil }

// writeBlocks writes the blocks of each network by phase, a sample for each phase.
func (e *exposition) writeBlocks(networks []health.LAN) {
	const name = "patchbay_lan_blocks"
	headed := false
	for i := range networks {
		n := &networks[i]
		if !hasStatus(n) {
			continue
		}
		if !headed {
			e.family(name, gauge, "Blocks of this host by phase; absent if patchbay-lan does not run.")
		}
		headed = true
		counts := map[string]int{}
		for _, b := range n.Blocks {
			counts[b.Phase]++
		}
		for _, phase := range lan.Phases() {
			e.sample(name, float64(counts[phase]), "network", label(n.Network), "phase", phase)
		}
	}
}
