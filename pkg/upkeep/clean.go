package upkeep

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/patchbay-cni/patchbay/pkg/attach"
	"github.com/patchbay-cni/patchbay/pkg/config"
	"github.com/patchbay-cni/patchbay/pkg/liveness"
	"github.com/patchbay-cni/patchbay/pkg/ruleset"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// CleanOptions says what Clean removes.
type CleanOptions struct {
	StateDir string
	Network  string // only this one; "" for all
	DryRun   bool   // report, and change nothing
}

// Clean removes stale attachments whose network namespace no longer exists, of every owner, and addresses that are left
// over from the previous boot. It returns what it did, and what it had to leave, one sentence each; errors are joined.
func Clean(ctx context.Context, o CleanOptions) (done []string, err error) {
	ctx = attach.Within(ctx)
	host, err := attach.OpenHost(ctx)
	if err != nil {
		return nil, err
	}
	defer host.Close()
	c := &cleaning{CleanOptions: o, checker: liveness.New(host)}
	for _, dir := range store.StateDirs(o.StateDir) {
		err = errors.Join(err, c.stateDir(ctx, dir))
	}
	if !o.DryRun && o.Network == "" {
		disallowed, failed := ruleset.SweepHost(ctx, host, o.StateDir)
		for _, bridge := range disallowed {
			c.report("removed the rules of bridge %s from docker's chain DOCKER-USER", bridge)
		}
		err = errors.Join(err, failed)
	}
	return c.done, err
}

// cleaning is one call of Clean.
type cleaning struct {
	CleanOptions
	checker liveness.Checker
	done    []string
}

func (c *cleaning) report(format string, args ...any) {
	c.done = append(c.done, fmt.Sprintf(format, args...))
}

// stateDir removes the stale attachments and addresses of one state directory.
func (c *cleaning) stateDir(ctx context.Context, stateDir string) error {
	entries, err := store.List(stateDir)
	if err != nil {
		return err
	}
	networks := map[store.Dirs][]string{} // by directories
	shared := store.Dirs{State: stateDir, Data: config.DefaultSharedDir}
	for _, network := range store.MarkedNetworks(config.DefaultSharedDir) { // after a reboot no record names the directories of addresses
		if c.Network == "" || c.Network == network {
			networks[shared] = append(networks[shared], network)
		}
	}
	for _, e := range entries {
		switch {
		case c.Network != "" && e.Key.Network != c.Network:
			continue
		case e.Err != nil:
			c.report("left: %s: %v", e.Path, e.Err)
			continue
		}
		d := store.Dirs{State: stateDir, Data: e.Record.DataDir}
		if d.Data != "" && !slices.Contains(networks[d], e.Key.Network) {
			networks[d] = append(networks[d], e.Key.Network)
		}
		err = errors.Join(err, c.attachment(ctx, d, e.Record))
	}
	for d, names := range networks {
		for _, network := range names {
			err = errors.Join(err, c.addresses(ctx, d, network))
		}
	}
	return err
}

// attachment removes one attachment if it is stale.
func (c *cleaning) attachment(ctx context.Context, d store.Dirs, r *store.Record) error {
	if !c.checker.IsStale(r) {
		return nil
	}
	why := "whose namespace " + r.Netns + " is gone"
	if c.checker.HasNetns(r) {
		if !liveness.Released(r) {
			return nil
		}
		why = "whose addresses another plugin has released"
	}
	what := fmt.Sprintf("%s%s, %s", r.Key(), having(r), why)
	if r.IPAMType != "" && !liveness.Released(r) {
		c.report("left: %s: only DEL, or patchbay detach, calls its IPAM plugin %s", what, r.IPAMType)
		return nil
	}
	if c.DryRun {
		c.report("would remove %s", what)
		return nil
	}
	removed, err := attach.RemoveStale(ctx, c.checker, d, r.Key())
	if err != nil {
		return fmt.Errorf("remove %s: %w", r.Key(), err)
	}
	if removed {
		c.report("removed %s", what)
	}
	return nil
}

func having(r *store.Record) string {
	var addrs []string
	for _, a := range r.Addresses {
		addrs = append(addrs, a.Address.Addr().String())
	}
	if len(addrs) == 0 {
		return ""
	}
	return " with " + strings.Join(addrs, ", ")
}

// addresses releases the addresses of a network that no record names: the previous boot reserved them.
func (c *cleaning) addresses(ctx context.Context, d store.Dirs, network string) error {
	var addrs []netip.Addr
	var err error
	verb := "released"
	if c.DryRun {
		verb = "would release"
		addrs, err = store.StaleAddresses(d, network, c.checker.Host.Cookie())
	} else {
		addrs, err = store.ReclaimStale(ctx, d, network, c.checker.Host.Cookie())
	}
	for _, addr := range addrs {
		c.report("%s %s of network %s, left over from the previous boot", verb, addr, network)
	}
	return err
}
