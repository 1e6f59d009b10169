package hostnames

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/cli"
	"github.com/patchbay-cni/patchbay/pkg/hostsfile"
	"github.com/patchbay-cni/patchbay/pkg/inventory"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// Options are those of Sync.
type Options struct {
	StateDir string // default state directory
	Ask      []Key  // names that /etc/hosts gets too
}

// Report says what Sync did.
type Report struct {
	Done     []string  // one sentence for each file that was changed, created or deleted
	Warnings []Warning // names that are left out, and files that are kept as they are
}

// writer returns the writer of all files of this package.
func writer() hostsfile.Writer { return hostsfile.Writer{Journal: filepath.Join(namesDir, ".writing")} }

// Sync makes the hosts files, and the files of name servers that `up` wrote, true. It reads the attachments under a lock, so that
// of two calls at once the later one sees the attachments of both. It writes each file that differs once.
func Sync(ctx context.Context, o Options) (Report, error) {
	if isIdle(o) {
		return Report{}, nil
	}
	lock, err := store.LockNames(ctx, o.StateDir)
	if err != nil {
		return Report{}, fmt.Errorf("lock hosts files: %w", err)
	}
	defer lock.Unlock()
	if err := writer().Recover(); err != nil {
		return Report{}, fmt.Errorf("recover hosts files: %w", err)
	}
	all, err := inventory.New(o.StateDir).Attachments("")
	if err != nil {
		return Report{}, err
	}
	p := planOf(all, o.Ask)
	p.resolvers()
	return p.carryOut()
}

// isIdle reports whether there is nothing to do on a host without attachments of commands: no file of this package exists.
func isIdle(o Options) bool {
	if len(o.Ask) > 0 {
		return false
	}
	for _, dir := range []string{cli.NetnsFiles, namesDir} {
		if entries, err := os.ReadDir(dir); !errors.Is(err, fs.ErrNotExist) && len(entries) > 0 {
			return false
		}
	}
	content, err := hostsfile.Read(hostFile)
	if err == nil && hostsfile.Parse(content).State != hostsfile.Absent {
		return false
	}
	all, err := inventory.New(o.StateDir).Records()
	return err == nil && !slices.ContainsFunc(all, func(e inventory.Entry) bool { return e.Record != nil && e.Record.Owner != store.OwnerCNI })
}

// carryOut writes the files, and deletes what is left of namespaces that no longer exist.
func (p *plan) carryOut() (Report, error) {
	r := Report{Warnings: p.warnings}
	var err error
	if len(p.changes) > 0 {
		if err = os.MkdirAll(namesDir, 0o711); err == nil {
			err = writer().Write(p.changes)
		}
		_ = os.Remove(namesDir) // fails if a container has a file there
	}
	for _, c := range p.changes {
		r.Done = append(r.Done, sentence(c))
	}
	for _, name := range p.orphans {
		if cli.Named(name).Path == "" {
			err = errors.Join(err, cli.RemoveResolver(name))
		}
		_ = os.Remove(filepath.Join(cli.NetnsFiles, name)) // fails if it is not empty
	}
	return r, err
}

// sentence describes a change.
func sentence(c hostsfile.Change) string {
	switch {
	case c.Create:
		return "created " + c.Path
	case c.Delete:
		return "deleted " + c.Path
	}
	return "updated " + c.Path
}

// resolvers plans the files of name servers that `up` wrote, after the servers of the host have changed.
func (p *plan) resolvers() {
	for _, m := range p.members {
		if m.LXC != "" {
			continue
		}
		if old, text := cli.FreshResolver(m.Name); old != text {
			p.change(hostsfile.Change{Path: cli.ResolverPath(m.Name), Old: old, New: text})
		}
	}
}

// Check returns the files that are not true, and the names that are left out of them. It changes nothing. While an attachment of a
// command is stale or has no readable record it returns no files: those follow when that attachment is removed.
func Check(all []inventory.Attachment) (stale []string, warnings []Warning) {
	p := planOf(all, nil)
	if slices.ContainsFunc(all, isBroken) {
		return nil, p.warnings
	}
	for _, c := range p.changes {
		stale = append(stale, c.Path)
	}
	return stale, p.warnings
}

func isBroken(a inventory.Attachment) bool {
	return a.Owner != store.OwnerCNI && (a.Record == nil || !exists(&a))
}

// RemoveDir deletes /etc/netns if it is empty, and reports whether it did. Other programs may use the directory (ip-netns(8)):
// rmdir(2) fails on one that has files, on a symbolic link and on a mount point. With dryRun it changes nothing.
func RemoveDir(dryRun bool) (removed bool) {
	if !dryRun {
		return unix.Rmdir(cli.NetnsFiles) == nil
	}
	info, err := os.Lstat(cli.NetnsFiles)
	if err != nil || !info.IsDir() {
		return false
	}
	entries, err := os.ReadDir(cli.NetnsFiles)
	return err == nil && len(entries) == 0
}
