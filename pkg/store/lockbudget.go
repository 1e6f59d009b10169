package store

import (
	"context"
	"sync"
	"time"
)

// LockTimeout is how long a process waits for one lock if its context has no
// budget (WithLockBudget). It is shorter than the deadline of every runtime;
// kubelet's is two minutes.
const LockTimeout = 10 * time.Second

// lockBudget is the time that all waits for locks may still take together.
type lockBudget struct {
	mu   sync.Mutex
	left time.Duration
}

// lockBudgetKey is the key of the budget in a context.
type lockBudgetKey struct{}

// WithLockBudget limits how long all waits for locks with this context may take
// together. With a budget that is used up, or 0, a lock is taken only if it is free.
func WithLockBudget(ctx context.Context, all time.Duration) context.Context {
	return context.WithValue(ctx, lockBudgetKey{}, &lockBudget{left: all})
}

// budgetOf returns the budget of a context, or a new one of LockTimeout.
func budgetOf(ctx context.Context) *lockBudget {
	if p, ok := ctx.Value(lockBudgetKey{}).(*lockBudget); ok {
		return p
	}
	return &lockBudget{left: LockTimeout}
}

// remaining returns the rest of the budget, at least 0.
func (p *lockBudget) remaining() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return max(p.left, 0)
}

// spend subtracts the time since began, when a wait ends.
func (p *lockBudget) spend(began time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.left -= time.Since(began)
}
