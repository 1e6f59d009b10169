package attach

import (
	"context"
	"slices"

	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/report"
	"github.com/patchbay-cni/patchbay/pkg/ruleset"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// DelTogether removes attachments as Del removes each, and returns an error for each. Deleting a veth pair and removing elements of
// nftables each wait for an RCU grace period of some 20 ms; up to 64 attachments are deleted in one request and one transaction, which
// wait once.
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
	clearTogether(ctx, host, removals)
	for i, r := range removals {
		if r != nil {
			before(&all[i])
			failed[i] = r.run(ctx)
		}
	}
	return failed
}

// clearTogether deletes the host interfaces of removals in one request, and their nftables elements in one transaction; a removal may be
// nil. What it cannot remove each removal does.
func clearTogether(ctx context.Context, host *link.Host, removals []*removal) {
	removals = slices.DeleteFunc(slices.Clone(removals), func(r *removal) bool { return r == nil })
	pairs := make([]link.HostInterface, len(removals))
	for i, r := range removals {
		pairs[i] = r.vethPair()
	}
	err := host.UnplugTogether(pairs)
	if err != nil {
		report.Warn("%s; deleting them one by one", report.OneLine(err))
		return // a container that is still connected keeps its rules
	}
	if err := withdrawTogether(ctx, removals); err != nil {
		report.Warn("%s; removing them one by one", report.OneLine(err))
	}
}

// withdrawTogether removes the elements of attachments with a complete record. A container with limited egress may still be connected, by
// an interface that was renamed: its elements are removed after that.
func withdrawTogether(ctx context.Context, removals []*removal) error {
	var records []*store.Record
	for _, r := range removals {
		if record := r.state.Record; record != nil && r.state.Broken == nil && record.Egress == nil && ruleset.IsNeeded(record) {
			records = append(records, record)
		}
	}
	if len(records) < 2 {
		return nil
	}
	unlock, err := ruleset.Lock(ctx, removals[0].state.Dirs().State, ruleset.Shared)
	if err != nil {
		return err
	}
	defer unlock()
	return ruleset.WithdrawElements(records)
}
