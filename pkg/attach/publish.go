package attach

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/patchbay-cni/patchbay/pkg/config"
	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/nft"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// openRules opens the way to the ruleset if the network needs one, and sees that the kernel has
// nf_tables before anything is made.
func (a *adding) openRules() (err error) {
	masquerades := a.cfg.Masq != nil && a.cfg.IPAMType != ""
	if !masquerades && len(a.cfg.Publish.Ports) == 0 && policyOf(a.cfg) == "" {
		return nil
	}
	if a.rules, err = nft.Open(); err != nil {
		return err
	}
	return a.rules.Supported()
}

// planMasquerade puts into the record what publish will do with the addresses.
func (a *adding) planMasquerade() {
	masq := a.cfg.Masq
	if masq == nil {
		return
	}
	m := &store.Masquerade{Exclude: masq.Exclude, RandomFully: masq.RandomFully}
	for _, address := range a.record.Addresses {
		if is4 := address.Address.Addr().Is4(); is4 && masq.IPv4 || !is4 && masq.IPv6 {
			m.Addresses = append(m.Addresses, address.Address)
		}
	}
	if len(m.Addresses) > 0 {
		a.record.Masquerade = m
	}
}

// publish puts into the ruleset what this attachment has there: one transaction of elements. Chains
// and table are made by the first who misses them.
func (a *adding) publish(ctx context.Context) error {
	a.admit(ctx)
	if err := a.bridgeIsFree(); err != nil { // looked at before this record was there for others to see
		return err
	}
	if !inRules(a.record) {
		return nil
	}
	if err := store.NoteStateDir(config.DefaultStateDir, a.cfg.StateDir); err != nil {
		warn("%v; patchbay reload must be told of it with -state-dir", err)
	}
	entry := entryOf(a.record)
	err := a.publishHeld(ctx, entry)
	if errors.Is(err, nft.ErrNotBuilt) {
		err = a.build(ctx, entry)
	}
	if err != nil {
		return err
	}
	return a.opened(ctx)
}

// publishHeld keeps builders away meanwhile: one who has listed the living before this record was
// there, and replaces the table behind what is published now, would lose it until its second look.
// One whose ports are for single addresses of the host keeps everybody away: see nft.Publish.
func (a *adding) publishHeld(ctx context.Context, entry nft.Entry) error {
	unlock, err := keepRules(ctx, a.cfg.StateDir, !entry.Specific())
	if err != nil {
		return err
	}
	defer unlock()
	return a.rules.PublishReplacing(entry, a.isGone)
}

func (a *adding) build(ctx context.Context, entry nft.Entry) error {
	lock, err := lockRules(ctx, a.cfg.StateDir, false)
	if err != nil {
		return err
	}
	defer lock.Unlock()
	return a.rules.BuildReplacing(entry, a.isGone, func() ([]nft.Entry, error) { return entries(a.host, a.rules, a.cfg.StateDir) })
}

// lockRules locks the host's ruleset, whatever state directory a network has. Where the one that
// everybody knows cannot be written, the network's own has to do.
func lockRules(ctx context.Context, stateDir string, shared bool) (*store.HostLock, error) {
	lock, err := store.LockHost(ctx, config.DefaultStateDir, shared)
	if err == nil || errors.Is(err, store.ErrBusy) || ctx.Err() != nil || stateDir == config.DefaultStateDir {
		return lock, err
	}
	return store.LockHost(ctx, stateDir, shared)
}

// holdRules keeps builders away until unlock. Where the lock cannot be made, nobody can build.
func holdRules(ctx context.Context, stateDir string) (unlock func(), err error) {
	return keepRules(ctx, stateDir, true)
}

func keepRules(ctx context.Context, stateDir string, shared bool) (unlock func(), err error) {
	lock, err := lockRules(ctx, stateDir, shared)
	switch {
	case err == nil: // also if ctx has ended since
		return lock.Unlock, nil
	case errors.Is(err, store.ErrBusy), ctx.Err() != nil:
		return nil, err
	}
	return func() {}, nil
}

// listed are the records of all attachments of this host.
func listed(stateDir string) ([]store.Entry, error) {
	unknown := store.NoteStateDir(config.DefaultStateDir, stateDir) != nil
	dirs := store.StateDirs(config.DefaultStateDir)
	if unknown {
		dirs = append(dirs, stateDir)
	}
	return listedIn(dirs)
}

// listedIn are the records in some state directories.
func listedIn(dirs []string) ([]store.Entry, error) {
	var all []store.Entry
	for _, dir := range dirs {
		of, err := store.List(dir)
		if err != nil {
			return nil, err
		}
		all = append(all, of...)
	}
	return all, nil
}

