package attach

import (
	"context"
	"errors"

	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// up configures the container interface, waits until the bridge port forwards, and announces the addresses (gratuitous ARP, neighbour
// advertisement). An announcement to a port that does not forward yet would be lost.
//
// Source-based routing and the settings of tuning come last, as the plugins of these names follow in a list.
func (a *adding) up(context.Context) error {
	for _, do := range []func() error{a.upInterface, a.routeBySource, a.tune} {
		if err := do(); err != nil {
			return err
		}
	}
	return nil
}

// upInterface configures the interface with its addresses and routes.
func (a *adding) upInterface() error {
	if a.chained != nil {
		return a.upChained()
	}
	if a.record.Tap != nil {
		return a.upTap()
	}
	if a.cfg.DisableContainerInterface {
		return nil
	}
	set := link.Setup{IfName: a.req.IfName, Addresses: store.Prefixes(a.record.Addresses), Routes: a.routesForUp(), DAD: a.cfg.EnableDAD, NoRouters: a.bridge.Ours}
	applied, err := a.sandbox.Up(set)
	if err != nil {
		return err
	}
	a.noteApplied(applied.Routes)
	if err := a.host.WaitPort(a.names.HostInterface, a.bridge); err != nil {
		return err
	}
	return a.sandbox.Announce(applied.Link, set.Addresses)
}

// upChained adds the addresses to the container interface that a previous plugin created. A tap has none in a network namespace:
// its guest is configured from the result.
func (a *adding) upChained() error {
	if a.chained.container < 0 || len(a.record.Addresses) == 0 {
		return nil
	}
	set := link.Setup{IfName: a.req.IfName, Addresses: store.Prefixes(a.record.Addresses), Routes: a.routesForUp(), DAD: a.cfg.EnableDAD, NoRouters: a.bridge.Ours}
	a.undo.push("addresses and routes of "+set.IfName, func() error {
		return errors.Join(a.sandbox.RemoveRoutes(set.IfName, a.routes), a.sandbox.Flush(set.IfName, set.Addresses))
	})
	applied, err := a.sandbox.Up(set)
	if err != nil {
		return err
	}
	a.noteApplied(applied.Routes)
	for _, r := range applied.Routes {
		a.record.Routes = append(a.record.Routes, recorded(r))
	}
	if err := a.state.Save(a.record); err != nil {
		return err
	}
	if err := a.host.WaitPort(a.chained.host.Name, a.bridge); err != nil {
		return err
	}
	return a.sandbox.Announce(applied.Link, set.Addresses)
}
