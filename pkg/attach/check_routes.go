package attach

import (
	"net/netip"
	"slices"

	"github.com/containernetworking/cni/pkg/types"
	types100 "github.com/containernetworking/cni/pkg/types/100"

	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// containerRoutes checks that each route that ADD made and that prevResult still has exists, with its gateway. A route without a
// configured table may be in any: the reference plugin sbr moves routes and leaves prevResult as it is. A route that a later
// plugin removed from prevResult, as route-override does, is not checked. Further routes are no difference.
func (c *checking) containerRoutes(l *link.Link) error {
	has, err := c.sandbox.Routes(l.Index)
	if err != nil {
		return err
	}
	old := c.oldPrevResult()
	for _, want := range c.wantedRoutes() {
		same := func(r link.Route) bool {
			asked := want
			if old && asked.Priority == 0 {
				asked.Priority = r.Priority // ADD may have chosen a metric, which a result before CNI 1.1 lacks
			}
			return isRoute(r, asked)
		}
		if !slices.ContainsFunc(has, same) {
			c.differ("%s in the container has lost the route %s", l.Name, want)
		}
	}
	c.sameRoutes()
	return nil
}

// wantedRoutes returns the routes of the configuration that prevResult has, and the routes of prevResult that ADD made: from a
// configuration that has changed since, or from the result of a delegated IPAM plugin.
func (c *checking) wantedRoutes() (wanted []link.Route) {
	if c.cfg.IPAM == nil || c.record == nil {
		return nil
	}
	for _, r := range c.configured() {
		if applied, listed := c.applied(r); listed {
			wanted = append(wanted, applied)
		}
	}
	for _, p := range c.cfg.PrevResult.Routes {
		r, listed := c.routeOfPrevious(p)
		known := func(w link.Route) bool { return matches(r, w) || matches(listed, w) }
		if !slices.ContainsFunc(wanted, known) && (c.made(r) || c.made(listed)) {
			wanted = append(wanted, r)
		}
	}
	return wanted
}

// configured returns the routes of the configuration. Those of a delegated IPAM plugin are in its result only.
func (c *checking) configured() []link.Route {
	if c.cfg.DelegatesIPAM() {
		return nil
	}
	return routesOf(c.cfg, c.ours())
}

// applied returns a route of the configuration with the metric that ADD chose, and whether prevResult has it.
func (c *checking) applied(r link.Route) (link.Route, bool) {
	for _, p := range c.cfg.PrevResult.Routes {
		prev, listed := c.routeOfPrevious(p)
		if r.Priority == 0 {
			r.Priority = prev.Priority
		}
		if matches(prev, r) || matches(listed, r) {
			return r, true
		}
		r.Priority = 0
	}
	return r, false
}

// routeOfPrevious returns a route of prevResult twice: with the gateway that ADD applied if prevResult has none, and as listed. A
// library before CNI 1.1 drops the scope, so that a route on the link looks like one with the default gateway.
func (c *checking) routeOfPrevious(p *types.Route) (route, listed link.Route) {
	route = routeOfResult(p)
	listed = route
	if !route.GW.IsValid() && !onLink(p.Scope) {
		route.GW = store.FirstGateway(c.ours(), route.Dst.Addr().Is4())
	}
	return route, listed
}

// made reports whether ADD made a route to that destination through that gateway. Records of older versions do not list the
// routes; then every route counts as made by ADD.
func (c *checking) made(r link.Route) bool {
	return c.record.Planned == nil || slices.ContainsFunc(c.record.Planned, func(p store.Route) bool { return p.Dst == r.Dst && p.GW == r.GW })
}

// sameRoutes reports routes that were added to the configuration after ADD.
func (c *checking) sameRoutes() {
	if c.cfg.IPAM == nil || c.record == nil || c.record.Planned == nil {
		return
	}
	for _, r := range c.configured() {
		if !slices.Contains(c.record.Planned, recorded(r)) {
			c.differ("the attachment was made without the route %s, which the configuration now has", r)
		}
	}
}

// matches reports whether a route of prevResult is r. A runtime with a library before CNI 1.1 (libcni 1.2) drops mtu, advmss,
// priority, table and scope, so 0 matches any value.
func matches(prev, r link.Route) bool {
	left := func(now, was int) bool { return now == was || now == 0 }
	return prev.Dst == r.Dst && prev.GW == r.GW && left(prev.MTU, r.MTU) && left(prev.AdvMSS, r.AdvMSS) &&
		left(prev.Priority, r.Priority) && left(prev.Table, r.Table) && left(prev.Scope, r.Scope)
}

// oldPrevResult reports whether the library of the runtime has dropped the fields of CNI 1.1. Results of Patchbay always have the
// mtu of interfaces, so a prevResult without any mtu passed through such a library.
func (c *checking) oldPrevResult() bool {
	return !slices.ContainsFunc(c.cfg.PrevResult.Interfaces, func(i *types100.Interface) bool { return i.Mtu != 0 })
}

// isRoute compares the requested attributes of a route. The kernel, or a later plugin, chooses the others: Linux gives an IPv6
// route without a metric 1024.
func isRoute(has, want link.Route) bool {
	const ipv6Metric = 1024
	metric := want.Priority
	if metric == 0 && !want.Dst.Addr().Is4() {
		metric = ipv6Metric
	}
	return has.Dst == want.Dst && has.GW == want.GW && has.MTU == want.MTU && has.AdvMSS == want.AdvMSS &&
		(has.Table == want.Table || want.Table == 0) && has.Priority == metric
}

// routeOfResult converts a route of a CNI result.
func routeOfResult(p *types.Route) link.Route {
	dst, _ := netip.AddrFromSlice(p.Dst.IP)
	bits, size := p.Dst.Mask.Size()
	if size == 32 {
		dst = dst.Unmap()
	}
	r := link.Route{Dst: netip.PrefixFrom(dst, bits), MTU: p.MTU, AdvMSS: p.AdvMSS, Priority: p.Priority}
	if gw, ok := netip.AddrFromSlice(p.GW); ok {
		r.GW = gw.Unmap()
	}
	if p.Table != nil {
		r.Table = *p.Table
	}
	if p.Scope != nil {
		r.Scope = *p.Scope
	}
	return r
}
