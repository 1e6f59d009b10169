package install

import (
	"os"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/test/faults/stepper"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// TestFullFileSystem: where the file system is too small for all files, no name changes, and nothing is left.
//
// Claim: Killed at any system call, or with one that fails, install and uninstall leave whole programs, and the next install or uninstall
// completes them
func TestFullFileSystem(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	check(t, os.MkdirAll(n.bin, 0o755))
	n.Run(t, "mount", "-t", "tmpfs", "-o", "size=30m,mode=755", "tmpfs", n.inside(n.bin))
	n.small(t)
	n.refused(t, []string{"no space left on device"}, "install", "--drop-in", "--conf", n.given(t))
	n.ok(t, "install")
	manifest := hashOf(t, n.at(".patchbay/manifest.json"))
	if a := n.run(t, "install", "--drop-in"); a.exit != 1 || a.stdout != "" {
		t.Errorf("install --drop-in: exit %d, want 1\n%s", a.exit, a.stdout)
	}
	expect.Equal(t, "manifest", hashOf(t, n.at(".patchbay/manifest.json")), manifest)
	n.installed(t, "patchbay")
	n.ok(t, "uninstall")
	n.Run(t, "umount", n.inside(n.bin))
}

// TestChangedMeanwhile: a file that another process puts in place while install or uninstall works keeps its name, and is reported: also
// if it comes just before the call that replaces the name.
//
// Claim: A file that has replaced an installed one, as a package upgrade does, is kept by install, left by uninstall, and reported by both
func TestChangedMeanwhile(t *testing.T) {
	t.Parallel()
	for _, m := range []meanwhile{
		{"install", "bridge", "/bin/patchbay"},
		{"install", "bridge", "/bin/bridge"},
		{"install", "portmap", "/bin/portmap"},
		{"uninstall", "bridge", "/.patchbay/new-sbr"},
		{"uninstall", "bridge", "/bin/bridge"},
		{"uninstall", "portmap", "/.patchbay/new-portmap"},
	} {
		t.Run(m.command+" "+m.name+" before "+m.at, func(t *testing.T) {
			t.Parallel()
			m.run(t)
		})
	}
}

// meanwhile is a command, a name that another process gives to a file, and the target of the rename before which that happens.
type meanwhile struct{ command, name, at string }

func (m meanwhile) run(t *testing.T) {
	n := newNode(t)
	n.small(t)
	more := []string{"--drop-in"}
	if m.command == "uninstall" {
		n.ok(t, "install", more...)
		more = nil
	}
	replaced := false
	ending := n.step(t, func(s stepper.Step) stepper.Act {
		if !replaced && !s.After && strings.HasPrefix(s.Text, "rename") && strings.HasSuffix(s.Text, m.at) {
			replaced = true
			check(t, os.WriteFile(n.at("other"), []byte("newer"), 0o755))
			check(t, os.Rename(n.at("other"), n.at(m.name)))
		}
		return stepper.Go()
	}, m.command, more...)
	if !replaced || ending.Exit != 1 {
		t.Errorf("replaced %v, exit %d, want 1\n%s", replaced, ending.Exit, ending.Stdout)
	}
	expect.Contains(t, string(ending.Stderr), n.inside(n.at(m.name))+": file changed by another process; run "+m.command+" again")
	n.isNewer(t, m.name)
	if m.command == "install" {
		n.ok(t, "install", "--drop-in")
		n.installed(t, names()...)
	}
	n.ok(t, "uninstall")
	n.isNewer(t, m.name)
}

// isNewer requires that a name leads to the file of the other process.
func (n *node) isNewer(t *testing.T, name string) {
	t.Helper()
	text, err := os.ReadFile(n.at(name))
	check(t, err)
	if string(text) != "newer" {
		t.Errorf("%s is not the file of the other process", name)
	}
}
