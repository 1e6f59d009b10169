package attach

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"

	"github.com/patchbay-cni/patchbay/pkg/config"
	"github.com/patchbay-cni/patchbay/pkg/firewall"
	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// admit does what the key firewall says about the packet filters of others. What hinders it is no
// reason to fail: the container is attached, and CHECK and doctor say what it does not reach.
func (a *adding) admit(ctx context.Context) {
	if a.cfg.Firewall == config.FirewallAuto {
		a.unless(allow(ctx, a.cfg.Bridge, a.cfg.StateDir))
	}
	if a.cfg.Firewall == config.FirewallNone || a.req.Warned == nil { // to read all of it takes too long for nobody
		return
	}
	drops, err := Drops(a.host, a.record)
	a.unless(err)
	for _, d := range drops {
		a.req.warn("%s; %s", d, strings.Join(firewall.Fixes([]firewall.Drop{d}), "; "))
	}
}

// unless there is no error, it is told.
func (a *adding) unless(err error) {
	if err != nil {
		a.req.warn("%s", sentence(err))
	}
}

// withFilters lets something be done with the packet filters of others.
func withFilters(do func(*firewall.Filters) error) error {
	filters, err := firewall.Open()
	if err != nil {
		return err
	}
	defer filters.Close()
	return do(filters)
}

// allow lets a bridge through docker's chain, once for all of its containers.
func allow(ctx context.Context, bridge, stateDir string) error {
	return withFilters(func(filters *firewall.Filters) error {
		if needs, err := needsHeld(ctx, filters, bridge, stateDir); err != nil || !needs {
			return err
		}
		lock, err := lockRules(ctx, stateDir, false)
		if err != nil {
			return err
		}
		defer lock.Unlock()
		_, err = filters.Allow(bridge)
		return err
	})
}

// needsHeld looks while nobody takes rules away: who has listed the records before this bridge's was
// there has also done so by then, and who lists them later finds it.
func needsHeld(ctx context.Context, filters *firewall.Filters, bridge, stateDir string) (bool, error) {
	unlock, err := holdRules(ctx, stateDir)
	if err != nil {
		return false, err
	}
	defer unlock()
	return filters.Needs(bridge)
}

// disallow takes the rules of bridges away that no record names any more, and returns those. The caller
// holds the lock of builders.
func disallow(stateDir string) (gone []string, err error) {
	err = withFilters(func(filters *firewall.Filters) error {
		bridges, err := filters.Allowed()
		if err != nil || len(bridges) == 0 {
			return err
		}
		all, err := listed(stateDir)
		if err != nil {
			return err
		}
		for _, bridge := range bridges {
			named := slices.ContainsFunc(all, func(e store.Entry) bool { return e.Record == nil || e.Record.Bridge == bridge })
			if named {
				continue // also if a record cannot be read, which may
			}
			if _, err := filters.Disallow(bridge); err != nil {
				return err
			}
			gone = append(gone, bridge)
		}
		return nil
	})
	return gone, err
}

// Drops says what the packet filters of others do to what a record's attachment needs. It changes
// nothing.
func Drops(host *link.Host, records ...*store.Record) (drops []firewall.Drop, err error) {
	b := firewall.Bridge{NFCall4: link.BridgeCalls(true), NFCall6: link.BridgeCalls(false)}
	if uplink := host.Uplink(); uplink != nil {
		b.Uplink = uplink.Name
	}
	for _, r := range records {
		b.Name = r.Bridge
		b.Routed, b.Published = b.Routed || r.Gateway, b.Published || r.Publish != nil
		for _, a := range r.Addresses {
			b.IPv4, b.IPv6 = b.IPv4 || a.Address.Addr().Is4(), b.IPv6 || a.Address.Addr().Is6()
		}
	}
	if !b.IPv4 && !b.IPv6 { // addresses are the containers' own business
		b.IPv4, b.IPv6 = true, true
	}
	err = withFilters(func(filters *firewall.Filters) (err error) {
		drops, err = filters.Drops(b)
		return err
	})
	return drops, err
}

// firewall looks whether others drop what the attachment needs. What only may be dropped is for
// doctor to tell.
func (c *checking) firewall() error {
	if c.record == nil || c.cfg.Firewall == config.FirewallNone {
		return nil
	}
	drops, err := Drops(c.host, c.record)
	drops = slices.DeleteFunc(drops, func(d firewall.Drop) bool { return !d.Certain })
	for _, d := range drops {
		c.differ("%s", d)
	}
	c.commands = firewall.Fixes(drops)
	if errors.Is(err, fs.ErrPermission) {
		return nil // who may not look at the host's firewall can still compare all that is ours
	}
	return err
}
