package explain

import (
	"net/netip"
	"slices"
	"strconv"

	"github.com/patchbay-cni/patchbay/pkg/attach"
	"github.com/patchbay-cni/patchbay/pkg/link"
)

// planSourceRouting chooses the tables as the next ADD would.
func (p *Plan) planSourceRouting(from *attach.Preview) error {
	sbr := from.Config.SBR
	if sbr == nil {
		return nil
	}
	s := &sourceRouting{sources: attach.SourcesOf(sbr, p.Record.Addresses), shared: sbr.Table != 0, hints: sbr.AddSourceHints}
	want := link.SourceRouting{Sources: s.sources, Table: sbr.Table}
	p.bySource = s
	var err error
	if p.Netns.Make {
		s.sources, err = want.InNewNetns(), nil
		return err
	}
	sandbox, err := link.OpenSandbox(p.Record.Netns, true)
	if err != nil {
		return err
	}
	defer sandbox.Close()
	s.sources, err = sandbox.NextTables(want)
	return err
}

// readSourceRouting reads the tables of an attachment from its record, and what they have from its container.
func (p *Plan) readSourceRouting(has []link.Route) {
	r := p.Record.SourceRouting
	if r == nil {
		return
	}
	s := &sourceRouting{sources: attach.SourcesOfRecord(r), shared: r.Shared, known: []link.Route{}}
	const main = 254
	for _, route := range has {
		switch {
		case slices.ContainsFunc(s.sources, func(source link.Source) bool { return source.Table == route.Table }) && !s.shared:
			s.known = append(s.known, route)
		case route.Table == main && !route.GW.IsValid() && p.isSubnet(route.Dst):
			s.hints = true
		}
	}
	slices.SortStableFunc(s.known, func(a, b link.Route) int { // a gateway is reached by a route without one
		return map[bool]int{true: 1}[a.GW.IsValid()] - map[bool]int{true: 1}[b.GW.IsValid()]
	})
	p.bySource = s
}

// isSubnet reports whether a prefix is the subnet of an address of the container.
func (p *Plan) isSubnet(dst netip.Prefix) bool {
	return slices.ContainsFunc(p.addresses(), func(a netip.Prefix) bool { return a.Masked() == dst })
}

// routeBySource adds the tables, then the rules that lead there, and deletes from the main table what the tables have.
func (p *Plan) routeBySource() (all []Command) {
	s := p.bySource
	if s == nil {
		return nil
	}
	ifname := p.Record.IfName
	if !s.shared {
		for _, r := range p.tableRoutes() {
			all = append(all, Command{Why: "sbr: a route in the table of an address", Argv: p.inside(r...)})
		}
	}
	for _, source := range s.sources {
		words := []string{"rule", "add", "from", source.Address.Addr().String(), "lookup", strconv.Itoa(source.Table)}
		all = append(all, Command{Why: "sbr: packets from this address leave by the routes of its table", Argv: p.inside(family(source.Address, words)...)})
	}
	if s.shared || s.hints {
		return all
	}
	for _, a := range p.addresses() {
		if !a.IsSingleIP() {
			words := family(a, []string{"route", "del", a.Masked().String(), "dev", ifname, "table", "main"})
			all = append(all, Command{Why: "sbr: other networks of the container keep the main table", Argv: p.inside(words...)})
		}
	}
	return all
}

// family puts -6 before the words of a command about an IPv6 prefix.
func family(p netip.Prefix, words []string) []string {
	if p.Addr().Is4() {
		return words
	}
	return append([]string{"-6"}, words...)
}

// tableRoutes returns the arguments of `ip route` for what the tables have.
func (p *Plan) tableRoutes() (all [][]string) {
	add := func(r link.Route, source link.Source) {
		r.Table = source.Table
		var reached []netip.Prefix // by which a gateway is reached
		if r.GW.IsValid() {
			reached = p.addresses()
		}
		words := r.Words(p.Record.IfName, reached)
		if a := source.Address; !r.GW.IsValid() && p.isSubnet(r.Dst) {
			words = connected(a, words)
		}
		all = append(all, words)
	}
	for _, source := range p.bySource.sources {
		for _, r := range p.routesOfTable(source) {
			add(r, source)
		}
	}
	return all
}

// connected adds what the kernel's own route to a subnet has.
func connected(a netip.Prefix, words []string) []string {
	words = append(words, "proto", "kernel")
	if a.Addr().Is4() {
		return append(words, "src", a.Addr().String())
	}
	if slices.Contains(words, "metric") {
		return words
	}
	return append(words, "metric", "256")
}

// routesOfTable returns the routes of a source, those without a gateway first.
func (p *Plan) routesOfTable(source link.Source) (routes []link.Route) {
	s := p.bySource
	if s.known != nil {
		for _, r := range s.known {
			if r.Table == source.Table {
				routes = append(routes, r)
			}
		}
		return routes
	}
	is4 := source.Address.Addr().Is4()
	if !source.Address.IsSingleIP() {
		routes = append(routes, link.Route{Dst: source.Address.Masked(), Scope: map[bool]int{true: scopeLink}[is4]})
	}
	fixed := source.Fixed && source.Gateway.IsValid()
	replaced := slices.ContainsFunc(p.routes, func(r link.Route) bool {
		return r.Table == 0 && r.Dst.Bits() == 0 && r.Dst.Addr().Is4() == is4 && r.Priority == 0
	})
	if source.Gateway.IsValid() && (fixed || !replaced) {
		everything := netip.PrefixFrom(netip.IPv6Unspecified(), 0)
		if is4 {
			everything = netip.PrefixFrom(netip.IPv4Unspecified(), 0)
		}
		routes = append(routes, link.Route{Dst: everything, GW: source.Gateway})
	}
	for _, r := range p.routes {
		if r.Table == 0 && r.Dst.Addr().Is4() == is4 && !(fixed && r.Dst.Bits() == 0) {
			routes = append(routes, r)
		}
	}
	return routes
}

const scopeLink = 253 // RT_SCOPE_LINK
