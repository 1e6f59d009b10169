package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// NetnsDir is where `ip netns` keeps named namespaces.
const NetnsDir = "/run/netns"

// Kind is what sort of thing a person has named.
type Kind string

// Kinds of targets, as they are told in container IDs.
const (
	KindNamed Kind = "netns" // a namespace of `ip netns`
	KindPID   Kind = "pid"   // that of a process
	KindLXC   Kind = "lxc"   // that of an LXC container
	KindPath  Kind = "path"  // one that is pinned elsewhere
)

// Target is the namespace that a person means.
type Target struct {
	Kind Kind
	Name string // without what the kind says: a name, a number, a path
	Path string // of the namespace; "" if it is not there
}

// What is wrong with a target.
var (
	ErrNoTarget  = errors.New("there is no")
	ErrAmbiguous = errors.New("can mean")
)

// Named is the namespace of a name.
func Named(name string) *Target {
	return (&Target{Kind: KindNamed, Name: name}).at(filepath.Join(NetnsDir, name))
}

// at fills in a path if something is there.
func (t *Target) at(path string) *Target {
	if _, err := os.Stat(path); err == nil {
		t.Path = path
	}
	return t
}

// Targets finds what words mean; proc is /proc.
type Targets struct {
	Proc  string
	Known []string // further names, of what is attached: one of them may be gone itself
}

// Find understands a path, a number, the name of a namespace or of an LXC container, and netns:NAME,
// pid:NUMBER and lxc:NAME where more than one would fit. A target that is not there comes with an
// ErrNoTarget. The text of an error is a sentence.
func (f Targets) Find(word string) (*Target, error) {
	if kind, name, said := strings.Cut(word, ":"); said && slices.Contains([]Kind{KindNamed, KindPID, KindLXC}, Kind(kind)) {
		return f.missing(f.ofKind(Kind(kind), name), word)
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
		if t := f.ofKind(kind, word); t.Path != "" {
			fit = append(fit, t)
		}
	}
	switch {
	case len(fit) > 1:
		return nil, fmt.Errorf("%s %w %s: say which", word, ErrAmbiguous, strings.Join(spelled(fit), " or "))
	case len(fit) == 1:
		return fit[0], nil
	case len(kinds) == 3:
		return f.missing(f.ofKind(KindPID, word), word)
	}
	return f.missing(f.ofKind(KindNamed, word), word)
}

func spelled(targets []*Target) []string {
	var words []string
	for _, t := range targets {
		words = append(words, string(t.Kind)+":"+t.Name)
	}
	return words
}

func (f Targets) ofKind(kind Kind, name string) *Target {
	switch kind {
	case KindPID:
		return (&Target{Kind: KindPID, Name: name}).at(f.netnsOf(name))
	case KindLXC:
		t := &Target{Kind: KindLXC, Name: name}
		if pid := f.lxc()[name]; pid != "" {
			t.at(f.netnsOf(pid))
		}
		return t
	}
	return Named(name)
}

func (f Targets) netnsOf(pid string) string { return filepath.Join(f.Proc, pid, "ns", "net") }

// atPath knows the directory of named namespaces by both its names, and /proc/PID/ns/net.
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

// missing says so if a target is not there, and what may have been meant.
func (f Targets) missing(t *Target, word string) (*Target, error) {
	if t.Path != "" {
		return t, nil
	}
	switch t.Kind {
	case KindPID:
		return t, fmt.Errorf("%w process %s: it is gone, or never was", ErrNoTarget, t.Name)
	case KindPath:
		return t, fmt.Errorf("%w network namespace at %s", ErrNoTarget, t.Name)
	case KindLXC:
		return t, fmt.Errorf("%w running LXC container %s%s", ErrNoTarget, t.Name, didYouMean(t.Name, f.names()))
	}
	what := "network namespace"
	if word == t.Name {
		what += " or LXC container"
	}
	return t, fmt.Errorf("%w %s %s%s", ErrNoTarget, what, t.Name, didYouMean(t.Name, f.names()))
}

// names are those that a person could have meant.
func (f Targets) names() []string {
	names := slices.Clone(f.Known)
	entries, _ := os.ReadDir(NetnsDir) // without it no namespace has a name
	for _, e := range entries {
		names = append(names, e.Name())
	}
	for name := range f.lxc() {
		names = append(names, name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// lxc are the init processes of running LXC containers by name: a container's payload is in a cgroup
// of its name, and its init is 1 in a namespace of PIDs. LXC's own tools are not needed for it.
func (f Targets) lxc() map[string]string {
	found := map[string]string{}
	processes, _ := filepath.Glob(filepath.Join(f.Proc, "[0-9]*", "cgroup"))
	for _, path := range processes {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		name := payloadOf(string(text))
		if name != "" && isInit(filepath.Dir(path)) {
			found[name] = filepath.Base(filepath.Dir(path))
		}
	}
	return found
}

// payloadOf reads lines like "0::/lxc.payload.web/init.scope", or "4:cpu:/lxc/web" of LXC before 4.0.
func payloadOf(cgroups string) string {
	for line := range strings.Lines(cgroups) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) < 3 {
			continue
		}
		for _, before := range []string{"/lxc.payload.", "/lxc/"} {
			if _, rest, ok := strings.Cut(parts[2], before); ok {
				name, _, _ := strings.Cut(rest, "/")
				return name
			}
		}
	}
	return ""
}

// isInit reads "NSpid:	4711	1" of proc(5): the PID in each namespace, the innermost last.
func isInit(process string) bool {
	text, _ := os.ReadFile(filepath.Join(process, "status"))
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "NSpid:"); ok {
			pids := strings.Fields(rest)
			return len(pids) == 2 && pids[1] == "1"
		}
	}
	return false
}
