package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/patchbay-cni/patchbay/pkg/lxc"
	"github.com/patchbay-cni/patchbay/pkg/printable"
)

// NetnsDir is the directory of named network namespaces (ip-netns(8)).
const NetnsDir = "/run/netns"

// Kind is the kind of a target.
type Kind string

// The kinds of targets, as they stand in arguments and container IDs.
const (
	KindNamed Kind = "netns" // a named namespace, of `ip netns`
	KindPID   Kind = "pid"   // the namespace of a process
	KindLXC   Kind = "lxc"   // the namespace of an LXC container
	KindPath  Kind = "path"  // a namespace at another path
)

// Target is the network namespace that an argument names.
type Target struct {
	Kind Kind
	Name string // without the kind: a name, a PID, a path
	Path string // of the namespace; "" if it does not exist

	pid string // of the init of an LXC container
}

// Errors about an argument.
var (
	ErrNotFound  = errors.New("not found")
	ErrAmbiguous = errors.New("ambiguous name")
)

// Named returns the named network namespace.
func Named(name string) *Target {
	return (&Target{Kind: KindNamed, Name: name}).at(filepath.Join(NetnsDir, name))
}

// at sets the path if it exists.
func (t *Target) at(path string) *Target {
	if _, err := os.Stat(path); err == nil {
		t.Path = path
	}
	return t
}

// Targets finds the network namespaces that arguments name.
type Targets struct {
	Proc  string   // mount point of procfs
	Known []string // names of attachments, to suggest: their namespaces may no longer exist
}

// Find parses a path, a PID, the name of a namespace or of an LXC container, and netns:NAME, pid:NUMBER and
// lxc:NAME, which are unambiguous. It returns a target that does not exist together with an error that wraps
// ErrNotFound; without a target the error wraps ErrAmbiguous.
func (f Targets) Find(word string) (*Target, error) {
	if kind, name, given := strings.Cut(word, ":"); given && slices.Contains([]Kind{KindNamed, KindPID, KindLXC}, Kind(kind)) {
		return f.only(word, f.ofKind(Kind(kind), name))
	}
	if strings.Contains(word, "/") {
		return f.missing(atPath(word), word)
	}
	var fit []*Target
	kinds := []Kind{KindNamed, KindLXC}
	if _, err := strconv.ParseUint(word, 10, 31); err == nil {
		kinds = append(kinds, KindPID)
	}
	for _, kind := range kinds {
		for _, t := range f.ofKind(kind, word) {
			if t.Path != "" {
				fit = append(fit, t)
			}
		}
	}
	if len(fit) == 0 {
		fit = f.ofKind(map[bool]Kind{true: KindPID, false: KindNamed}[len(kinds) == 3], word)
	}
	return f.only(word, fit)
}

// only returns the one target; several are an error that names each.
func (f Targets) only(word string, fit []*Target) (*Target, error) {
	if len(fit) > 1 {
		return nil, fmt.Errorf("%w %s: use %s", ErrAmbiguous, printable.Text(word, maxName), strings.Join(spelled(fit), " or "))
	}
	return f.missing(fit[0], word)
}

// maxName is the greatest length in characters of a name in an error.
const maxName = 64

// spelled returns an unambiguous argument for each target: the PID for LXC containers of the same name.
func spelled(targets []*Target) []string {
	var words []string
	for _, t := range targets {
		word := string(t.Kind) + ":" + printable.Text(t.Name, maxName)
		if same := func(o *Target) bool { return o != t && o.Kind == t.Kind && o.Name == t.Name }; slices.ContainsFunc(targets, same) {
			word = fmt.Sprintf("pid:%s (LXC container %s)", t.pid, printable.Text(t.Name, maxName))
		}
		words = append(words, word)
	}
	return words
}

// ofKind returns the target of a kind and name, with an empty path if it does not exist. Several LXC containers
// may have the same name.
func (f Targets) ofKind(kind Kind, name string) []*Target {
	switch kind {
	case KindPID:
		return []*Target{(&Target{Kind: KindPID, Name: name}).at(f.netnsOf(name))}
	case KindLXC:
		var all []*Target
		for _, pid := range lxc.Running(f.Proc)[name] {
			all = append(all, (&Target{Kind: KindLXC, Name: name, pid: pid}).at(f.netnsOf(pid)))
		}
		if len(all) == 0 {
			all = []*Target{{Kind: KindLXC, Name: name}}
		}
		return all
	}
	return []*Target{Named(name)}
}

func (f Targets) netnsOf(pid string) string { return filepath.Join(f.Proc, pid, "ns", "net") }

// atPath returns the target at a path. Paths of named namespaces, below /run/netns or /var/run/netns, and
// /proc/PID/ns/net are of those kinds.
func atPath(path string) *Target {
	absolute, err := filepath.Abs(path)
	if err != nil {
		absolute = filepath.Clean(path)
	}
	dir, base := filepath.Split(absolute)
	if dir == NetnsDir+"/" || dir == "/var"+NetnsDir+"/" {
		return Named(base)
	}
	if parts := strings.Split(absolute, "/"); len(parts) == 5 && parts[1] == "proc" && parts[3] == "ns" && parts[4] == "net" {
		if _, err := strconv.ParseUint(parts[2], 10, 31); err == nil {
			return (&Target{Kind: KindPID, Name: parts[2]}).at(absolute)
		}
	}
	return (&Target{Kind: KindPath, Name: absolute}).at(absolute)
}

// missing returns a target, with an error if it does not exist.
func (f Targets) missing(t *Target, word string) (*Target, error) {
	if t.Path != "" {
		return t, nil
	}
	switch t.Kind {
	case KindPID:
		return t, fmt.Errorf("process %s %w", t.Name, ErrNotFound)
	case KindPath:
		return t, fmt.Errorf("network namespace %s %w", t.Name, ErrNotFound)
	case KindLXC:
		return t, fmt.Errorf("running LXC container %s %w%s", t.Name, ErrNotFound, DidYouMean(t.Name, f.names()))
	}
	what := "network namespace"
	if word == t.Name {
		what += " or LXC container"
	}
	return t, fmt.Errorf("%s %s %w%s", what, t.Name, ErrNotFound, DidYouMean(t.Name, f.names()))
}

// names returns the names to suggest.
func (f Targets) names() []string {
	names := slices.Clone(f.Known)
	entries, _ := os.ReadDir(NetnsDir) // if it does not exist, no namespace has a name
	for _, e := range entries {
		names = append(names, e.Name())
	}
	for name := range lxc.Running(f.Proc) {
		names = append(names, name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}
