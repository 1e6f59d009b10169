package attach

import (
	"context"
	"errors"
	"os"

	"github.com/patchbay-cni/patchbay/pkg/identity"
	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/liveness"
	"github.com/patchbay-cni/patchbay/pkg/report"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// reclaim removes the stale attachments of a network when an ADD finds no address: those whose containers were deleted without DEL, and
// those of the previous boot. It reports whether an address was released. Errors are warnings: the next call tries again.
func reclaim(ctx context.Context, host *link.Host, dirs store.Dirs, network string) bool {
	checker, freed := liveness.New(host), false
	stale, err := checker.StaleIn(dirs, network, nil)
	for _, r := range stale {
		if ctx.Err() != nil {
			return false
		}
		done, failed := RemoveStale(ctx, checker, dirs, r.Key())
		freed, err = freed || done, errors.Join(err, failed)
	}
	lost, failed := store.ReclaimStale(ctx, dirs, network, host.Cookie())
	if err := errors.Join(err, failed); err != nil {
		report.Warn("reclaim addresses of network %s: %s", network, report.OneLine(err))
	}
	return freed || len(lost) > 0
}

// RemoveStale removes a stale attachment. It does nothing if another process holds the lock of the record, or if the attachment is live.
func RemoveStale(ctx context.Context, checker liveness.Checker, dirs store.Dirs, key store.Key) (bool, error) {
	state, err := store.TryOpen(dirs, key)
	if errors.Is(err, store.ErrBusy) || errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer closeState(state)
	if state.Record == nil || state.Broken != nil || !checker.IsStale(state.Record) {
		return false, nil
	}
	r := &removal{key: key, names: identity.Of(key), host: checker.Host, state: state, aliases: checker.Aliases, forget: true, unasked: true}
	return true, r.run(ctx)
}
