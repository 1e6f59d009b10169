package topo

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// ErrNoBridge is wrapped where Options name a bridge that is not there.
var ErrNoBridge = errors.New("no such bridge")

// Options narrow a view down. Empty means everything.
type Options struct {
	Bridge   string // only this bridge and what is plugged into it
	Network  string // only attachments of this network, their bridges and namespaces
	NetnsDir string // of named namespaces; /run/netns

	// Ruleset says what the ruleset has lost of what a record says, a sentence each. Nil: nobody looks.
	Ruleset func(*store.Record) ([]string, error)
	// LostPorts is how many of several ports of a record the ruleset does not lead there. Nil as Ruleset.
	LostPorts func(*store.Record, store.Port) int
}

// Gather reads the host that the process is in: kernel, the records under stateDir, the
// namespaces of the records and those with a name. What it may not read becomes a sentence in
// View.Unseen; errors are an unreadable kernel and ErrNoBridge.
func Gather(stateDir string, o Options) (*View, error) {
	m := moment{bootID: store.BootID(), ruleset: o.Ruleset, lostPorts: o.LostPorts}
	var recordsErr error
	m.before, recordsErr = store.List(stateDir)
	var err error
	if m.host, err = link.SurveyHost(); err != nil {
		return nil, err
	}
	var blind []string
	m.namespaces, blind = lookInto(namespacePaths(o.NetnsDir, m.before))
	m.after = m.before
	if recordsErr == nil {
		m.after, recordsErr = store.List(stateDir)
	}
	m.recordsKnown = recordsErr == nil
	if m.name, err = os.Hostname(); err != nil {
		m.name = "host"
	}

	view := m.view()
	view.Unseen = append(unseen(recordsErr, blind), m.blindToRules...)
	return view, view.narrow(o)
}

// place is a namespace that may be looked into: where it is and how it is called.
type place struct {
	name, path string
}

// namespacePaths lists the named namespaces, then those of the records.
func namespacePaths(dir string, entries []store.Entry) []place {
	if dir == "" {
		dir = "/run/netns"
	}
	var places []place
	files, _ := os.ReadDir(dir) // without it no namespace has a name
	for _, f := range files {
		places = append(places, place{f.Name(), filepath.Join(dir, f.Name())})
	}
	for _, e := range entries {
		if e.Record != nil && e.Record.Netns != "" {
			places = append(places, place{recordName(e.Record), e.Record.Netns})
		}
	}
	return places
}

// recordName is what people call the namespace of a record.
func recordName(r *store.Record) string {
	if r.Pod != nil {
		return r.Pod.Namespace + "/" + r.Pod.Name
	}
	if r.Owner == store.OwnerLXC {
		return lxcName(r.ContainerID)
	}
	if rest, ok := strings.CutPrefix(r.Netns, "/proc/"); ok {
		pid, _, _ := strings.Cut(rest, "/")
		return "process " + pid
	}
	return filepath.Base(r.Netns)
}

// lxcName is what LXC calls the container of an ID "lxc-NAME-HASH".
func lxcName(id string) string {
	name := strings.TrimPrefix(id, "lxc-")
	if i := strings.LastIndex(name, "-"); i > 0 {
		name = name[:i]
	}
	return "lxc " + name
}

// inode tells namespaces that are all pinned at this moment apart; unlike the cookie it needs
// no way in.
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

// seen is a namespace with what was seen in it.
type seen struct {
	place
	paths  []string // every path that leads here
	survey *link.Survey
	err    error
}

// lookInto surveys each namespace once, whatever number of paths lead there, and never the
// host's own. blind are the names of those it may not enter.
func lookInto(places []place) (found []*seen, blind []string) {
	at := map[inode]*seen{}
	if host, ok := inodeOf("/proc/thread-self/ns/net"); ok {
		at[host] = &seen{}
	}
	gone := map[string]bool{}
	for _, p := range places {
		id, ok := inodeOf(p.path)
		if known := at[id]; ok && known != nil {
			known.also(p)
			continue
		}
		if gone[p.path] {
			continue
		}
		s := &seen{place: p, paths: []string{p.path}}
		s.survey, s.err = link.SurveyNetns(p.path)
		if errors.Is(s.err, link.ErrSurveyEntry) {
			blind = append(blind, p.name)
		}
		if ok {
			at[id] = s
		}
		gone[p.path] = !ok
		found = append(found, s)
	}
	return found, blind
}

// also adds another path to a namespace. A pod's name says more than the random one that a
// runtime gave the namespace.
func (s *seen) also(p place) {
	if !slices.Contains(s.paths, p.path) {
		s.paths = append(s.paths, p.path)
	}
	if strings.Contains(p.name, "/") {
		s.name = p.name
	}
}

func (s *seen) gone() bool {
	return errors.Is(s.err, link.ErrNoNetns) || errors.Is(s.err, link.ErrNotNetns)
}

// unseen says what could not be looked at, each reason once.
func unseen(records error, blind []string) []string {
	var lines []string
	if records != nil {
		lines = append(lines, fmt.Sprintf("the records: %v", root(records)))
	}
	if len(blind) > 0 {
		names := blind[0]
		if len(blind) > 1 {
			names = fmt.Sprintf("%s and %d more", blind[0], len(blind)-1)
		}
		lines = append(lines, fmt.Sprintf("the inside of %s: entering a network namespace takes root", names))
	}
	return lines
}

// root adds what would help against a lack of permission.
func root(err error) error {
	if errors.Is(err, os.ErrPermission) {
		return fmt.Errorf("%w (they belong to root)", err)
	}
	return err
}
