package nettest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"
)

// Snapshot is the state of a host or a container: facts with names such as
// "link br0 mtu", "address br0 192.0.2.10/24", "file /run/patchbay/x".
type Snapshot struct {
	facts map[string]fact
	names linkNames
}

// fact is one property. Its link, if it has one, is the interface to which it belongs.
type fact struct {
	link  string
	value string
}

// Snapshot takes a snapshot of the host: links, qdiscs, addresses, routes of all
// tables, rules, forwarding sysctls, permanent fdb and mdb entries, files of
// the state directories, named namespaces, the nft ruleset where the nft
// program is installed, translated flows of datagrams, and processes in the host
// or its containers.
// Neighbours are left out, and so is what the kernel derives by itself:
// link-local addresses and the routes that follow from addresses.
func (h *Node) Snapshot() *Snapshot {
	h.t.Helper()
	s, err := h.snapshot()
	if err != nil {
		h.t.Fatalf("snapshot of the host: %v", err)
	}
	return s
}

func (h *Node) snapshot() (*Snapshot, error) {
	s, err := h.takeSnapshot()
	if err != nil {
		return nil, err
	}
	ruleset, err := h.listRuleset()
	if err != nil {
		return nil, err
	}
	maps.Copy(s.facts, ruleset)
	mine := h.pinNames()
	h.Do(func() {
		err = errors.Join(s.addForwarding(), s.addMDB(), s.addPins(mine), s.addFlows())
		for _, root := range h.oracle.roots {
			err = errors.Join(err, s.addFiles(root))
		}
	})
	if err != nil {
		return nil, err
	}
	return s, s.addProcesses(h.inodes(), h.guests())
}

// takeSnapshot takes the part of a snapshot that every namespace has.
func (n *Netns) takeSnapshot() (*Snapshot, error) {
	s := &Snapshot{facts: make(map[string]fact)}
	h := n.Netlink()
	for _, add := range []func(*netlink.Handle) error{s.addLinks, s.addQdiscs, s.addAddresses, s.addRoutes, s.addRules, s.addFDB} {
		if err := add(h); err != nil {
			return nil, fmt.Errorf("snapshot of %s: %w", n.name, err)
		}
	}
	return s, nil
}

// dump repeats a netlink dump that was interrupted by a change (NLM_F_DUMP_INTR).
func dump[T any](list func() ([]T, error)) ([]T, error) {
	for range 20 {
		out, err := list()
		if !errors.Is(err, netlink.ErrDumpInterrupted) {
			return out, err
		}
	}
	return nil, netlink.ErrDumpInterrupted
}

// set adds a fact about a link ("" for none).
func (s *Snapshot) set(link, value string, name ...string) {
	if value == "" {
		value = "-"
	}
	s.facts[strings.Join(name, " ")] = fact{link: link, value: value}
}

// links returns the names of the links of a kind, of all when it is empty.
func (s *Snapshot) links(kind string) []string {
	var out []string
	for key, f := range s.facts {
		if key == "link "+f.link && (kind == "" || f.value == kind) {
			out = append(out, f.link)
		}
	}
	slices.Sort(out)
	return out
}

// adopt copies all facts about some links from a later snapshot.
func (s *Snapshot) adopt(later *Snapshot, links []string) {
	about := func(_ string, f fact) bool { return slices.Contains(links, f.link) }
	maps.DeleteFunc(s.facts, about)
	for key, f := range later.facts {
		if about(key, f) {
			s.facts[key] = f
		}
	}
}

// String returns all facts, one per line.
func (s *Snapshot) String() string {
	var b strings.Builder
	for _, key := range slices.Sorted(maps.Keys(s.facts)) {
		fmt.Fprintf(&b, "%s: %s\n", key, s.facts[key].value)
	}
	return b.String()
}
