// Package dropin makes directories of CNI plugins in which `patchbay install --drop-in` has replaced the reference plugins, for tests of
// callers with their own configurations.
package dropin

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// plugins are the reference plugins of the directory.
func plugins() []string {
	return []string{"bridge", "host-local", "portmap", "firewall", "bandwidth", "tuning", "sbr", "loopback", "static"}
}

// New returns a directory with the program under the names of the reference plugins, which it replaced. When the test ends, `patchbay uninstall`
// must restore the directory byte for byte. Other names are plugins of other projects: the reference plugin tuning, which without keys of its
// own passes the result on, as they do.
func New(t testing.TB, others ...string) string {
	t.Helper()
	nettest.Root(t)
	dir := t.TempDir()
	for _, name := range plugins() {
		Copy(t, name, dir, name)
	}
	for _, name := range others {
		Copy(t, "tuning", dir, name)
	}
	Install(t, dir)
	return dir
}

// Install replaces the reference plugins of another directory. When the test ends, `patchbay uninstall` must restore it byte for byte.
func Install(t testing.TB, dir string) {
	t.Helper()
	nettest.Root(t)
	before := state(t, dir)
	run(t, "install", "--drop-in", "--bin-dir", dir)
	t.Cleanup(func() {
		run(t, "uninstall", "--bin-dir", dir)
		expect.Equal(t, "files after uninstall", state(t, dir), before)
	})
}

// Copy copies a program of .cache/bin into a directory under a name.
func Copy(t testing.TB, program, dir, name string) {
	t.Helper()
	CopyProgram(t, nettest.Program(t, program), filepath.Join(dir, name))
}

// CopyProgram copies a program to another path.
func CopyProgram(t testing.TB, from, to string) {
	t.Helper()
	text, err := os.ReadFile(from)
	if err == nil {
		err = nettest.WriteProgram(to, text)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// run runs a command of patchbay.
func run(t testing.TB, args ...string) {
	t.Helper()
	out, err := exec.Command(nettest.Patchbay(t), args...).CombinedOutput()
	if err != nil {
		t.Fatalf("patchbay %q: %v\n%s", args, err, out)
	}
}

// state describes the files in a directory: mode, time of the last write, and content.
func state(t testing.TB, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		all[e.Name()] = fmt.Sprint(info.Mode(), info.ModTime().UnixNano())
		if info.Mode().IsRegular() {
			text, err := os.ReadFile(filepath.Join(dir, e.Name()))
			if err != nil {
				t.Fatal(err)
			}
			all[e.Name()] += fmt.Sprintf(" %x", sha256.Sum256(text))
		}
		if target, err := os.Readlink(filepath.Join(dir, e.Name())); err == nil {
			all[e.Name()] += " to " + target
		}
	}
	return all
}
