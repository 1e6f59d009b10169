package attach

import (
	"context"

	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/report"
)

// DelTogether removes attachments as Del removes each, and returns an error for each. Deleting a veth pair waits for an
// RCU grace period of some 20 ms; the host interfaces of up to 64 attachments are deleted in one request, which waits once.
// Before the removal of each attachment before is called, to set the environment of its IPAM plugin.
func DelTogether(ctx context.Context, all []Request, before func(*Request)) []error {
	ctx = Within(ctx)
	failed := make([]error, len(all))
	host, err := OpenHost(ctx)
	if err != nil {
		for i := range failed {
			failed[i] = err
		}
		return failed
	}
	defer host.Close()
	for first := 0; first < len(all); first += gcBatch {
		end := min(first+gcBatch, len(all))
		delBatch(ctx, host, all[first:end], failed[first:end], before)
	}
	return failed
}

// delBatch removes attachments whose records stay locked meanwhile.
func delBatch(ctx context.Context, host *link.Host, all []Request, failed []error, before func(*Request)) {
	removals := make([]*removal, len(all))
	var pairs []link.HostInterface
	for i := range all {
		removals[i], failed[i] = all[i].removal(ctx, host)
		if r := removals[i]; r != nil {
			defer closeState(r.state)
			pairs = append(pairs, r.vethPair())
		}
	}
	if err := host.UnplugTogether(pairs); err != nil {
		report.Warn("%s; deleting them one by one", report.OneLine(err))
	}
	for i, r := range removals {
		if r != nil {
			before(&all[i])
			failed[i] = r.run(ctx)
		}
	}
}
