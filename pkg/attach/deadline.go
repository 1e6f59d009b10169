package attach

import (
	"context"
	"errors"
	"time"

	"github.com/patchbay-cni/patchbay/pkg/delegate"
	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// A verb has one deadline for all locks, programs and addresses that it waits for: kubelet kills a call after two minutes, and then
// nothing undoes it. The undo of a failed ADD has time of its own, so that an ADD that fails at its deadline is still undone.
//
// A lock is waited for until that deadline while it passes from process to process: of a hundred ADDs at once on a slow machine the last one
// waits for all others. It is not waited for when one process holds it for lockTime and does not run: that one is stopped, or waits itself.
const (
	verbTime = 75 * time.Second // an IPAM plugin takes up to 60 of them (delegate.Patience)
	lockTime = 10 * time.Second // for all locks together, while they stay with one process
	undoLock = 3 * time.Second  // the same in undo
	undoAll  = 10 * time.Second // after verbTime, for all locks of undo
	undoIPAM = 30 * time.Second // for the DEL of a delegated IPAM plugin in undo
)

type deadlineKey struct{}

// Within returns a context with the deadline of one verb, unless ctx has one. It is a value, not a deadline of the context: ctx is done
// only after a signal, and each wait reads how long it may take.
func Within(ctx context.Context) context.Context {
	if _, has := ctx.Value(deadlineKey{}).(time.Time); has {
		return ctx
	}
	end := time.Now().Add(verbTime)
	ctx = store.WithLockBudget(ctx, lockTime, end)
	return context.WithValue(ctx, deadlineKey{}, end)
}

// toUndo returns the context for undo: a signal does not cancel it.
func toUndo(ctx context.Context) context.Context {
	end := deadline(ctx)
	if !end.IsZero() {
		end = end.Add(undoAll)
	}
	return store.WithLockBudget(context.WithoutCancel(ctx), undoLock, end)
}

// deadline returns the deadline of a verb, or the zero Time if there is none.
func deadline(ctx context.Context) time.Time {
	end, _ := ctx.Value(deadlineKey{}).(time.Time)
	return end
}

// within returns a copy of plugin whose timeout ends with the verb.
func within(ctx context.Context, plugin *delegate.Plugin) *delegate.Plugin {
	p := *plugin
	if end := deadline(ctx); !end.IsZero() {
		p.Deadline = min(p.Deadline, time.Until(end))
	}
	return &p
}

// OpenHost returns link.OpenHost with the deadline of the verb: its waits end with ctx.
func OpenHost(ctx context.Context) (*link.Host, error) {
	host, err := link.OpenHost()
	if err == nil {
		host.Until = deadline(ctx)
	}
	return host, err
}

// ran reports whether a call started the plugin, which may then have changed something.
func ran(err error) bool {
	var failed *delegate.Error
	return err == nil || errors.As(err, &failed) && failed.Started
}
