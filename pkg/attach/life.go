package attach

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// judge tells the living from the dead by their records (design section 5). Who asks holds the
// lock of the record, or asks again when it does: a record that is held is in flight.
type judge struct {
	host *link.Host
	boot string
	pass func(store.Key) bool // whose record need not be read; nil for none
}

func newJudge(host *link.Host) judge { return judge{host: host, boot: store.BootID()} }

// otherBoot reports whether a record is older than the host's boot, which ended every namespace.
func (j judge) otherBoot(r *store.Record) bool {
	return r.BootID != "" && j.boot != "" && r.BootID != j.boot
}

// unseen reports whether an attachment's link would be in another host's namespace of this boot,
// and nothing here can tell if it is in use: only its own DEL, or GC, frees it.
func (j judge) unseen(r *store.Record) bool {
	here := j.host.Cookie()
	return !j.otherBoot(r) && r.HostCookie != 0 && here != 0 && r.HostCookie != here
}

// dead reports whether an attachment is certainly not in use: it has no host link, and would
// have one here. What cannot be looked up is not dead.
func (j judge) dead(r *store.Record) bool {
	if r.HostLink == "" { // the link is another plugin's, whose IPAM we are
		return j.otherBoot(r)
	}
	l, err := j.host.Link(r.HostLink)
	switch {
	case errors.Is(err, link.ErrNotFound):
		return !j.unseen(r)
	case err != nil:
		return false
	}
	// A link of that name may be another attachment's, or nobody's: names derived by us are not.
	mark, _, _ := strings.Cut(r.Alias, " ")
	return r.Role == store.RolePort && !l.IsOurs(mark) && !j.unseen(r)
}

// graves are the dead attachments of a network, with addresses in one data directory.
func (j judge) graves(dirs store.Dirs, network string) ([]*store.Record, error) {
	entries, err := store.ListNetworkBut(dirs.State, network, j.pass)
	if err != nil {
		return nil, err
	}
	var dead []*store.Record
	for _, e := range entries {
		if e.Err != nil {
			warn("record %s: %v; only its DEL or GC frees what it holds", e.Path, e.Err)
		}
		if e.Err == nil && e.Record != nil && e.Record.DataDir == dirs.Data && j.dead(e.Record) {
			dead = append(dead, e.Record)
		}
	}
	return dead, nil
}

// reclaim cleans up after the dead of a network when an ADD finds no address: whose containers
// are gone without a DEL, and what an earlier life of the host left. It reports whether there
// is reason to try again. What fails is told and left for the next one.
func reclaim(ctx context.Context, host *link.Host, dirs store.Dirs, network string) bool {
	j, freed := newJudge(host), false
	dead, err := j.graves(dirs, network)
	for _, r := range dead {
		if ctx.Err() != nil {
			return false
		}
		done, failed := j.bury(ctx, dirs, r.Key())
		freed, err = freed || done, errors.Join(err, failed)
	}
	lost, failed := store.ReclaimLost(ctx, dirs, network, host.Cookie())
	if err := errors.Join(err, failed); err != nil {
		warn("reclaim addresses of network %s: %s", network, sentence(err))
	}
	return freed || len(lost) > 0
}

// bury removes a dead attachment whole, unless somebody works on it or has just begun anew.
func (j judge) bury(ctx context.Context, dirs store.Dirs, key store.Key) (bool, error) {
	state, err := store.TryOpen(dirs, key)
	if errors.Is(err, store.ErrBusy) || errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer closeState(state)
	if state.Record == nil || state.Broken != nil || !j.dead(state.Record) {
		return false, nil
	}
	r := &removal{key: key, names: namesOf(key), host: j.host, state: state, forget: true, unasked: true}
	return true, r.run(ctx)
}

// reclaimable are the addresses that reclaim would free. It changes nothing. A runtime asks for it
// every few seconds as long as a pool is full, so all names of links are looked at in one go, and
// only a record whose link is not among them is read. A link of a derived name that is not ours
// passes here; ADD looks closer.
func reclaimable(host *link.Host, dirs store.Dirs, network string) ([]netip.Addr, error) {
	links, err := host.Names()
	if err != nil {
		return nil, err
	}
	j, machine := newJudge(host), machineID()
	j.pass = func(key store.Key) bool { return links[namesOn(machine, key).hostLink] }
	dead, err := j.graves(dirs, network)
	if err != nil {
		return nil, err
	}
	addrs, err := store.Lost(dirs, network, host.Cookie())
	for _, r := range dead {
		addrs = slices.Concat(addrs, store.Reclaimable(dirs, r))
	}
	return addrs, err
}

// warn tells the runtime's log what no answer of the verb tells.
func warn(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "patchbay: "+format+"\n", args...)
}
