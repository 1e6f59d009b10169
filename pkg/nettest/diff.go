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
// and bridges' route_localnet switched on, state directories, lock and cursor
// files, the sticky memory, the tables of nftables with what they hold of
// bridges, not of attachments. Flows that have ended are nobody's leak.
// CleanHost lets nothing differ but those.
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
	kind, name, _ := strings.Cut(c.key, " ")
	if kind == "flow" {
		return !c.came()
	}
	if d.mode != Attachment || c.after == nil {
		return false
	}
	switch kind {
	case "link":
		return d.permittedLink(c)
	case "address", "route":
		return c.came() && d.isBridge(c.link())
	case "sysctl":
		return c.after.value == "1" && d.permittedSysctl(filepath.Base(name), c.link())
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

// permittedSysctl permits forwarding, and 127.0.0.0/8 on what comes in by a bridge.
func (d differ) permittedSysctl(setting, link string) bool {
	return setting == "forwarding" || setting == "ip_forward" || setting == "route_localnet" && d.isBridge(link)
}

// permittedRule permits our tables, their chains with their rules, and their maps and sets; of the
// elements those that are of bridges, which all attachments there share.
func permittedRule(object string) bool {
	for _, family := range []string{"inet", "bridge"} {
		if object == `{"table":{"family":"`+family+`","name":"patchbay"}}` {
			return true
		}
	}
	if element, is := strings.CutPrefix(object, "element "); is {
		ofBridges := []string{"inet patchbay intra ", "inet patchbay apart ", "inet patchbay isolated ", "inet patchbay localnet "}
		return slices.ContainsFunc(ofBridges, func(set string) bool { return strings.HasPrefix(element, set) })
	}
	return strings.Contains(object, `"table":"patchbay"`)
}

// permittedFile permits new directories, a new life, locks, cursors and sticky memory.
func permittedFile(path string, c change) bool {
	base := filepath.Base(path)
	switch {
	case c.came() && strings.HasPrefix(c.after.value, "d"):
		return true
	case base == "lock", strings.HasPrefix(base, "last_reserved_ip."):
		return true
	case base == ".life", base == ".ruleset", filepath.Base(filepath.Dir(path)) == ".elsewhere": // made once
		return c.came()
	case filepath.Base(filepath.Dir(path)) == ".isolating": // of a bridge
		return true
	}
	return strings.HasPrefix(path, "/var/lib/patchbay/sticky/")
}
