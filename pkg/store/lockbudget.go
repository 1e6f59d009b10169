package store

import (
	"context"
	"sync"
	"time"
)

// LockTimeout is how long a process waits for a lock that another process holds if
// its context has no budget (WithLockBudget).
const LockTimeout = 10 * time.Second

// lockBudget limits the waits for locks with one context.
type lockBudget struct {
	mu    sync.Mutex
	stuck time.Duration // that waits may still take, together, while nobody else gets the lock
	until time.Time     // when they end in any case; the zero Time for never
}

// lockBudgetKey is the key of the budget in a context.
type lockBudgetKey struct{}

// WithLockBudget limits how long waits for locks with this context may take. Of a
// queue that moves, of a hundred ADDs on a slow machine for example, no process is
// at fault: only the time counts in which one process holds the lock, stuck for all
// waits together. All waits end at a point in time; the zero Time for never. With a
// budget that is used up, or 0, a lock is taken only if it is free.
func WithLockBudget(ctx context.Context, stuck time.Duration, until time.Time) context.Context {
	return context.WithValue(ctx, lockBudgetKey{}, &lockBudget{stuck: stuck, until: until})
}

// budgetOf returns the budget of a context, or a new one of LockTimeout.
func budgetOf(ctx context.Context) *lockBudget {
	if p, ok := ctx.Value(lockBudgetKey{}).(*lockBudget); ok {
		return p
	}
	return &lockBudget{stuck: LockTimeout}
}

// remaining returns the rest of the budget, at least 0, if the lock has not changed
// hands since a point in time.
func (p *lockBudget) remaining(since time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	left := p.stuck - time.Since(since)
	if !p.until.IsZero() {
		left = min(left, time.Until(p.until))
	}
	return max(left, 0)
}

// lasts reports whether a wait may take longer than stuck: there is an end that has not been reached.
func (p *lockBudget) lasts() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stuck > 0 && time.Now().Before(p.until)
}

// spend subtracts the time since the lock has changed hands, when a wait ends.
func (p *lockBudget) spend(since time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stuck -= time.Since(since)
}
