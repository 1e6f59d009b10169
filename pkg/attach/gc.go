package attach

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/patchbay-cni/patchbay/pkg/config"
	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/nft"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// gcAtOnce is how many attachments are taken away together. Their locks are held meanwhile, and
// the kernel, while it deletes their links, does nothing else.
const gcAtOnce = 64

// GC takes away what the runtime does not list as valid: CNI SPEC.md section 4, GC. Only
// attachments that a runtime made are concerned; one that another process works on, or that
// is newer than this call, is in flight and left alone. It goes on past errors and returns all.
func GC(ctx context.Context, req Request) error {
	started, clock := time.Now(), store.FileClock()
	cfg, err := req.parseGC()
	if err != nil || !cfg.Present {
		return err
	}
	host, err := link.OpenHost()
	if err != nil {
		return err
	}
	defer host.Close()
	c := &collection{host: host, cfg: cfg, dirs: dirs(cfg.Ident), started: started, clock: clock, asked: &req}
	var suspects []*suspect
	failed := req.step("look", func() (err error) {
		suspects, err = c.suspects()
		return err
	})
	for some := range slices.Chunk(suspects, gcAtOnce) {
		failed = errors.Join(failed, req.step("take", func() error { return c.take(ctx, some) }))
	}
	return errors.Join(
		failed,
		req.step("sweep", func() error { return c.sweep(ctx) }),
		req.step("sweep host", func() error {
			_, err := sweepHost(ctx, host, cfg.StateDir)
			return err
		}),
		req.step("ask", func() error { return req.collectForeign(ctx, cfg.Ident) }),
	)
}

// sweep removes the network's chains that nothing leads to any more, because its settings have
// changed. Where somebody is building just now, the next GC will.
func (c *collection) sweep(ctx context.Context) error {
	err := withRules(func(rules *nft.Ruleset) error {
		if has, err := rules.HasTable(); err != nil || !has {
			return nil
		}
		lock, err := lockRules(ctx, c.cfg.StateDir, false)
		if err != nil {
			return ignore(err, store.ErrBusy)
		}
		defer lock.Unlock()
		return rules.Sweep(c.cfg.Name)
	})
	return ignore(err, nft.ErrUnsupported)
}

// collection is one GC on its way.
type collection struct {
	host    *link.Host
	cfg     *config.GC
	dirs    store.Dirs
	started time.Time
	clock   time.Time // the same by the clock of files
	asked   *Request
}

// take collects those of the suspects that it may. Their cables go together, and then each goes
// as by a DEL.
func (c *collection) take(ctx context.Context, some []*suspect) (failed error) {
	var removals []*removal
	var cables []link.Cable
	for _, s := range some {
		r, err := c.hold(s)
		failed = errors.Join(failed, err)
		if r != nil {
			defer closeState(r.state) // the last one first: the first has made their directory
			removals, cables = append(removals, r), append(cables, r.cable())
		}
	}
	if err := c.host.UnplugTogether(cables); err != nil {
		warn("%s; deleting them one by one", sentence(err))
	}
	for _, r := range removals {
		if err := r.run(ctx); err != nil {
			failed = errors.Join(failed, fmt.Errorf("collect %s: %w", r.key, err))
		}
	}
	return failed
}

// hold locks a suspect and judges it; nil if it stays. It is judged when it is locked: the one that
// was found may have ended meanwhile, and a new one begun.
func (c *collection) hold(s *suspect) (*removal, error) {
	open := store.TryOpenToRemove
	if s.recorded {
		open = store.TryOpen
	}
	state, err := open(c.dirs, s.key)
	if errors.Is(err, store.ErrBusy) || errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("collect %s: %w", s.key, err)
	}
	r := &removal{key: s.key, names: namesOf(s.key), host: c.host, state: state, forget: true, bridge: c.cfg.Bridge, asked: c.asked}
	if !s.recorded {
		r.found, r.since = s.addrs, c.clock
	}
	ours, err := c.collectable(r)
	if err != nil || !ours {
		closeState(state)
		return nil, err
	}
	return r, nil
}

// collectable reports whether an attachment is one that a runtime made before this GC. Of one
// without a readable record, among them the empty one of a verb that was killed, the cable tells
// who made it; where there is none, nobody else takes away what is left.
func (c *collection) collectable(r *removal) (bool, error) {
	if record := r.state.Record; record != nil {
		return record.Owner == store.OwnerCNI && record.Created.Before(c.started), nil
	}
	l, err := c.host.Link(r.names.hostLink)
	switch {
	case errors.Is(err, link.ErrNotFound) && errors.Is(r.state.Broken, store.ErrNewer):
		warn("record %s: %v; leaving it", r.state.Path(), r.state.Broken)
		return false, nil
	case errors.Is(err, link.ErrNotFound):
		return true, nil
	case err != nil:
		return false, fmt.Errorf("collect %s: %w", r.key, err)
	case l.Alias != "" && l.Alias != r.names.alias:
		warn("%s has no readable record, and the alias of %s is %q: no runtime has made it; leaving it", r.key, l.Name, l.Alias)
		return false, nil
	}
	return true, nil
}
