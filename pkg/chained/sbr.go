package chained

import (
	"context"

	"github.com/patchbay-cni/patchbay/pkg/attach"
	"github.com/patchbay-cni/patchbay/pkg/config"
	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/names"
	"github.com/patchbay-cni/patchbay/pkg/report"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// sourceRouting routes by the source address of a container's packets, as the record's SourceRouting says.
func sourceRouting() part {
	return part{
		parse:     func(data []byte, _ string) (*config.Chained, error) { return config.ParseSBR(data) },
		wanted:    func(*config.Chained) bool { return true },
		plan:      planSources,
		apply:     applySources,
		remove:    removeSources,
		reference: stopReferenceSources,
		clear:     func(r *store.Record) { r.SourceRouting = nil },
		check:     checkSources,
		status:    func(*config.Chained, *link.Host) error { return nil },
	}
}

// planSources marks the record; the tables are chosen under the lock of the namespace, in apply.
func planSources(a *adding) error {
	if a.record.SourceRouting != nil && !a.record.HasPart(names.SourceRoute) || len(a.given) == 0 {
		return errDone
	}
	a.note()
	return nil
}

// applySources adds the policy rules and routing tables. The record has them before.
func applySources(ctx context.Context, a *adding) error {
	if a.has() {
		if err := a.againBySource(ctx); err != nil {
			return err
		}
	}
	putBack, err := a.sandbox.KeepRoutes(a.req.IfName)
	if err != nil {
		return err
	}
	a.putBack = putBack
	want := link.SourceRouting{
		IfName: a.req.IfName, Sources: attach.SourcesOf(a.cfg.SBR, a.given), Table: a.cfg.SBR.Table, KeepSubnets: a.cfg.SBR.AddSourceHints,
	}
	return a.sandbox.RouteBySource(want, func(chosen []link.Source) error {
		a.record.SourceRouting = attach.RecordedSources(a.cfg.SBR, chosen)
		return a.state.Save(a.record)
	})
}

// againBySource removes what an earlier ADD of the same attachment has made, and returns the routes that it moved.
func (a *adding) againBySource(ctx context.Context) error {
	a.record.SourceRouting = nil
	before := a.before.SourceRouting
	if before == nil {
		return nil
	}
	if !before.Shared {
		if err := a.sandbox.ReturnRoutes(a.req.IfName, attach.SourcesOfRecord(before)); err != nil {
			return err
		}
	}
	return removeSources(ctx, &removing{host: a.host, record: a.before, state: a.state, req: &a.req})
}

// removeSources removes the rules and the routes of their tables. They are gone with the namespace. As with the reference plugin the routes
// do not return to the main table: the main plugin deletes the interface next.
func removeSources(_ context.Context, r *removing) error {
	routing := r.record.SourceRouting
	if routing == nil {
		return nil
	}
	return r.inside(func(s *link.Sandbox) error {
		return s.StopSourceRouting(r.record.IfName, attach.SourcesOfRecord(routing), !routing.Shared)
	})
}

// inside calls do in the network namespace of the attachment, and not at all if that is gone or another one is at its path.
func (r *removing) inside(do func(*link.Sandbox) error) error {
	for _, path := range []string{r.req.Netns, r.record.Netns} {
		s, err := link.OpenSandbox(path, r.req.HostNetnsAllowed)
		if err != nil {
			continue // it is gone, or cannot be entered by anyone
		}
		if r.record.IsNamespace(s.Cookie(), s.Inode()) {
			defer s.Close()
			return do(s)
		}
		s.Close()
	}
	return nil
}

// stopReferenceSources deletes the policy rules of the reference plugin sbr: those of the addresses of the interface. They are gone with the
// network namespace.
func stopReferenceSources(r *removing) error {
	s, err := link.OpenSandbox(r.req.Netns, r.req.HostNetnsAllowed)
	if err != nil {
		return nil //nolint:nilerr // it is gone, or cannot be entered by anyone
	}
	defer s.Close()
	l, err := s.Link(r.req.IfName)
	if err != nil {
		return report.Except(err, link.ErrNotFound)
	}
	has, err := s.Addresses(l.Index)
	if err != nil {
		return err
	}
	return s.StopRoutingFrom(has)
}

// checkSources compares the rules of the record with the container.
func checkSources(c *checking) error {
	routing := c.record.SourceRouting
	if routing == nil {
		return nil // the container has no address to route by
	}
	lost, err := c.sandbox.MissingSourceRouting(c.req.IfName, attach.SourcesOfRecord(routing))
	for _, what := range lost {
		c.differ("the container has lost %s", what)
	}
	return err
}
