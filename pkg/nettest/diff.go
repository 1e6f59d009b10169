package nettest

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
)

// Mode is how strict the leak check is.
type Mode string

// Modes of the leak check. Attachment permits what attachments share and leave:
// new bridges and their properties, new addresses and routes of existing bridges,
// forwarding and route_localnet of bridges switched on, state directories, lock and
// cursor files, sticky memory, and the nftables tables with their elements for
// bridges, but not those for attachments. It also permits flows that have ended.
// CleanHost permits only these flows.
const (
	Attachment Mode = "attachment"
	CleanHost  Mode = "clean host"
)

// change is a fact that differs; nil is a fact that does not exist.
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

// came reports whether the fact is new.
func (c change) came() bool { return c.before == nil }

// Diff returns the differences between two snapshots that the mode does not permit,
// one per line: "+ link veth0: ..." was added, "- ..." removed, "~ ...: a -> b" changed.
// Facts of an added or removed link are part of the link's line.
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

// changes returns all facts that differ, sorted by name.
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

// partOfLink reports whether a change is part of adding or removing its link.
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

// about describes a link that was added or removed.
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

// permitted reports whether Attachment permits a change.
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
		return c.came() && d.isBridge(c.link())
	}
	switch strings.TrimPrefix(c.key, "link "+c.link()+" ") {
	case "up", "promisc":
		return d.isBridge(c.link()) && c.after.value == "true"
	}
	return false
}

// isBridge reports whether a link serves a network: a bridge, or Patchbay's interface of a VLAN on it. The latter has the group that
// pkg/link calls unfinished if its creator was killed: like such a bridge it stays until the next ADD finishes it.
func (d differ) isBridge(link string) bool {
	const unfinished = "4032985442"
	of := func(what string) string { return d.after.facts["link "+link+" "+what].value }
	kind := d.after.facts["link "+link].value
	return kind == "bridge" || kind == "vlan" && (of("alias") == "patchbay:vlan" || of("group") == unfinished)
}

// permittedSysctl permits forwarding, and route_localnet of bridges.
func (d differ) permittedSysctl(setting, link string) bool {
	return setting == "forwarding" || setting == "ip_forward" || setting == "route_localnet" && d.isBridge(link)
}

// permittedRule permits Patchbay's tables with their chains, rules, maps and sets; of the elements,
// those of bridges, which all attachments of a bridge share.
func permittedRule(object string) bool {
	for _, family := range []string{"inet", "bridge"} {
		if object == `{"table":{"family":"`+family+`","name":"patchbay"}}` {
			return true
		}
	}
	if element, is := strings.CutPrefix(object, "element "); is {
		ofBridges := []string{"inet patchbay intra ", "inet patchbay apart ", "inet patchbay isolated ", "inet patchbay answers_only ", "inet patchbay localnet "}
		return slices.ContainsFunc(ofBridges, func(set string) bool { return strings.HasPrefix(element, set) })
	}
	return strings.Contains(object, `"table":"patchbay"`)
}

// permittedFile permits new directories, instance IDs, locks, cursors and sticky memory.
func permittedFile(path string, c change) bool {
	base := filepath.Base(path)
	switch {
	case c.came() && strings.HasPrefix(c.after.value, "d"):
		return true
	case base == "lock", strings.HasPrefix(base, "last_reserved_ip."):
		return true
	case base == ".life", base == ".ruleset", base == ".names", slices.Contains([]string{".elsewhere", ".bridges"}, filepath.Base(filepath.Dir(path))): // created once
		return c.came()
	case filepath.Base(filepath.Dir(path)) == ".isolating": // of a bridge
		return true
	}
	return strings.HasPrefix(path, "/var/lib/patchbay/sticky/")
}
