package liveness

import (
	"net"
	"slices"

	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/report"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// BridgeMACs returns, by name, the MACs of the bridges that Patchbay created for these live attachments. If their records disagree, the one of
// the oldest attachment is right: the neighbour tables and results of those before the bridge was deleted have it.
func BridgeMACs(live []*store.Record) map[string]net.HardwareAddr {
	oldest := map[string]*store.Record{}
	macs := map[string]net.HardwareAddr{}
	for _, r := range live {
		mac, err := net.ParseMAC(r.BridgeMAC)
		if err != nil || oldest[r.Bridge] != nil && !r.Created.Before(oldest[r.Bridge].Created) {
			continue
		}
		oldest[r.Bridge], macs[r.Bridge] = r, mac
	}
	return macs
}

// FormerMAC returns the MAC that a bridge had which does not exist now, but whose attachments do: another program has deleted it. It returns
// nil for none. It reads all records of the host.
func FormerMAC(host *link.Host, stateDir, bridge string) net.HardwareAddr {
	all, err := recordsIn(StateDirs(stateDir))
	if err != nil {
		report.Warn("bridge %s may get another MAC address than its running containers know: %v", bridge, err)
	}
	all = slices.DeleteFunc(all, func(e store.Entry) bool { return e.Record == nil || e.Record.Bridge != bridge })
	return BridgeMACs(Live(host, all))[bridge]
}
