package topo

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/patchbay-cni/patchbay/pkg/identity"
	"github.com/patchbay-cni/patchbay/pkg/inventory"
	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// ErrNoBridge is wrapped by errors about a bridge in Options that does not exist.
var ErrNoBridge = errors.New("no such bridge")

// Options select a part of a view. Empty selects everything.
type Options struct {
	Bridge   string // only this bridge and its attachments
	Network  string // only attachments of this network, their bridges and namespaces
	NetnsDir string // of named namespaces; /run/netns
}

// Gather returns the view of an inventory: its records and interfaces, and the inside of the network namespaces
// of the records and of those with a name. What may not be read becomes a sentence in View.Unseen; errors are
// an unreadable kernel and ErrNoBridge.
func Gather(inv *inventory.Inventory, o Options) (*View, error) {
	m := snapshot{bootID: store.BootID(), inventory: inv}
	var recordsErr error
	m.before, recordsErr = inv.Records()
	var err error
	if m.host, err = inv.Survey(); err != nil {
		return nil, err
	}
	var denied []string
	m.namespaces, denied = surveyAll(namespacePaths(o.NetnsDir, m.before))
	m.after = m.before
	if recordsErr == nil {
		m.after, recordsErr = inv.Reread()
	}
	m.recordsKnown = recordsErr == nil
	if m.name, err = os.Hostname(); err != nil {
		m.name = "host"
	}

	view := m.view()
	view.Unseen = append(unseen(recordsErr, denied), m.rulesErrors...)
	return view, view.narrow(o)
}

// location is the name and path of a network namespace.
type location struct {
	name, path string
}

// namespacePaths returns the named namespaces, then those of the records.
func namespacePaths(dir string, entries []inventory.Entry) []location {
	if dir == "" {
		dir = "/run/netns"
	}
	var locations []location
	files, _ := os.ReadDir(dir) // if it does not exist, no namespace has a name
	for _, f := range files {
		locations = append(locations, location{f.Name(), filepath.Join(dir, f.Name())})
	}
	for _, e := range entries {
		if e.Record != nil && e.Record.Netns != "" {
			locations = append(locations, location{identity.NamespaceName(e.Record), e.Record.Netns})
		}
	}
	return locations
}

// inode identifies a namespace as long as it exists; reading it does not require entering the namespace, as the cookie
// does.
type inode struct{ dev, ino uint64 }

func inodeOf(path string) (inode, bool) {
	info, err := os.Stat(path)
	if err != nil {
		return inode{}, false
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return inode{}, false
	}
	return inode{st.Dev, st.Ino}, true
}

// surveyed is a namespace with its survey.
type surveyed struct {
	location
	paths  []string // every path of it
	survey *link.Survey
	err    error
}

// surveyAll surveys each namespace once, whatever number of paths it has, and not the host's own. denied are the names of
// those that may not be entered.
func surveyAll(locations []location) (found []*surveyed, denied []string) {
	at := map[inode]*surveyed{}
	if host, ok := inodeOf("/proc/thread-self/ns/net"); ok {
		at[host] = &surveyed{}
	}
	gone := map[string]bool{}
	for _, p := range locations {
		id, ok := inodeOf(p.path)
		if known := at[id]; ok && known != nil {
			known.also(p)
			continue
		}
		if gone[p.path] {
			continue
		}
		s := &surveyed{location: p, paths: []string{p.path}}
		s.survey, s.err = link.SurveyNetns(p.path)
		if errors.Is(s.err, link.ErrSurveyEntry) {
			denied = append(denied, p.name)
		}
		if ok {
			at[id] = s
		}
		gone[p.path] = !ok
		found = append(found, s)
	}
	return found, denied
}

// also adds another path to a namespace. The name of a pod replaces the random one that a runtime gave the namespace.
func (s *surveyed) also(p location) {
	if !slices.Contains(s.paths, p.path) {
		s.paths = append(s.paths, p.path)
	}
	if strings.Contains(p.name, "/") {
		s.name = p.name
	}
}

func (s *surveyed) gone() bool {
	return errors.Is(s.err, link.ErrNoNetns) || errors.Is(s.err, link.ErrNotNetns)
}

// unseen returns what could not be read, one sentence for each reason.
func unseen(records error, denied []string) []string {
	var lines []string
	if records != nil {
		lines = append(lines, fmt.Sprintf("the records: %v", root(records)))
	}
	if len(denied) > 0 {
		names := denied[0]
		if len(denied) > 1 {
			names = fmt.Sprintf("%s and %d more", denied[0], len(denied)-1)
		}
		lines = append(lines, fmt.Sprintf("the inside of %s: entering a network namespace requires root", names))
	}
	return lines
}

// root adds the remedy to an error about missing permissions.
func root(err error) error {
	if errors.Is(err, os.ErrPermission) {
		return fmt.Errorf("%w (they belong to root)", err)
	}
	return err
}
