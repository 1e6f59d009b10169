package hostnames

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/patchbay-cni/patchbay/pkg/cli"
	"github.com/patchbay-cni/patchbay/pkg/hostsfile"
	"github.com/patchbay-cni/patchbay/pkg/inventory"
)

// hostFile is the hosts file of the host.
const hostFile = "/etc/hosts"

// plan is what the files should be.
type plan struct {
	members  []*member
	ask      []Key // names that /etc/hosts should have too
	outside  string
	changes  []hostsfile.Change
	orphans  []string // directories of namespaces that no longer exist, which have files of ours
	warnings []Warning
}

// planOf reads the files, and returns what to change.
func planOf(attachments []inventory.Attachment, ask []Key) *plan {
	p := &plan{members: members(attachments), ask: ask}
	host, err := hostsfile.Read(hostFile)
	if err == nil {
		p.host(host)
	} else if len(ask) > 0 {
		p.kept(hostFile, err)
	}
	p.namespaces(isMountable(hostFile))
	p.containers()
	slices.SortStableFunc(p.warnings, func(a, b Warning) int { return strings.Compare(a.Text, b.Text) })
	p.warnings = slices.Compact(p.warnings)
	return p
}

// isMountable reports whether `ip netns exec` can mount another file over one.
func isMountable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

// kept adds the warning about a file that is kept as it is.
func (p *plan) kept(path string, err error) {
	p.warnings = append(p.warnings, Warning{Text: fmt.Sprintf("%s is kept as it is, and may lack names: %v", path, err), Fix: "replace it by a plain file of root"})
}

// keepLines is the fix for a file whose block was edited by hand.
const keepLines = "move your lines out of them, delete the others"

// edited adds the warning about a file whose block was edited by hand.
func (p *plan) edited(path, fix string) {
	p.warnings = append(p.warnings, Warning{
		Text: path + " is kept as it is, and may lack names: its lines from # BEGIN patchbay to # END patchbay were edited by hand",
		Fix:  fix,
	})
}

// namespaces plans the files of named network namespaces. A namespace that has no attachment of a command any more gets its block
// removed.
func (p *plan) namespaces(mountable bool) {
	var viewed []string
	for _, m := range p.members {
		if m.LXC == "" && mountable {
			viewed = append(viewed, m.Name)
			p.namespace(m)
		}
	}
	entries, err := os.ReadDir(cli.NetnsFiles)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		p.kept(cli.NetnsFiles, err)
	}
	for _, e := range entries {
		if !slices.Contains(viewed, e.Name()) {
			p.unviewed(e.Name())
		}
	}
}

// hostsOf returns the path of the hosts file of a named network namespace.
func hostsOf(name string) string { return filepath.Join(cli.NetnsFiles, name, "hosts") }

// namespace plans the file of a namespace. One that the user wrote gets the block only, without lines of /etc/hosts.
func (p *plan) namespace(m *member) {
	path := hostsOf(m.Name)
	content, err := hostsfile.Read(path)
	absent := errors.Is(err, fs.ErrNotExist)
	if err != nil && !absent {
		p.kept(path, err)
		return
	}
	text := hostsfile.Parse(content)
	if text.State == hostsfile.Edited {
		p.edited(path, keepLines)
		return
	}
	others, base := taken{}.add(text.Outside()), ""
	if absent || isCreated(text) {
		lines := baseOf(p.outside)
		base = baseComment + lines
		others.add(lines)
	}
	c := newComposer(others)
	c.seen(m, p.members)
	p.warnings = append(p.warnings, c.warnings...)
	p.change(hostsfile.Change{Path: path, Old: content, New: text.With(base + namesComment + c.lines.String()), Create: absent})
}

// OwnFiles returns the files that were written for a named network namespace: hosts if it has no lines of others, and resolv.conf.
func OwnFiles(name string) []string {
	var files []string
	content, err := hostsfile.Read(hostsOf(name))
	if text := hostsfile.Parse(content); err == nil && isCreated(text) && text.Without() == "" {
		files = append(files, hostsOf(name))
	}
	if resolver := cli.OwnResolver(name); resolver != "" {
		files = append(files, resolver)
	}
	return files
}

// isCreated reports whether Sync created the file that has a block.
func isCreated(text hostsfile.Text) bool {
	return text.State == hostsfile.Intact && strings.HasPrefix(text.Body, baseComment)
}

// change adds a change, unless it changes nothing.
func (p *plan) change(c hostsfile.Change) {
	if c.Create || c.Delete || c.Old != c.New {
		p.changes = append(p.changes, c)
	}
}

// unviewed plans the removal of our block from the file of a namespace without attachments of commands. It deletes a file that Sync
// created and that has no other lines.
func (p *plan) unviewed(name string) {
	path := hostsOf(name)
	exists := cli.Named(name).Path != ""
	if !exists && (cli.OwnResolver(name) != "") {
		p.orphans = append(p.orphans, name)
	}
	content, err := hostsfile.Read(path)
	if err != nil {
		return // there is none, or it is not ours
	}
	text := hostsfile.Parse(content)
	switch text.State {
	case hostsfile.Edited:
		fix := keepLines
		if !exists {
			fix = "delete the file of the deleted namespace, or " + keepLines
		}
		p.edited(path, fix)
	case hostsfile.Intact:
		rest := text.Without()
		p.change(hostsfile.Change{Path: path, Old: content, New: rest, Delete: rest == "" && isCreated(text)})
		p.orphans = append(p.orphans, name)
	case hostsfile.Absent:
	}
}
