package install

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// TestUnsuitable: what is neither a regular file nor a link within the directory is refused in the place of a program, and
// a link in the place of a directory or the manifest. Nothing is written, in the directory or by the link.
//
// Claim: install and uninstall never write through a link, and refuse a directory that another user can write to, an unsuitable file in
// the place of a program, and a configuration that they have not written; nothing is changed then
func TestUnsuitable(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		make func(t *testing.T, n *node)
		want string
	}{
		"link out of the directory": {func(t *testing.T, n *node) { check(t, os.Symlink(top+"/outside", n.at("bridge"))) }, "bridge: symbolic link that leads out of the directory: " + top + "/outside"},
		"link up":                   {func(t *testing.T, n *node) { check(t, os.Symlink("../victim", n.at("bridge"))) }, "leads out of the directory"},
		"link to the parent":        {func(t *testing.T, n *node) { check(t, os.Symlink("..", n.at("bridge"))) }, "leads out of the directory"},
		"link of patchbay":          {func(t *testing.T, n *node) { check(t, os.Symlink(top+"/outside", n.at("patchbay"))) }, "leads out of the directory"},
		"directory":                 {func(t *testing.T, n *node) { check(t, os.Mkdir(n.at("tuning"), 0o755)) }, "tuning: not a regular file"},
		"FIFO":                      {func(t *testing.T, n *node) { check(t, unix.Mkfifo(n.at("sbr"), 0o755)) }, "sbr: not a regular file"},
		"device":                    {func(t *testing.T, n *node) { check(t, unix.Mknod(n.at("static"), unix.S_IFCHR|0o666, 1<<8|5)) }, "static: not a regular file"},
		".patchbay is a link":       {func(t *testing.T, n *node) { check(t, os.Symlink(top+"/elsewhere", n.at(".patchbay"))) }, ".patchbay: not a directory"},
		"originals is a link": {func(t *testing.T, n *node) {
			check(t, os.Mkdir(n.at(".patchbay"), 0o700))
			check(t, os.Symlink(top+"/elsewhere", n.at(".patchbay/originals")))
		}, "originals: not a directory"},
		"manifest is a link": {func(t *testing.T, n *node) {
			check(t, os.Mkdir(n.at(".patchbay"), 0o700))
			check(t, os.Symlink(top+"/outside", n.at(".patchbay/manifest.json")))
		}, "manifest.json: symbolic link"},
		"manifest of a newer version": {func(t *testing.T, n *node) {
			check(t, os.Mkdir(n.at(".patchbay"), 0o700))
			check(t, os.WriteFile(n.at(".patchbay/manifest.json"), []byte(`{"format": 2, "version": "9.0.0"}`), 0o600))
		}, "unreadable manifest: format 2, want 1; use the version that wrote it: 9.0.0"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := newNode(t)
			check(t, os.MkdirAll(n.bin, 0o755))
			check(t, os.WriteFile(filepath.Join(n.root, "outside"), []byte("of another"), 0o600))
			check(t, os.Mkdir(filepath.Join(n.root, "elsewhere"), 0o755))
			tt.make(t, n)
			n.refused(t, []string{tt.want}, "install", "--drop-in")
			n.refused(t, []string{tt.want}, "install", "--drop-in", "--dry-run")
		})
	}
}

// TestLinkWithin: a link to another plugin of the directory is kept aside, and restored as a link.
//
// Claim: `patchbay install --drop-in` replaces the reference plugins and `uninstall` gives them back byte for byte, with mode, owner and times
func TestLinkWithin(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	n.reference(t)
	check(t, os.Remove(n.at("host-local")))
	check(t, os.Symlink("static", n.at("host-local")))
	check(t, os.Remove(n.at("portmap")))
	check(t, os.Symlink(n.inside(n.at("macvlan")), n.at("portmap")))
	before := state(t, n.root)
	n.ok(t, "install", "--drop-in")
	n.installed(t, names()...)
	expect.Equal(t, "target of the link", describe(t, n.at("macvlan")), before["/opt/cni/bin/macvlan"])
	n.ok(t, "uninstall")
	expect.Equal(t, "files after uninstall", state(t, n.root), before)
}

