package attach

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/containernetworking/cni/pkg/version"

	"github.com/patchbay-cni/patchbay/pkg/config"
	"github.com/patchbay-cni/patchbay/pkg/delegate"
	"github.com/patchbay-cni/patchbay/pkg/identity"
	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/liveness"
	"github.com/patchbay-cni/patchbay/pkg/report"
	"github.com/patchbay-cni/patchbay/pkg/ruleset"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// GC removes the attachments of a network that the runtime does not list as valid: CNI SPEC.md section 4, GC. It removes only those
// that a runtime made. It skips an attachment whose record another process has locked, or that was made after the call began,
// because the runtime composed its list before. It also releases addresses of the previous boot. It continues after errors and returns
// all of them.
func GC(ctx context.Context, req Request) error {
	ctx = Within(ctx)
	started, clock := time.Now(), store.FileClock()
	cfg, err := req.parseGC()
	if err != nil || !cfg.Present {
		return err
	}
	host, err := OpenHost(ctx)
	if err != nil {
		return err
	}
	defer host.Close()
	c := &collection{host: host, aliases: liveness.NewAliases(host), cfg: cfg, dirs: dirs(cfg.Ident), started: started, clock: clock, asked: &req}
	var found []*candidate
	failed := req.Step("look", func() (err error) {
		found, err = c.candidates()
		return err
	})
	for some := range slices.Chunk(found, unplugBatch) {
		failed = errors.Join(failed, req.Step("take", func() error { return c.remove(ctx, some) }))
	}
	return errors.Join(
		failed,
		req.Step("sweep", func() error {
			return errors.Join(ruleset.SweepNetwork(ctx, cfg.StateDir, cfg.Name), c.retireGateways(ctx))
		}),
		req.Step("sweep host", func() error {
			_, err := ruleset.SweepHost(ctx, host, cfg.StateDir)
			return err
		}),
		req.Step("sweep addresses", func() error {
			_, err := store.ReclaimStale(ctx, c.dirs, cfg.Name, host.Cookie())
			return err
		}),
		req.Step("ask", func() error { return req.collectForeign(ctx, cfg.Ident) }),
	)
}

// remove removes those of the candidates that may be removed: their veth pairs in one request, their elements in one
// transaction, the rest of each as DEL does.
func (c *collection) remove(ctx context.Context, some []*candidate) (failed error) {
	var removals []*removal
	for _, s := range some {
		r, err := c.lock(s)
		failed = errors.Join(failed, err)
		if r != nil {
			defer closeState(r.state) // in reverse order: closing the first may remove the directory of all
			removals = append(removals, r)
		}
	}
	clearTogether(ctx, c.host, removals)
	for _, r := range removals {
		if err := r.run(ctx); err != nil {
			failed = errors.Join(failed, fmt.Errorf("collect %s: %w", r.key, err))
		}
	}
	return failed
}

// lock locks the record of a candidate and decides whether to remove it; it returns nil if the attachment stays. It decides under the
// lock, because a DEL and an ADD with the same key may have run since the candidate was found.
func (c *collection) lock(s *candidate) (*removal, error) {
	open := store.TryOpenToRemove
	if s.recorded {
		open = store.TryOpen
	}
	state, err := open(c.dirs, s.key)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if errors.Is(err, store.ErrBusy) {
		report.Warn("left %s: %v", s.key, err)
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("collect %s: %w", s.key, err)
	}
	r := &removal{key: s.key, names: identity.Of(s.key), host: c.host, state: state, aliases: c.aliases, forget: true, batch: true, bridge: c.cfg.Bridge, asked: c.asked}
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

// collectable reports whether a runtime made the attachment before this GC. Without a readable record (a killed process can leave an
// empty one) the alias of the host interface names the owner. Without an interface either, only addresses and elements remain, and no
// other verb would remove them.
func (c *collection) collectable(r *removal) (bool, error) {
	if record := r.state.Record; record != nil {
		return record.Owner == store.OwnerCNI && record.Created.Before(c.started), nil
	}
	l, err := c.host.Link(r.names.HostInterface)
	if errors.Is(err, link.ErrNotFound) {
		l, err = c.aliases.Find(r.names.Mark)
	}
	switch {
	case errors.Is(err, link.ErrNotFound) && errors.Is(r.state.Broken, store.ErrNewer):
		report.Warn("record %s: %v; leaving it", r.state.Path(), r.state.Broken)
		return false, nil
	case errors.Is(err, link.ErrNotFound):
		return true, nil
	case err != nil:
		return false, fmt.Errorf("collect %s: %w", r.key, err)
	case l.Alias != "" && l.Alias != r.names.Alias:
		report.Warn("%s has no readable record, and the alias of %s is %q: no runtime has made it; leaving it", r.key, l.Name, l.Alias)
		return false, nil
	}
	return true, nil
}

// retireGateways removes gateway addresses of an earlier configuration that no attachment uses.
func (c *collection) retireGateways(ctx context.Context) error {
	b, err := c.host.Bridge(c.cfg.Bridge)
	if err != nil {
		return report.Except(report.Except(err, link.ErrNotFound), link.ErrNotBridge)
	}
	current := c.asked.gateways()
	if len(current) == 0 {
		return nil
	}
	gate, err := c.host.Gate(b, c.asked.gatewayLink(c.cfg.Bridge))
	if err != nil || !gate.Ours {
		return report.Except(report.Except(err, link.ErrNotFound), link.ErrNotVLANLink)
	}
	r := &retirement{host: c.host, bridge: b, gate: gate, network: c.cfg.Name, dirs: liveness.StateDirs(c.dirs.State), current: current}
	return r.run(ctx)
}

// parseGC parses the configuration of a GC, in the role of main plugin or of IPAM plugin.
func (r *Request) parseGC() (*config.GC, error) {
	called, err := r.called()
	if err != nil {
		return nil, err
	}
	cfg, err := called.ParseGC(r.Config)
	if err != nil || !cfg.DelegatesIPAM() {
		return cfg, err
	}
	if id := r.identify(); !id.DelegatesIPAM() {
		return id.Called.ParseGC(r.Config)
	}
	return cfg, nil
}

// collectForeign calls GC of the delegated IPAM plugin. CNI 1.1.0 introduced GC; plugins of older versions do not know it.
func (r *Request) collectForeign(ctx context.Context, id config.Ident) error {
	has, err := version.GreaterThanOrEqualTo(id.CNIVersion, "1.1.0")
	if err != nil || !has || !id.DelegatesIPAM() {
		return nil
	}
	plugin, err := delegate.Find(id.IPAMType, r.Path)
	if err != nil || isStatic(id.IPAMType) && plugin.IsSelf() {
		return err
	}
	_, err = within(ctx, plugin).Call(ctx, "GC", r.Config)
	return err
}
