package install

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// conf is a configuration of the repository.
const conf = "../../../conf/bridge.conflist"

// given returns the absolute path of conf.
func (n *node) given(t testing.TB) string {
	t.Helper()
	path, err := filepath.Abs(conf)
	check(t, err)
	return path
}

// TestFresh: where nothing is installed, install creates the directories, and uninstall deletes them again.
//
// Claim: `patchbay install` copies the running program, and its configuration, and says so line by line; `uninstall` leaves nothing
func TestFresh(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	before := state(t, n.root)
	expect.Equal(t, "install", n.ok(t, "install", "--conf", n.given(t)), []string{
		"created /opt", "created /opt/cni", "created /opt/cni/bin", "created /etc", "created /etc/cni", "created /etc/cni/net.d",
		"created /opt/cni/bin/patchbay", "created /etc/cni/net.d/10-bridge.conflist",
	})
	n.installed(t, "patchbay")
	want, err := os.ReadFile(conf)
	check(t, err)
	got, err := os.ReadFile(filepath.Join(n.conf, "10-bridge.conflist"))
	check(t, err)
	expect.Equal(t, "configuration", string(got), string(want))
	expect.Equal(t, "uninstall", n.ok(t, "uninstall"), []string{
		"deleted /etc/cni/net.d/10-bridge.conflist", "deleted /opt/cni/bin/patchbay", "deleted /opt/cni/bin/.patchbay",
		"deleted /etc/cni/net.d", "deleted /etc/cni", "deleted /etc", "deleted /opt/cni/bin", "deleted /opt/cni", "deleted /opt",
	})
	expect.Equal(t, "files after uninstall", state(t, n.root), before)
	expect.Equal(t, "uninstall again", n.ok(t, "uninstall"), []string{"nothing is installed in /opt/cni/bin"})
}

// TestDropIn: over the reference plugins, a second run changes nothing, and uninstall restores each file with content,
// mode, owner, times and extended attributes.
//
// Claim: `patchbay install --drop-in` replaces the reference plugins and `uninstall` gives them back byte for byte, with mode, owner and times
func TestDropIn(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	n.reference(t)
	before := state(t, n.root)
	lines := n.ok(t, "install", "--drop-in")
	expect.Equal(t, "lines", lines[:3], []string{
		"created /opt/cni/bin/patchbay",
		"kept /opt/cni/bin/loopback as /opt/cni/bin/.patchbay/originals/loopback",
		"replaced /opt/cni/bin/loopback",
	})
	n.installed(t, append(names(), "patchbay")...)
	for _, name := range names() {
		expect.Equal(t, "original of "+name, describe(t, n.at(".patchbay/originals/"+name)), before["/opt/cni/bin/"+name])
	}
	expect.Equal(t, "macvlan", describe(t, n.at("macvlan")), before["/opt/cni/bin/macvlan"])
	between := state(t, n.root)
	for _, line := range n.ok(t, "install", "--drop-in") {
		if !strings.HasPrefix(line, "already installed /opt/cni/bin/") {
			t.Errorf("second install: %s", line)
		}
	}
	expect.Equal(t, "files after the second install", state(t, n.root), between)
	removed := n.ok(t, "uninstall")
	expect.Contains(t, strings.Join(removed, "\n"), "restored /opt/cni/bin/bridge from /opt/cni/bin/.patchbay/originals/bridge\n")
	expect.Equal(t, "files after uninstall", state(t, n.root), before)
}

// TestDryRun: a dry run prints what the command prints after it, with another verb, and changes nothing.
//
// Claim: `--dry-run` of install and uninstall prints exactly what would be done and changes nothing
func TestDryRun(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	n.reference(t)
	check(t, os.Remove(n.at("sbr")))
	for _, step := range [][]string{{"install", "--drop-in", "--conf", n.given(t)}, {"install", "--drop-in"}, {"uninstall"}, {"uninstall"}} {
		before := state(t, n.root)
		dry := n.ok(t, step[0], append(step[1:], "--dry-run")...)
		expect.Equal(t, "files after a dry run", state(t, n.root), before)
		for i, line := range dry {
			for done, would := range map[string]string{"created ": "would create ", "replaced ": "would replace ", "kept ": "would keep ", "restored ": "would restore ", "deleted ": "would delete "} {
				if rest, ok := strings.CutPrefix(line, would); ok {
					dry[i] = done + rest
				}
			}
		}
		expect.Equal(t, strings.Join(step, " "), n.ok(t, step[0], step[1:]...), dry)
	}
}

