package link

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"
)

// SourceRouting describes source-based routing for an interface of a container: packets with one of its
// addresses as source leave by it, whatever the other networks of the container route. Each source has
// a routing table and a policy rule "from ADDRESS lookup TABLE" (ip-rule(8)).
type SourceRouting struct {
	IfName  string
	Sources []Source

	// Table is a table that others fill: only the rules are added then. 0: a table is chosen for each
	// source, and gets the routes.
	Table int

	// Routes are added to the tables of their family, and not to the main table.
	Routes []Route

	// KeepSubnets leaves the routes to the subnets of the interface in the main table too: a process
	// that binds no address reaches its neighbours there by the interface.
	KeepSubnets bool
}

// Source is an address of the interface, with the prefix length of its subnet.
type Source struct {
	Address netip.Prefix
	Gateway netip.Addr // of the default route in Table; zero for none
	Fixed   bool       // no other default route replaces that one
	Table   int        // chosen by RouteBySource
}

// String returns the rule as ip-rule(8) prints it.
func (s Source) String() string { return fmt.Sprintf("from %s lookup %d", s.Address.Addr(), s.Table) }

const firstTable = 100 // the first one that RouteBySource chooses, as the reference sbr does

// RouteBySource adds the rules and tables. For each source it chooses the first table from 100 that no
// rule and no route uses, adds the default route and want.Routes to it, and moves the routes that the
// interface has in the main table there. Routes to link-local addresses (fe80::/64) stay.
//
// Tables are chosen under a lock on the network namespace, which the reference plugin sbr takes too
// (flock(2) on its file). Note is called with the sources, their tables chosen, before anything is
// changed; an error of note ends the call. Nothing is undone after an error: see StopSourceRouting.
// Errors wrap ErrLocked if the lock is held for too long.
func (s *Sandbox) RouteBySource(want SourceRouting, note func([]Source) error) error {
	l, err := s.byName(want.IfName)
	if err != nil {
		return err
	}
	unlock, err := s.lock()
	if err != nil {
		return err
	}
	defer unlock()
	routes, err := s.allRoutes()
	if err != nil {
		return err
	}
	sources, err := s.chooseTables(want, routes)
	if err == nil {
		err = note(sources)
	}
	if err != nil {
		return err
	}
	if want.Table == 0 {
		err = s.fillTables(l, want, sources, routes)
	}
	if err == nil {
		err = s.addRules(sources)
	}
	if err != nil || want.Table != 0 {
		return err
	}
	return s.clearMain(l, want, routes)
}

// chooseTables returns the sources with their tables.
func (s *Sandbox) chooseTables(want SourceRouting, routes []rawRoute) ([]Source, error) {
	if want.Table != 0 {
		return want.withTables(nil), nil
	}
	used := map[int]bool{unix.RT_TABLE_DEFAULT: true, unix.RT_TABLE_MAIN: true, unix.RT_TABLE_LOCAL: true}
	for _, r := range routes {
		used[r.table] = true
	}
	rules, err := s.rules()
	if err != nil {
		return nil, err
	}
	for _, r := range rules {
		used[r.table] = true
	}
	return want.withTables(used), nil
}

// InNewNetns returns the sources with the tables that RouteBySource would choose in a network namespace without rules and routes.
func (want SourceRouting) InNewNetns() []Source { return want.withTables(map[int]bool{}) }

// NextTables returns the sources with the tables that RouteBySource would choose now. It takes no lock, and changes nothing.
func (s *Sandbox) NextTables(want SourceRouting) ([]Source, error) {
	routes, err := s.allRoutes()
	if err != nil {
		return nil, err
	}
	return s.chooseTables(want, routes)
}

// withTables chooses the first tables that are not in use.
func (want SourceRouting) withTables(used map[int]bool) []Source {
	sources := slices.Clone(want.Sources)
	next := firstTable
	for i := range sources {
		if want.Table != 0 {
			sources[i].Table = want.Table
			continue
		}
		for used[next] {
			next++
		}
		sources[i].Table, used[next] = next, true
	}
	return sources
}

// fillTables adds the routes to the tables, before a rule leads there: the default route by the gateway
// of the source, then the routes of the interface, which replace it unless it is fixed.
func (s *Sandbox) fillTables(l *Link, want SourceRouting, sources []Source, routes []rawRoute) error {
	for _, source := range sources {
		if err := s.putRoutes(l, source.defaultRoute(), sources); err != nil {
			return err
		}
		for _, r := range routes {
			if !r.movesTo(l, source, sources) || source.replaces(r.dst) {
				continue
			}
			if err := s.copyRoute(r, source.Table); err != nil {
				return err
			}
		}
		more := slices.DeleteFunc(slices.Clone(want.Routes), func(r Route) bool {
			return r.Dst.Addr().Is4() != source.Address.Addr().Is4() || source.replaces(r.Dst)
		})
		for i := range more {
			more[i].Table = source.Table
		}
		if err := s.putRoutes(l, more, sources); err != nil {
			return err
		}
	}
	return nil
}

