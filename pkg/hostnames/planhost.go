package hostnames

import (
	"fmt"
	"slices"
	"strings"

	"github.com/patchbay-cni/patchbay/pkg/hostsfile"
)

// host plans the block of /etc/hosts. The block is the memory of who asked for it: a name stays in it as long as it has an
// attachment.
func (p *plan) host(content string) {
	text := hostsfile.Parse(content)
	p.outside = text.Outside()
	if text.State == hostsfile.Edited {
		p.edited(hostFile, keepLines)
		return
	}
	asked := append(keysIn(text.Body), p.ask...)
	c := newComposer(taken{}.add(p.outside))
	for _, m := range p.members {
		if slices.Contains(asked, m.Key) {
			c.name(m.Key, m.addresses(nil))
		}
	}
	p.warnings = append(p.warnings, c.warnings...)
	body := c.marked()
	wanted := text.Without()
	if body != "" {
		wanted = text.With(body)
	}
	p.change(hostsfile.Change{Path: hostFile, Old: content, New: wanted, Sync: true})
}

// marked returns the lines with the container ID of LXC containers behind their names, which keysIn reads.
func (c *composer) marked() string {
	var out strings.Builder
	for addr, name := range hostsfile.Names(c.lines.String()) {
		mark := ""
		if key := c.mine[hostsfile.Fold(name)]; key.LXC != "" {
			mark = "\t# " + key.LXC
		}
		fmt.Fprintf(&out, "%s\t%s%s\n", addr, name, mark)
	}
	return out.String()
}

// keysIn returns who has a name in the block of /etc/hosts.
func keysIn(body string) []Key {
	var keys []Key
	for line := range strings.Lines(body) {
		before, mark, _ := strings.Cut(line, "#")
		for _, name := range hostsfile.Names(before) {
			keys = append(keys, Key{Name: name, LXC: strings.TrimSpace(mark)})
		}
	}
	return keys
}

// Refusal returns an error if /etc/hosts cannot have the name of a key that has no attachment yet.
func Refusal(k Key) error {
	content, err := hostsfile.Read(hostFile)
	if err != nil {
		return fmt.Errorf("--host-names: %w", err)
	}
	text := hostsfile.Parse(content)
	if text.State == hostsfile.Edited {
		p := &plan{}
		p.edited(hostFile, keepLines)
		return fmt.Errorf("--host-names: %s", p.warnings[0])
	}
	if why := notAName(k, taken{}.add(text.Outside()), nil); why != "" {
		return fmt.Errorf("--host-names: %s", why)
	}
	for _, by := range keysIn(text.Body) {
		if hostsfile.Fold(by.Name) == hostsfile.Fold(k.Name) && by != k {
			return fmt.Errorf("--host-names: /etc/hosts has the name %s for %s already", by.Name, by)
		}
	}
	return nil
}