// TestJSON: the output for programs.
//
// Claim: `patchbay install` copies the running program, and its configuration, and says so line by line; `uninstall` leaves nothing
func TestJSON(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	n.reference(t)
	var got struct {
		DryRun bool
		Done   []map[string]string
	}
	check(t, json.Unmarshal([]byte(n.run(t, "install", "--drop-in", "--dry-run", "-o", "json").stdout), &got))
	if !got.DryRun || len(got.Done) != 19 {
		t.Errorf("%d changes, want 19; dryRun %v", len(got.Done), got.DryRun)
	}
	expect.Equal(t, "a change", got.Done[1], map[string]string{
		"action": "kept", "path": n.inside(n.at("loopback")), "note": "as " + n.inside(n.at(".patchbay/originals/loopback")),
	})
}

// TestBusy: programs that run are replaced and restored, and run on.
//
// Claim: A program that is running is replaced and restored without an error, and runs on
func TestBusy(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	n.reference(t)
	sleep, err := exec.LookPath("sleep")
	check(t, err)
	n.copyFile(t, sleep, n.at("bridge"))
	before := state(t, n.root)
	reference := n.start(t, "bridge", "600")
	n.ok(t, "install", "--drop-in")
	// A verb waits for its configuration, the program for the end of the script's input.
	ours := n.start(t, "host-local")
	own := n.start(t, "patchbay")
	n.otherBuild(t)
	n.ok(t, "install", "--drop-in")
	n.installed(t, "bridge", "host-local", "patchbay")
	n.ok(t, "uninstall")
	expect.Equal(t, "files after uninstall", state(t, n.root), before)
	for _, p := range []*nettest.Cmd{reference, ours, own} {
		if err := p.Process.Signal(unix.Signal(0)); err != nil {
			t.Errorf("%s does not run any more: %v", p.Path, err)
		}
	}
}

// start starts a program of the node that runs until the test ends: stdin stays open, and a verb reads it to its end.
func (n *node) start(t *testing.T, name string, args ...string) *nettest.Cmd {
	t.Helper()
	cmd := n.Command(n.inside(n.at(name)), args...)
	cmd.Env = []string{"CNI_COMMAND=ADD"}
	_, err := cmd.StdinPipe()
	check(t, err)
	check(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
	})
	return cmd
}

// TestUpgrade: another build replaces all names that the first one has installed, and the originals stay.
//
// Claim: Another version replaces what the first one installed, by the hashes of the manifest, and the originals stay
func TestUpgrade(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	n.reference(t)
	before := state(t, n.root)
	n.ok(t, "install", "--drop-in")
	n.otherBuild(t)
	lines := n.ok(t, "install") // without --drop-in: what is installed is upgraded
	want := []string{"replaced /opt/cni/bin/patchbay"}
	for _, name := range names() {
		want = append(want, "replaced /opt/cni/bin/"+name)
	}
	expect.Equal(t, "upgrade", lines, want)
	n.installed(t, append(names(), "patchbay")...)
	n.ok(t, "uninstall")
	expect.Equal(t, "files after uninstall", state(t, n.root), before)
}

// TestPackageUpgrade: a package that puts newer reference plugins in place is noticed: install keeps them aside instead of
// the old ones, uninstall leaves them.
//
// Claim: A file that has replaced an installed one, as a package upgrade does, is kept by install, left by uninstall, and reported by both
// Claim: doctor reports names of a drop-in that another file has replaced, or that were deleted
func TestPackageUpgrade(t *testing.T) {
	t.Parallel()
	for _, again := range []bool{true, false} {
		t.Run(fmt.Sprint("installed again ", again), func(t *testing.T) {
			t.Parallel()
			n := newNode(t)
			n.reference(t)
			n.ok(t, "install", "--drop-in")
			check(t, os.WriteFile(n.at("bridge.new"), []byte("newer"), 0o750))
			check(t, os.Rename(n.at("bridge.new"), n.at("bridge")))
			check(t, os.WriteFile(n.at("tuning"), []byte("newer, written in place"), 0o750)) // as cp -f
			newer := []string{describe(t, n.at("bridge")), describe(t, n.at("tuning"))}
			n.installed(t, "patchbay", "portmap") // no other name was written to
			n.sick(t, "another file has replaced "+top+"/opt/cni/bin/bridge", "another file has replaced "+top+"/opt/cni/bin/tuning", "patchbay install --bin-dir "+top+"/opt/cni/bin")
			if again {
				lines := strings.Join(n.ok(t, "install"), "\n")
				expect.Contains(t, lines, "kept /opt/cni/bin/bridge as /opt/cni/bin/.patchbay/originals/bridge: it has replaced the installed one\nreplaced /opt/cni/bin/bridge\n")
				n.installed(t, names()...)
				n.sick(t)
			}
			lines := strings.Join(n.ok(t, "uninstall"), "\n")
			if !again {
				expect.Contains(t, lines, "left /opt/cni/bin/bridge which has replaced the installed one\ndeleted /opt/cni/bin/.patchbay/originals/bridge because its name has another file by now\n")
			}
			expect.Equal(t, "bridge and tuning", []string{describe(t, n.at("bridge")), describe(t, n.at("tuning"))}, newer)
			if _, err := os.Lstat(n.at(".patchbay")); err == nil {
				t.Error(".patchbay is left")
			}
		})
	}
}

