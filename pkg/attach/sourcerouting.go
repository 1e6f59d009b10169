package attach

import (
	"net/netip"

	"github.com/patchbay-cni/patchbay/pkg/config"
	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// SourcesOf returns the sources of addresses, each with the gateway that the configuration gives it.
func SourcesOf(sbr *config.SBR, addresses []store.Address) []link.Source {
	sources := make([]link.Source, 0, len(addresses))
	for _, a := range addresses {
		gateway, fixed := sbr.Gateway(a.Address.Addr().Is4(), a.Gateway)
		sources = append(sources, link.Source{Address: a.Address, Gateway: gateway, Fixed: fixed})
	}
	return sources
}

// RecordedSources returns sources, whose tables are chosen, in the format of a record.
func RecordedSources(sbr *config.SBR, sources []link.Source) *store.SourceRouting {
	out := &store.SourceRouting{Shared: sbr.Table != 0}
	for _, s := range sources {
		out.Rules = append(out.Rules, store.SourceRule{Address: s.Address, Gateway: s.Gateway, Table: s.Table})
	}
	return out
}

// SourcesOfRecord returns the sources of a record, the reverse of RecordedSources. The default routes of a shared table are not those of the attachment.
func SourcesOfRecord(r *store.SourceRouting) []link.Source {
	var sources []link.Source
	for _, rule := range r.Rules {
		source := link.Source{Address: rule.Address, Gateway: rule.Gateway, Table: rule.Table}
		if r.Shared {
			source.Gateway = netip.Addr{}
		}
		sources = append(sources, source)
	}
	return sources
}

// fillsTables reports whether source-based routing has routing tables of its own, which get the routes of the attachment.
func (a *adding) fillsTables() bool { return a.cfg.SBR != nil && a.cfg.SBR.Table == 0 }

// routesForUp returns the routes that Up adds. With source-based routing these are only those with a table: routeBySource adds the
// others, which therefore never conflict with those of another network in the main table.
func (a *adding) routesForUp() (routes []link.Route) {
	if !a.fillsTables() {
		return a.routes
	}
	for _, r := range a.routes {
		if r.Table != 0 {
			routes = append(routes, r)
		}
	}
	return routes
}

// noteApplied keeps the routes that Up applied, with the metrics that they got.
func (a *adding) noteApplied(applied []link.Route) {
	if !a.fillsTables() {
		a.routes = applied
	}
}

// routeBySource adds policy rules and tables for the addresses of the attachment (key sbr).
func (a *adding) routeBySource() error {
	if a.cfg.SBR == nil {
		return nil
	}
	want := link.SourceRouting{
		IfName: a.req.IfName, Sources: SourcesOf(a.cfg.SBR, a.record.Addresses), Table: a.cfg.SBR.Table, KeepSubnets: a.cfg.SBR.AddSourceHints,
	}
	for _, r := range a.routes {
		if r.Table == 0 && a.fillsTables() {
			want.Routes = append(want.Routes, r)
		}
	}
	a.undo.push("source-based routing of "+a.req.IfName, func() error {
		if a.record.SourceRouting == nil {
			return nil
		}
		return a.sandbox.StopSourceRouting(a.req.IfName, SourcesOfRecord(a.record.SourceRouting), a.fillsTables())
	})
	return a.sandbox.RouteBySource(want, func(chosen []link.Source) error {
		a.record.SourceRouting = RecordedSources(a.cfg.SBR, chosen)
		return a.state.Save(a.record)
	})
}
