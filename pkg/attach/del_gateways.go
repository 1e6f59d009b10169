package attach

import (
	"context"

	"github.com/patchbay-cni/patchbay/pkg/liveness"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// retireGateways removes gateway addresses that this attachment was the last one to use, if the configuration of its network now has
// other gateways. Usually the bridge has only current ones, so that one dump of its addresses suffices. A failure is a warning: the
// attachment is removed, and the next DEL or GC tries again. It returns whether the bridge had gateways that this attachment did not use.
func (r *removal) retireGateways(ctx context.Context, record *store.Record) bool {
	if record == nil || !record.Gateway || record.Bridge == "" {
		return false
	}
	own, err := r.host.OwnAddresses(record.RoutedBy())
	if err != nil || len(without(own, store.BridgeGateways(record.Addresses))) == 0 {
		return false
	}
	b, err := r.host.Bridge(record.Bridge)
	if err != nil {
		return false
	}
	gate, err := r.host.Gate(b, record.RoutedBy())
	if err != nil || !gate.Ours {
		return false
	}
	t := &retirement{host: r.host, bridge: b, gate: gate, network: record.Network, dirs: liveness.StateDirs(r.state.Dirs().State), but: r.key, last: record}
	if r.asked != nil && r.asked.Key(r.key.Network) == r.key {
		t.current = r.asked.gateways()
	}
	t.orWarn(t.run(ctx))
	return true
}