// TestDeletedProgram: a deleted name gets its original back.
//
// Claim: A file that has replaced an installed one, as a package upgrade does, is kept by install, left by uninstall, and reported by both
// Claim: doctor reports names of a drop-in that another file has replaced, or that were deleted
func TestDeletedProgram(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	n.reference(t)
	before := state(t, n.root)
	n.ok(t, "install", "--drop-in")
	check(t, os.Remove(n.at("bridge")))
	check(t, os.Remove(n.at("patchbay")))
	n.sick(t, top+"/opt/cni/bin/bridge was deleted", top+"/opt/cni/bin/patchbay was deleted")
	n.ok(t, "uninstall")
	n.sick(t)
	expect.Equal(t, "files after uninstall", state(t, n.root), before)
}

// TestBuildKit: BuildKit's names are installed where they exist, or all of them with the flag.
//
// Claim: `patchbay install --drop-in` replaces the reference plugins and `uninstall` gives them back byte for byte, with mode, owner and times
func TestBuildKit(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	n.reference(t)
	n.copyFile(t, nettest.Program(t, "bridge"), n.at("buildkit-cni-bridge"))
	before := state(t, n.root)
	n.ok(t, "install", "--drop-in")
	n.installed(t, "buildkit-cni-bridge")
	have := func() (found []string) {
		entries, err := filepath.Glob(n.at("buildkit-cni-*"))
		check(t, err)
		for _, path := range entries {
			found = append(found, filepath.Base(path))
		}
		return found
	}
	expect.Equal(t, "names of BuildKit", have(), []string{"buildkit-cni-bridge"})
	n.ok(t, "install", "--drop-in", "--buildkit")
	expect.Equal(t, "names of BuildKit with the flag", len(have()), len(names()))
	n.ok(t, "uninstall")
	expect.Equal(t, "files after uninstall", state(t, n.root), before)
	if a := n.run(t, "install", "--buildkit"); a.exit != 1 || a.stderr != "patchbay: --buildkit needs --drop-in\n" {
		t.Errorf("--buildkit alone: exit %d, %s", a.exit, a.stderr)
	}
}

// TestLinkToProgram: a package has a link to the program in the directory of another distribution's runtimes. It stays, for install and for uninstall.
//
// Claim: `patchbay install --drop-in` works beside a link to the running program with its own name, and leaves it
func TestLinkToProgram(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	n.reference(t)
	check(t, os.Symlink(n.program, n.at("patchbay")))
	before := state(t, n.root)
	expect.Equal(t, "first line", n.ok(t, "install", "--drop-in")[0], "already installed /opt/cni/bin/patchbay as a link to this program")
	n.installed(t, names()...)
	expect.Equal(t, "the link", describe(t, n.at("patchbay")), before["/opt/cni/bin/patchbay"])
	n.ok(t, "install", "--drop-in")
	n.ok(t, "uninstall")
	expect.Equal(t, "files after uninstall", state(t, n.root), before)

	check(t, os.Remove(n.at("patchbay")))
	n.ok(t, "install")
	n.installed(t, "patchbay")
	check(t, os.Remove(n.at("patchbay")))
	check(t, os.Symlink(n.program, n.at("patchbay"))) // by a package, over the copy
	n.ok(t, "install")
	n.ok(t, "uninstall")
	expect.Equal(t, "files after the link has replaced a copy", state(t, n.root), before)
}
