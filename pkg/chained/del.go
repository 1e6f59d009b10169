package chained

import (
	"context"
	"errors"
	"slices"

	"github.com/patchbay-cni/patchbay/pkg/attach"
	"github.com/patchbay-cni/patchbay/pkg/config"
	"github.com/patchbay-cni/patchbay/pkg/identity"
	"github.com/patchbay-cni/patchbay/pkg/report"
	"github.com/patchbay-cni/patchbay/pkg/ruleset"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// Del removes the part of the plugin from an attachment. It reads the configuration leniently, and needs neither network namespace nor
// prevResult; what does not exist any more is no error.
func (p Plugin) Del(ctx context.Context, req attach.Request) error {
	ctx = attach.Within(ctx)
	id := config.ParseLenient(req.Config)
	if id.Name == "" {
		return nil // record and rules are found by the name of the network
	}
	key := req.Key(id.Name)
	state, err := store.OpenToRemove(ctx, dirsOf(id, key), key)
	if err != nil {
		return err
	}
	defer func() { _ = state.Close() }() // as for every verb
	if state.Broken == nil && state.Record != nil && !state.Record.HasPart(p.name) {
		return nil // the main plugin did it, whose DEL removes it, or nothing was to do
	}
	host, err := attach.OpenHost(ctx)
	if err != nil {
		return err
	}
	defer host.Close()
	r := &removing{plugin: p, req: &req, host: host, state: state, record: state.Record}
	return r.run(ctx)
}

func (r *removing) run(ctx context.Context) error {
	switch {
	case r.record == nil && r.state.Broken == nil:
		return r.clearReference()
	case r.record == nil || r.state.Broken != nil:
		return r.withoutRecord(ctx)
	}
	if err := r.req.Step("remove", func() error { return r.plugin.part.remove(ctx, r) }); err != nil {
		return err
	}
	return r.req.Step("record", func() error { return r.forget() })
}

// forget removes the part from the record, and the record if nothing else is in it.
func (r *removing) forget() error {
	left := *r.record
	left.Parts = slices.DeleteFunc(slices.Clone(left.Parts), func(p string) bool { return p == r.plugin.name })
	r.plugin.part.clear(&left)
	if left.Role != store.RolePart || len(left.Parts) > 0 {
		return r.state.Save(&left)
	}
	if left.DataDir == "" {
		return r.state.Remove()
	}
	// The addresses are those of host-local, called by the main plugin.
	left.Role, left.HostLink, left.HostIndex, left.Bridge, left.Alias, left.MAC = store.RoleIPAM, "", 0, "", "", ""
	return r.state.Save(&left)
}

// withoutRecord removes the elements of a record that cannot be read, all of them: nothing says which are of this part. The record
// stays for the DEL of the main plugin, or GC.
func (r *removing) withoutRecord(ctx context.Context) error {
	report.Warn("record %s: %v; removing what is found without it", r.state.Path(), r.state.Broken)
	unlock, err := ruleset.Lock(ctx, r.state.Dirs().State, ruleset.Shared)
	if err != nil {
		return err
	}
	defer unlock()
	return ruleset.WithdrawMark(identity.Of(r.state.Key).Mark)
}

// clearReference removes what the reference plugins made for an attachment: without a record they may have made it, before this program was
// installed in their place.
func (r *removing) clearReference() error {
	if r.req.OwnerName() != store.OwnerCNI {
		return nil
	}
	held, err := r.state.HeldAddresses()
	if err != nil {
		return err
	}
	err = ruleset.RemoveReference(r.state.Key, held, nil)
	if r.plugin.part.reference != nil {
		err = errors.Join(err, r.plugin.part.reference(r))
	}
	return err
}

// withdraw removes the elements of a record that has one part only.
func (r *removing) withdraw(ctx context.Context, only *store.Record) error {
	if !ruleset.IsNeeded(only) {
		return nil
	}
	unlock, err := ruleset.Lock(ctx, r.state.Dirs().State, ruleset.Shared)
	if err != nil {
		return err
	}
	defer unlock()
	return ruleset.Withdraw(only)
}