// putRoutes adds routes in place of those with the same destination and metric.
func (s *Sandbox) putRoutes(l *Link, routes []Route, sources []Source) error {
	for _, r := range routes {
		err := s.socket.execute(routeRequest(unix.RTM_NEWROUTE, unix.NLM_F_CREATE|unix.NLM_F_REPLACE, r.on(l, prefixesOf(sources))), nil)
		if err != nil {
			return fmt.Errorf("add route %s to %s: %w", r, l.Name, err)
		}
	}
	return nil
}

// defaultRoute returns the default route by the gateway of the source; none if it has no gateway.
func (s Source) defaultRoute() []Route {
	if !s.Gateway.IsValid() {
		return nil
	}
	everything := netip.PrefixFrom(netip.IPv6Unspecified(), 0)
	if s.Address.Addr().Is4() {
		everything = netip.PrefixFrom(netip.IPv4Unspecified(), 0)
	}
	return []Route{{Dst: everything, GW: s.Gateway, Table: s.Table}}
}

// replaces reports whether the default route of the source stands for another route.
func (s Source) replaces(dst netip.Prefix) bool {
	return s.Fixed && s.Gateway.IsValid() && dst.Bits() == 0
}

func prefixesOf(sources []Source) []netip.Prefix {
	prefixes := make([]netip.Prefix, 0, len(sources))
	for _, s := range sources {
		prefixes = append(prefixes, s.Address)
	}
	return prefixes
}

// clearMain deletes the routes of the interface from the main table, which are in the tables of the
// sources now.
func (s *Sandbox) clearMain(l *Link, want SourceRouting, routes []rawRoute) error {
	for _, r := range routes {
		if !r.isMain(l) || want.KeepSubnets && !r.gw.IsValid() {
			continue
		}
		if err := s.deleteRoute(r); err != nil {
			return err
		}
	}
	return nil
}

// StopSourceRouting deletes the rules of the sources, and with routesToo the routes of the interface in
// their tables. What no longer exists is no error. It continues after an error.
func (s *Sandbox) StopSourceRouting(ifname string, sources []Source, routesToo bool) error {
	var failed error
	for _, source := range sources {
		err := s.changeRule(unix.RTM_DELRULE, 0, source)
		if err != nil && !errors.Is(err, syscall.ENOENT) && !errors.Is(err, syscall.EAFNOSUPPORT) {
			failed = errors.Join(failed, fmt.Errorf("delete rule %s: %w", source, err))
		}
	}
	if !routesToo {
		return failed
	}
	l, err := s.byName(ifname)
	if errors.Is(err, ErrNotFound) {
		return failed // the kernel has deleted its routes with it
	}
	if err != nil {
		return errors.Join(failed, err)
	}
	routes, err := s.allRoutes()
	failed = errors.Join(failed, err)
	for _, r := range routes {
		if r.link == l.Index && slices.ContainsFunc(sources, func(s Source) bool { return s.Table == r.table }) {
			failed = errors.Join(failed, s.deleteRoute(r))
		}
	}
	return failed
}

// StopRoutingFrom deletes the rules of addresses that lead to a table of their own, whatever its number, as
// the reference plugin sbr does. It continues after an error.
func (s *Sandbox) StopRoutingFrom(addresses []netip.Prefix) error {
	rules, failed := s.rules()
	for _, r := range rules {
		for _, address := range addresses {
			source := Source{Address: address, Table: r.table}
			if !r.isOf(source) || r.table == unix.RT_TABLE_MAIN || r.table == unix.RT_TABLE_LOCAL {
				continue
			}
			if err := s.changeRule(unix.RTM_DELRULE, 0, source); err != nil && !errors.Is(err, syscall.ENOENT) {
				failed = errors.Join(failed, fmt.Errorf("delete rule %s: %w", source, err))
			}
		}
	}
	return failed
}

// MissingSourceRouting returns one clause for each rule that does not exist, and for each default route
// that its table lacks. Further rules and routes are no difference.
func (s *Sandbox) MissingSourceRouting(ifname string, sources []Source) (missing []string, err error) {
	l, err := s.byName(ifname)
	if err != nil {
		return nil, err
	}
	rules, err := s.rules()
	if err != nil {
		return nil, err
	}
	routes, err := s.allRoutes()
	if err != nil {
		return nil, err
	}
	for _, source := range sources {
		if !slices.ContainsFunc(rules, func(r rule) bool { return r.isOf(source) }) {
			missing = append(missing, "the rule "+source.String())
		}
		leads := func(r rawRoute) bool {
			return r.table == source.Table && r.link == l.Index && r.dst.Bits() == 0 && r.gw == source.Gateway
		}
		if source.Gateway.IsValid() && !slices.ContainsFunc(routes, leads) {
			missing = append(missing, fmt.Sprintf("the default route via %s in table %d", source.Gateway, source.Table))
		}
	}
	return missing, nil
}
