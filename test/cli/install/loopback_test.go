package install

import (
	"os"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// TestLoopback: without the plugin loopback, install --loopback installs this program as it, another version replaces it, and uninstall deletes it.
//
// Claim: `patchbay install --loopback` installs the program as loopback if no other program has installed one, and leaves one that another program
// has installed before or since
func TestLoopback(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	check(t, os.MkdirAll(n.bin, 0o755))
	before := state(t, n.root)
	expect.Equal(t, "install", n.ok(t, "install", "--loopback"), []string{"created /opt/cni/bin/patchbay", "created /opt/cni/bin/loopback"})
	n.installed(t, "patchbay", "loopback")
	n.otherBuild(t)
	expect.Equal(t, "another version", n.ok(t, "install", "--loopback"), []string{"replaced /opt/cni/bin/patchbay", "replaced /opt/cni/bin/loopback"})
	n.installed(t, "patchbay", "loopback")
	expect.Equal(t, "once more", n.ok(t, "install"), []string{"already installed /opt/cni/bin/patchbay", "already installed /opt/cni/bin/loopback"})
	expect.Equal(t, "uninstall", n.ok(t, "uninstall"), []string{
		"deleted /opt/cni/bin/loopback", "deleted /opt/cni/bin/patchbay", "deleted /opt/cni/bin/.patchbay",
	})
	expect.Equal(t, "files after uninstall", state(t, n.root), before)
}

// TestLoopbackOfOthers: a loopback of another program stays as it is: a file, a link within the directory, one that leads out of it, and a file that
// has replaced the installed one. A drop-in keeps it aside, as every other name.
//
// Claim: `patchbay install --loopback` installs the program as loopback if no other program has installed one, and leaves one that another program
// has installed before or since
func TestLoopbackOfOthers(t *testing.T) {
	t.Parallel()
	left, reference := "left /opt/cni/bin/loopback of another program", nettest.Program(t, "loopback")
	for name, put := range map[string]func(t *testing.T, n *node){
		"file":              func(t *testing.T, n *node) { n.copyFile(t, reference, n.at("loopback")) },
		"link":              func(t *testing.T, n *node) { check(t, os.Symlink("all-in-one", n.at("loopback"))) },
		"link out of there": func(t *testing.T, n *node) { check(t, os.Symlink("/var/lib/other/cni", n.at("loopback"))) },
		"file that has replaced it": func(t *testing.T, n *node) {
			n.ok(t, "install", "--loopback")
			check(t, os.Remove(n.at("loopback")))
			n.copyFile(t, reference, n.at("loopback"))
			n.sick(t)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := newNode(t)
			check(t, os.MkdirAll(n.bin, 0o755))
			put(t, n)
			before := describe(t, n.at("loopback"))
			expect.Equal(t, "install", n.ok(t, "install", "--loopback")[1], left)
			expect.Equal(t, "install again", n.ok(t, "install", "--loopback")[1], left)
			expect.Equal(t, "without the option", len(n.ok(t, "install")), 1)
			expect.Equal(t, "loopback", describe(t, n.at("loopback")), before)
			n.ok(t, "uninstall")
			expect.Equal(t, "loopback after uninstall", describe(t, n.at("loopback")), before)
		})
	}
}

// TestLoopbackDropIn: a drop-in also takes the name that --loopback has installed, and from then on keeps aside what replaces it.
func TestLoopbackDropIn(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	check(t, os.MkdirAll(n.bin, 0o755))
	n.ok(t, "install", "--loopback")
	n.ok(t, "install", "--drop-in", "--loopback")
	n.installed(t, append(names(), "patchbay")...)
	check(t, os.Remove(n.at("loopback")))
	n.copyFile(t, nettest.Program(t, "loopback"), n.at("loopback"))
	before := describe(t, n.at("loopback"))
	n.ok(t, "install", "--loopback")
	n.installed(t, append(names(), "patchbay")...)
	n.ok(t, "uninstall")
	expect.Equal(t, "loopback after uninstall", describe(t, n.at("loopback")), before)
}
