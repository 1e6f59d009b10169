package link

import (
	"errors"
	"fmt"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"
)

// ReturnRoutes adds the routes of the interface in the tables of the sources to the main table, from which
// RouteBySource moved them. Those that the main table has stay.
func (s *Sandbox) ReturnRoutes(ifname string, sources []Source) error {
	moved := func(r rawRoute) bool {
		return slices.ContainsFunc(sources, func(s Source) bool { return s.Table == r.table })
	}
	routes, err := s.routesOf(ifname, func(_ *Link, r rawRoute) bool { return moved(r) })
	if err != nil {
		return err
	}
	return s.addToMain(routes)
}

// KeepRoutes returns a function that adds those of the interface's present routes to the main table which
// RouteBySource has moved meanwhile.
func (s *Sandbox) KeepRoutes(ifname string) (putBack func() error, err error) {
	routes, err := s.routesOf(ifname, func(l *Link, r rawRoute) bool { return r.isMain(l) })
	return func() error { return s.addToMain(routes) }, err
}

// routesOf returns the routes of an interface for which is returns true.
func (s *Sandbox) routesOf(ifname string, is func(*Link, rawRoute) bool) ([]rawRoute, error) {
	l, err := s.byName(ifname)
	if err != nil {
		return nil, err
	}
	routes, err := s.allRoutes()
	return slices.DeleteFunc(routes, func(r rawRoute) bool { return r.link != l.Index || !is(l, r) }), err
}

// addToMain adds routes to the main table: first those without a gateway, by which the others are reached. It
// continues after an error.
func (s *Sandbox) addToMain(routes []rawRoute) (failed error) {
	for _, gateway := range []bool{false, true} {
		for _, r := range routes {
			if r.gw.IsValid() != gateway {
				continue
			}
			err := s.socket.execute(r.request(unix.RTM_NEWROUTE, unix.NLM_F_CREATE|unix.NLM_F_EXCL, unix.RT_TABLE_MAIN), nil)
			if err != nil && !errors.Is(err, syscall.EEXIST) {
				failed = errors.Join(failed, fmt.Errorf("return the route to %s to the main table: %w", r.dst, err))
			}
		}
	}
	return failed
}