// TestUnsafeDirectory: a directory that another user can write to is refused, and so is one below such a directory.
//
// Claim: install and uninstall never write through a link, and refuse a directory that another user can write to, an unsuitable file in
// the place of a program, and a configuration that they have not written; nothing is changed then
func TestUnsafeDirectory(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		make func(t *testing.T, n *node)
		want string
	}{
		"everybody":       {func(t *testing.T, n *node) { check(t, os.Chmod(n.bin, 0o777)) }, "cni/bin: writable by other users"},
		"sticky":          {func(t *testing.T, n *node) { check(t, unix.Chmod(n.bin, 0o1777)) }, "cni/bin: writable by other users"},
		"a group":         {func(t *testing.T, n *node) { check(t, os.Chown(n.bin, 0, 100)); check(t, os.Chmod(n.bin, 0o775)) }, "cni/bin: writable by other users"},
		"another user":    {func(t *testing.T, n *node) { check(t, os.Chown(n.bin, 1000, 0)) }, "cni/bin: owned by another user"},
		"above":           {func(t *testing.T, n *node) { check(t, os.Chown(filepath.Dir(n.bin), 1000, 0)) }, "cni: owned by another user"},
		"link of another": {func(t *testing.T, n *node) { n.moveBehindLink(t, 1000) }, "cni/bin: symbolic link"},
		"configurations":  {func(t *testing.T, n *node) { check(t, os.MkdirAll(n.conf, 0o755)); check(t, os.Chmod(n.conf, 0o777)) }, "net.d: writable by other users"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := newNode(t)
			check(t, os.MkdirAll(n.bin, 0o755))
			tt.make(t, n)
			n.refused(t, []string{tt.want}, "install", "--drop-in", "--conf", n.given(t))
		})
	}
	t.Run("link of root", func(t *testing.T) {
		t.Parallel()
		n := newNode(t)
		check(t, os.MkdirAll(n.bin, 0o755))
		n.moveBehindLink(t, 0)
		n.ok(t, "install", "--drop-in")
		n.installed(t, names()...)
	})
}

// moveBehindLink replaces the directory of plugins by a link of a user to it.
func (n *node) moveBehindLink(t *testing.T, uid int) {
	t.Helper()
	moved := filepath.Join(n.root, "plugins")
	check(t, os.Rename(n.bin, moved))
	check(t, os.Symlink(n.inside(moved), n.bin))
	check(t, os.Lchown(n.bin, uid, 0))
	n.link, n.bin = n.bin, moved
}

// TestConfiguration: a configuration of the same name that install has not written, or that was edited, is not replaced, and
// uninstall leaves it.
//
// Claim: install and uninstall never write through a link, and refuse a directory that another user can write to, an unsuitable file in
// the place of a program, and a configuration that they have not written; nothing is changed then
func TestConfiguration(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	check(t, os.MkdirAll(n.conf, 0o755))
	installed := filepath.Join(n.conf, "10-bridge.conflist")
	check(t, os.WriteFile(installed, []byte(`{"name": "mine"}`), 0o600))
	n.refused(t, []string{"10-bridge.conflist: file that patchbay install has not written, or that was edited since; remove or rename it"}, "install", "--conf", n.given(t))
	check(t, os.Remove(installed))
	check(t, os.Symlink(top+"/outside", installed))
	n.refused(t, []string{"10-bridge.conflist: symbolic link that leads out of the directory"}, "install", "--conf", n.given(t))
	check(t, os.Remove(installed))
	for file, want := range map[string]string{
		"conf/README.md":                 "not a network configuration: runtimes read files that end in .conflist, .conf or .json",
		"test/cli/install/nosuch.conf":   "no such file",
		"test/repo/parity/testdata":      "not a network configuration",
		"scripts/tools/go.mod":           "not a network configuration",
		"conf/kubernetes/../README.conf": "no such file",
	} {
		path, err := filepath.Abs("../../../" + file)
		check(t, err)
		n.refused(t, []string{want}, "install", "--conf", path)
	}
	bad := filepath.Join(t.TempDir(), "bad.conflist")
	check(t, os.WriteFile(bad, []byte(`{"cniVersion": "1.0.0", "plugins": []}`), 0o600))
	n.refused(t, []string{"not a network configuration: it has no name, or no plugin"}, "install", "--conf", bad)

	n.ok(t, "install", "--conf", n.given(t))
	other := filepath.Join(t.TempDir(), "10-bridge.conflist")
	check(t, os.WriteFile(other, []byte(`{"cniVersion": "1.0.0", "name": "bridge", "plugins": [{"type": "patchbay"}]}`), 0o600))
	expect.Equal(t, "new content", n.ok(t, "install", "--conf", other), []string{"already installed /opt/cni/bin/patchbay", "replaced /etc/cni/net.d/10-bridge.conflist"})
	check(t, os.WriteFile(installed, []byte(`{"name": "edited"}`), 0o600))
	n.refused(t, []string{"or that was edited since"}, "install", "--conf", n.given(t))
	edited := describe(t, installed)
	expect.Equal(t, "uninstall", n.ok(t, "uninstall"), []string{
		"left /etc/cni/net.d/10-bridge.conflist which was edited since it was installed", "deleted /opt/cni/bin/patchbay",
		"deleted /opt/cni/bin/.patchbay", "deleted /opt/cni/bin", "deleted /opt/cni", "deleted /opt",
	})
	expect.Equal(t, "edited file", describe(t, installed), edited)
}

// TestLocked: two installations at a time are refused.
//
// Claim: install and uninstall never write through a link, and refuse a directory that another user can write to, an unsuitable file in
// the place of a program, and a configuration that they have not written; nothing is changed then
func TestLocked(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	n.ok(t, "install")
	held, err := os.Open(n.bin)
	check(t, err)
	defer held.Close()
	check(t, unix.Flock(int(held.Fd()), unix.LOCK_EX))
	n.refused(t, []string{"another install or uninstall is running"}, "install", "--drop-in")
	n.refused(t, []string{"another install or uninstall is running"}, "uninstall")
	n.ok(t, "uninstall", "--dry-run")
}
