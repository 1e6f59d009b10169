package inventory

import (
	"errors"
	"sync"

	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/liveness"
	"github.com/patchbay-cni/patchbay/pkg/ruleset"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// Entry is one record file, with the state directory that it was found in.
type Entry struct {
	store.Entry
	StateDir string
}

// Inventory holds what was read of the host. Its methods are for one goroutine.
type Inventory struct {
	stateDir string

	records     func() ([]Entry, error)
	attachments func() ([]Attachment, error)
	survey      func() (*link.Survey, error)
	rules       func() (*ruleset.Snapshot, error)
}

// New returns the inventory of the network namespace of the process. stateDir names the state directory,
// in which the host's other ones are noted. Nothing is read yet.
func New(stateDir string) *Inventory {
	i := &Inventory{stateDir: stateDir}
	i.records = sync.OnceValues(i.Reread)
	i.attachments = sync.OnceValues(i.join)
	i.survey = sync.OnceValues(link.SurveyHost)
	i.rules = sync.OnceValues(ruleset.Look)
	return i
}

// Records returns the records of all state directories, in the order of their paths within each. One that
// cannot be read is an entry with Err. An error is a state directory that cannot be listed; if it wraps
// store.ErrUnsafe, the records of the other directories are returned with it.
func (i *Inventory) Records() ([]Entry, error) { return i.records() }

// Reread returns the records as they are now.
func (i *Inventory) Reread() ([]Entry, error) {
	var all []Entry
	var unsafe error
	for _, dir := range store.StateDirs(i.stateDir) {
		entries, err := store.List(dir)
		for _, e := range entries {
			all = append(all, Entry{e, dir})
		}
		if errors.Is(err, store.ErrUnsafe) {
			unsafe = errors.Join(unsafe, err)
		} else if err != nil {
			return all, err
		}
	}
	return all, unsafe
}

// Survey returns the interfaces of the host with their addresses, its default routes, and whether it
// forwards. It needs no privilege.
func (i *Inventory) Survey() (*link.Survey, error) { return i.survey() }

// Rules returns the ruleset. It needs CAP_NET_ADMIN.
func (i *Inventory) Rules() (*ruleset.Snapshot, error) { return i.rules() }

// Live returns the records of the live attachments that have a host interface, without those in a state directory
// that others than root can write to: Records reports it.
func (i *Inventory) Live() ([]*store.Record, error) {
	host, err := link.OpenHost()
	if err != nil {
		return nil, err
	}
	defer host.Close()
	all, err := i.Records()
	if err != nil && !errors.Is(err, store.ErrUnsafe) {
		return nil, err
	}
	var entries []store.Entry
	for _, e := range all {
		entries = append(entries, e.Entry)
	}
	return liveness.Live(host, entries), nil
}
