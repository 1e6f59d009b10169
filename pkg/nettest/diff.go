package nettest

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
)

// Mode is how strict the oracle is.
type Mode string

// The oracle's two modes. Attachment lets scaffolding stay: new bridges with
// all that is theirs, new addresses and routes of old ones, forwarding switched
// on, route_localnet of bridges, state directories, lock and cursor files, the
// sticky memory, the tables of nftables without the elements of attachments.
// CleanHost lets nothing differ.
const (
	Attachment Mode = "attachment"
	CleanHost  Mode = "clean host"
)

// change is a fact that differs; nil is a fact that is not there.
type change struct {
	key           string
	before, after *fact
}

func (c change) link() string {
	if c.after != nil {
		return c.after.link
	}
	return c.before.link
}

// came tells whether the fact is new.
func (c change) came() bool { return c.before == nil }

// Diff returns what differs between two pictures beyond what the mode permits,
// a line each: "+ link veth0: ..." came, "- ..." went, "~ ...: a -> b" changed.
// What belongs to a link that came or went is told in the link's own line.
func Diff(before, after *Snapshot, mode Mode) []string {
	d := differ{before: before, after: after, mode: mode}
	var lines []string
	for _, c := range d.changes() {
		if d.partOfLink(c) || d.permitted(c) {
			continue
		}
		lines = append(lines, d.line(c))
	}
	return lines
}

type differ struct {
	before, after *Snapshot
	mode          Mode
}

// changes returns all facts that differ, in the order of their names.
func (d differ) changes() []change {
	keys := make(map[string]bool)
	for key := range d.before.facts {
		keys[key] = true
	}
	for key := range d.after.facts {
		keys[key] = true
	}
	var out []change
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		c := change{key: key}
		if f, ok := d.before.facts[key]; ok {
			c.before = &f
		}
		if f, ok := d.after.facts[key]; ok {
			c.after = &f
		}
		if c.before == nil || c.after == nil || *c.before != *c.after {
			out = append(out, c)
		}
	}
	return out
}

// partOfLink tells whether a change follows from its link's coming or going.
func (d differ) partOfLink(c change) bool {
	link := "link " + c.link()
	if c.link() == "" || c.key == link {
		return false
	}
	_, was := d.before.facts[link]
	_, is := d.after.facts[link]
	return was != is
}

func (d differ) line(c change) string {
	switch {
	case c.before == nil:
		return fmt.Sprintf("+ %s: %s%s", c.key, c.after.value, d.after.about(c))
	case c.after == nil:
		return fmt.Sprintf("- %s: %s%s", c.key, c.before.value, d.before.about(c))
	}
	return fmt.Sprintf("~ %s: %s -> %s", c.key, c.before.value, c.after.value)
}

// about tells what is worth knowing of a link that came or went.
func (s *Snapshot) about(c change) string {
	if c.key != "link "+c.link() {
		return ""
	}
	var b strings.Builder
	for _, what := range []string{"master", "mac", "alias"} {
		fmt.Fprintf(&b, ", %s %s", what, s.facts[c.key+" "+what].value)
	}
	for _, key := range slices.Sorted(maps.Keys(s.facts)) {
		if strings.HasPrefix(key, "address "+c.link()+" ") {
			b.WriteString(", " + key)
		}
	}
	return b.String()
}

// permitted tells whether a change is scaffolding, which an attachment leaves.
func (d differ) permitted(c change) bool {
	if d.mode != Attachment || c.after == nil {
		return false
	}
	kind, name, _ := strings.Cut(c.key, " ")
	switch kind {
	case "link":
		return d.permittedLink(c)
	case "address", "route":
		return c.came() && d.isBridge(c.link())
	case "sysctl":
		base := filepath.Base(name)
		return c.after.value == "1" && (base == "forwarding" || base == "ip_forward" || base == "route_localnet" && d.isBridge(c.link()))
	case "file":
		return permittedFile(name, c)
	case "nft":
		return c.came() && permittedRule(name)
	}
	return false
}

// permittedLink permits new bridges, and old ones to be set up or promiscuous.
func (d differ) permittedLink(c change) bool {
	if c.key == "link "+c.link() {
		return c.came() && c.after.value == "bridge"
	}
	switch strings.TrimPrefix(c.key, "link "+c.link()+" ") {
	case "up", "promisc":
		return d.isBridge(c.link()) && c.after.value == "true"
	}
	return false
}

func (d differ) isBridge(link string) bool {
	return d.after.facts["link "+link].value == "bridge"
}

// permittedRule permits our tables, their chains with their rules, and their sets and maps. Of elements
// it permits those that bridges have, which stay as the bridges do, and none of an attachment.
func permittedRule(object string) bool {
	if element, ok := strings.CutPrefix(object, "element patchbay "); ok {
		set, _, _ := strings.Cut(element, " ")
		return slices.Contains([]string{"intra", "apart", "isolated", "localnet"}, set)
	}
	return strings.Contains(object, `"table":"patchbay"`) ||
		strings.HasPrefix(object, `{"table":`) && strings.HasSuffix(object, `"name":"patchbay"}}`)
}

// permittedFile permits new directories, a new life, locks, cursors and sticky memory.
func permittedFile(path string, c change) bool {
	base := filepath.Base(path)
	switch {
	case c.came() && strings.HasPrefix(c.after.value, "d"):
		return true
	case base == "lock", strings.HasPrefix(base, "last_reserved_ip."):
		return true
	case base == ".life", base == ".ruleset", slices.Contains([]string{".elsewhere", ".isolating"}, filepath.Base(filepath.Dir(path))): // made once
		return c.came()
	}
	return strings.HasPrefix(path, "/var/lib/patchbay/sticky/")
}
