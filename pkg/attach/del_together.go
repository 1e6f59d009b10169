package attach

import (
	"context"
	"slices"

	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/report"
)

// DelTogether removes attachments as Del removes each, and returns an error for each. Deleting a veth pair waits for an
// RCU grace period of some 20 ms; the host interfaces of up to 64 attachments are deleted in one request, which waits once.
// Before the removal of each attachment before is called, to set the environment of its IPAM plugin.
func DelTogether(ctx context.Context, all []Request, before func(*Request)) []error {
	ctx = Within(ctx)
	host, err := OpenHost(ctx)
	if err != nil {
		return slices.Repeat([]error{err}, len(all))
	}
	defer host.Close()
	failed := make([]error, 0, len(all))
	for some := range slices.Chunk(all, unplugBatch) {
		failed = append(failed, delBatch(ctx, host, some, before)...)
	}
	return failed
}

// unplugBatch is the number of attachments whose veth pairs are deleted in one request. Their records stay locked meanwhile, and the
// kernel holds the RTNL lock while it deletes them, which delays every other change of interfaces on the host.
const unplugBatch = 64

// delBatch removes attachments whose records stay locked meanwhile.
func delBatch(ctx context.Context, host *link.Host, all []Request, before func(*Request)) []error {
	removals, failed := make([]*removal, len(all)), make([]error, len(all))
	for i := range all {
		removals[i], failed[i] = all[i].removal(ctx, host)
		if r := removals[i]; r != nil {
			defer closeState(r.state)
		}
	}
	unplugTogether(host, removals)
	for i, r := range removals {
		if r != nil {
			before(&all[i])
			failed[i] = r.run(ctx)
		}
	}
	return failed
}

// unplugTogether deletes the host interfaces of removals in one request; a removal may be nil. What it cannot delete each removal does.
func unplugTogether(host *link.Host, removals []*removal) {
	var pairs []link.HostInterface
	for _, r := range removals {
		if r != nil {
			pairs = append(pairs, r.vethPair())
		}
	}
	if err := host.UnplugTogether(pairs); err != nil {
		report.Warn("%s; deleting them one by one", report.OneLine(err))
	}
}
