package liveness

import (
	"errors"
	"slices"
	"strings"

	"github.com/patchbay-cni/patchbay/pkg/config"
	"github.com/patchbay-cni/patchbay/pkg/identity"
	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/report"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// Records returns the records of all attachments of this host, also of a state directory that is not registered yet.
func Records(stateDir string) ([]store.Entry, error) {
	unknown := store.NoteStateDir(config.DefaultStateDir, stateDir) != nil
	dirs := store.StateDirs(config.DefaultStateDir)
	if unknown {
		dirs = append(dirs, stateDir)
	}
	return recordsIn(dirs)
}

// recordsIn leaves out a state directory that others than root can write to.
func recordsIn(dirs []string) ([]store.Entry, error) {
	var all []store.Entry
	for _, dir := range dirs {
		of, err := store.List(dir)
		if errors.Is(err, store.ErrUnsafe) {
			report.Warn("%s; leaving out its attachments", report.OneLine(err))
			continue
		}
		if err != nil {
			return nil, err
		}
		all = append(all, of...)
	}
	return all, nil
}

// StateDirs returns the registered state directories of this host, and dir.
func StateDirs(dir string) []string {
	dirs := store.StateDirs(config.DefaultStateDir)
	if !slices.Contains(dirs, dir) {
		dirs = append(dirs, dir)
	}
	return dirs
}

// Live returns the records of live attachments, each with the name that its host interface has now.
func Live(host *link.Host, all []store.Entry) []*store.Record {
	c := New(host)
	var live []*store.Record
	for _, e := range all {
		if r := c.liveRecord(e); r != nil {
			live = append(live, r)
		}
	}
	return live
}

// Stale returns the stale attachments of every state directory that is registered in the given one, whether or not their
// network namespace still exists. Those whose record another process has locked are left out.
func Stale(stateDir string) (stale []StaleAttachment, err error) {
	host, err := link.OpenHost()
	if err != nil {
		return nil, err
	}
	defer host.Close()
	c := New(host)
	for _, dir := range store.StateDirs(stateDir) {
		entries, failed := store.List(dir)
		err = errors.Join(err, failed)
		for _, e := range entries {
			if e.Err != nil || e.Record == nil || !c.IsStale(e.Record) {
				continue
			}
			held, busy := store.TryOpen(store.Dirs{State: dir, Data: e.Record.DataDir}, e.Key)
			if busy == nil {
				_ = held.Close()
				stale = append(stale, StaleAttachment{e.Record, c.HasNetns(e.Record), c.OtherBoot(e.Record), Released(e.Record)})
			}
		}
	}
	return stale, err
}

// StaleAttachment is an attachment without its host interface.
type StaleAttachment struct {
	Record    *store.Record
	Inhabited bool // its network namespace still exists
	OtherBoot bool // the record is from a previous boot
	Released  bool // host-local has released its addresses, as after a move to the reference plugins
}

// IsLocked reports whether another process holds the lock of a record: its verb is running, and the host interface need not
// exist yet.
func IsLocked(dirs store.Dirs, key store.Key) bool {
	state, err := store.TryOpen(dirs, key)
	if err != nil {
		return errors.Is(err, store.ErrBusy)
	}
	_ = state.Close()
	return false
}

// IsGone reports whether the attachment that an nftables element names in its comment certainly does not exist: it has neither
// a host interface nor a record that could name one.
func IsGone(host *link.Host, dataDir, owner string) bool {
	mark, text, _ := strings.Cut(owner, " ")
	key, _, whole := store.ParseKey(text)
	n := identity.Of(key)
	if !whole || n.Mark != mark {
		return false // cut, or of another machine-id
	}
	if _, err := host.Link(n.HostInterface); !errors.Is(err, link.ErrNotFound) {
		return false
	}
	for _, dir := range store.StateDirs(config.DefaultStateDir) {
		state, err := store.TryOpen(store.Dirs{State: dir, Data: dataDir}, key)
		if err != nil {
			if errors.Is(err, store.ErrBusy) {
				return false
			}
			continue
		}
		gone := state.Broken == nil && state.Record == nil || state.Record != nil && New(host).IsStale(state.Record)
		_ = state.Close()
		if !gone {
			return false
		}
	}
	return true
}
