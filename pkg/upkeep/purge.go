package upkeep

import (
	"context"
	"errors"
	"fmt"

	"github.com/patchbay-cni/patchbay/pkg/attach"
	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/ruleset"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// PurgeOptions says what Purge does.
type PurgeOptions struct {
	StateDir   string
	KeepMemory bool // keep /var/lib/patchbay: sticky memory, counters of metrics, hosts files
	DryRun     bool // return what would be done, and change nothing
}

// Purge removes what Patchbay keeps on a host without live attachments: stale attachments and marks, the tables of nftables,
// interfaces of VLANs that it created, bridges that it created and that have no port, the state directory and sticky memory. The caller has made sure that no
// attachment is live. It returns what it did, and what it kept, one sentence each; errors are joined.
func Purge(ctx context.Context, o PurgeOptions) (done []string, err error) {
	ctx = attach.Within(ctx)
	stateDir, dryRun := o.StateDir, o.DryRun
	done, err = Clean(ctx, CleanOptions{StateDir: stateDir, DryRun: dryRun})
	if err != nil {
		return done, err
	}
	p := &purge{dryRun: dryRun, done: done}
	if err := p.noRecords(stateDir); err != nil {
		return p.done, err
	}
	if err := errors.Join(p.tables(ctx, stateDir), p.links(ctx)); err != nil {
		return p.done, err
	}
	removed, kept, err := store.Purge(stateDir, o.KeepMemory, dryRun)
	for _, path := range removed {
		p.deleted(path)
	}
	for _, path := range kept {
		p.done = append(p.done, fmt.Sprintf("left %s, which a configuration names as stateDir", path))
	}
	return p.done, err
}

// purge is one call of Purge.
type purge struct {
	dryRun bool
	done   []string
}

func (p *purge) deleted(what string) {
	verb := "deleted"
	if p.dryRun {
		verb = "would delete"
	}
	p.done = append(p.done, verb+" "+what)
}

// noRecords returns an error if Clean has left a record, which only DEL can remove: its delegated IPAM plugin has to be called.
func (p *purge) noRecords(stateDir string) error {
	if p.dryRun {
		return nil
	}
	for _, dir := range store.StateDirs(stateDir) {
		entries, err := store.List(dir)
		if err != nil {
			return err
		}
		if len(entries) > 0 {
			return fmt.Errorf("attachment %s is left; detach it first", entries[0].Key)
		}
	}
	return nil
}

// tables deletes the tables of nftables.
func (p *purge) tables(ctx context.Context, stateDir string) error {
	names, err := ruleset.DeleteTables(ctx, stateDir, p.dryRun)
	for _, name := range names {
		p.deleted("table " + name + " of nftables")
	}
	return err
}

// links deletes the interfaces that Patchbay created for networks: those of VLANs, also on bridges of others, and bridges that
// have no port.
func (p *purge) links(ctx context.Context) error {
	survey, err := link.SurveyHost()
	if err != nil {
		return err
	}
	host, err := attach.OpenHost(ctx)
	if err != nil {
		return err
	}
	defer host.Close()
	ports := map[int]bool{}
	for _, l := range survey.Links {
		ports[l.Master] = true
	}
	for _, l := range survey.Links {
		if l.Kind == "vlan" && l.Alias == link.VLANAlias && l.Master == 0 {
			err = errors.Join(err, p.remove("interface "+l.Name, l.Name, host.RemoveVLANLink))
		}
	}
	for _, l := range survey.Links {
		if l.Kind == "bridge" && l.Alias == link.BridgeAlias && !ports[l.Index] {
			err = errors.Join(err, p.remove("bridge "+l.Name, l.Name, host.RemoveIdleBridge))
		}
	}
	return err
}

// remove deletes an interface by a function that reports whether it did.
func (p *purge) remove(what, name string, by func(string) (bool, error)) (err error) {
	removed := p.dryRun
	if !p.dryRun {
		removed, err = by(name)
	}
	if removed {
		p.deleted(what)
	}
	return err
}