// living are the records of those that may be in the ruleset.
func living(host *link.Host, all []store.Entry) []*store.Record {
	j := newJudge(host)
	var living []*store.Record
	for _, e := range all {
		if r := j.living(e); r != nil {
			living = append(living, r)
		}
	}
	return living
}

// living is the record of an entry if its attachment lives, nil if not. The link that was looked for
// may be that of a next life, which has the same name and alias: so the record must still be that
// of the same life when the link has been seen.
func (j judge) living(e store.Entry) *store.Record {
	for {
		if e.Record == nil || e.Record.HostLink == "" || j.unseen(e.Record) || j.dead(e.Record) {
			return nil
		}
		now, there := e.Now()
		if !there {
			return nil
		}
		if now.Record != nil && now.Record.Created.Equal(e.Record.Created) {
			return now.Record
		}
		e = now
	}
}

// entries are what belongs into a table that is going to be built anew: of every living attachment,
// and, without an owner, of bridges that are closed though nobody has ports there any more. Not even
// the elements of a newer patchbay's attachments may be lost by it.
func entries(host *link.Host, rules *nft.Ruleset, stateDir string) ([]nft.Entry, error) {
	all, err := listed(stateDir)
	if err == nil {
		err = understood(rules, all)
	}
	if err != nil {
		return nil, err
	}
	bridges, err := rules.Closed()
	if err != nil {
		return nil, err
	}
	var wanted []nft.Entry
	records := living(host, all)
	slices.SortStableFunc(records, func(a, b *store.Record) int { return a.Created.Compare(b.Created) }) // of two who want one port the one that came first
	for _, r := range records {
		bridges = append(bridges, r.Bridge)
		if inRules(r) {
			wanted = append(wanted, entryOf(r))
		}
	}
	return append(wanted, closing(bridges)...), nil
}

// closing is what keeps others from the host's 127.0.0.0/8 on bridges where route_localnet would let
// them in. That is not taken back with the last port, since nobody knows who else relies on it.
func closing(bridges []string) []nft.Entry {
	var open []nft.Entry
	slices.Sort(bridges)
	for _, bridge := range slices.Compact(bridges) {
		if link.RoutesLocalnet(bridge) {
			open = append(open, nft.Entry{Bridge: bridge, Localhost: true, MarkBit: nft.UsualMarkBit})
		}
	}
	return open
}

// elementsKnown reports whether a record says all that its elements are made of.
func elementsKnown(r *store.Record) bool {
	return inRules(r) && r.HostLink != "" && r.Bridge != "" && r.Alias != ""
}

// understood is an error if an attachment has elements and a record of a newer form that does not
// tell, in words known here, of which.
func understood(rules *nft.Ruleset, all []store.Entry) error {
	mute := slices.DeleteFunc(slices.Clone(all), func(e store.Entry) bool {
		return !errors.Is(e.Err, store.ErrNewer) || e.Record != nil && elementsKnown(e.Record)
	})
	if len(mute) == 0 {
		return nil
	}
	owners, err := rules.Owners()
	if err != nil {
		return err
	}
	for _, e := range mute {
		mark := namesOf(e.Key).mark + " "
		if slices.ContainsFunc(owners, func(owner string) bool { return strings.HasPrefix(owner+" ", mark) }) {
			return fmt.Errorf("table inet patchbay of nftables stays as it is: it serves %s, whose record was %w", e.Key, e.Err)
		}
	}
	return nil
}

// isGone reports whether the attachment that an element is marked with is certainly not there: it
// has neither a link nor a record that could tell of one.
func (a *adding) isGone(owner string) bool {
	mark, text, _ := strings.Cut(owner, " ")
	key, _, whole := store.ParseKey(text)
	n := namesOf(key)
	if !whole || n.mark != mark {
		return false // cut, or of another machine-id
	}
	if _, err := a.host.Link(n.hostLink); !errors.Is(err, link.ErrNotFound) {
		return false
	}
	for _, dir := range store.StateDirs(config.DefaultStateDir) {
		state, err := store.TryOpen(store.Dirs{State: dir, Data: a.cfg.DataDir}, key)
		if err != nil {
			if errors.Is(err, store.ErrBusy) {
				return false
			}
			continue
		}
		gone := state.Broken == nil && state.Record == nil || state.Record != nil && newJudge(a.host).dead(state.Record)
		closeState(state)
		if !gone {
			return false
		}
	}
	return true
}

// Living are the records of the attachments that live, of every state directory that is known in the
// given one, in the order of their keys.
func Living(stateDir string) ([]*store.Record, error) {
	host, err := link.OpenHost()
	if err != nil {
		return nil, err
	}
	defer host.Close()
	all, err := listedIn(store.StateDirs(stateDir))
	if err != nil {
		return nil, err
	}
	return living(host, all), nil
}
