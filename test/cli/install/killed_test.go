package install

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/faults/networks"
	"github.com/patchbay-cni/patchbay/test/faults/stepper"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// small fills the directory of plugins with two originals: a file and a link.
func (n *node) small(t testing.TB) {
	t.Helper()
	check(t, os.MkdirAll(n.bin, 0o755))
	check(t, os.WriteFile(n.at("bridge"), []byte("the reference plugin"), 0o750))
	check(t, os.Symlink("bridge", n.at("host-local")))
}

// step runs a command, and does something at each changing call, and after the last one.
func (n *node) step(t testing.TB, watch func(stepper.Step) stepper.Act, command string, more ...string) stepper.Ending {
	t.Helper()
	var ending stepper.Ending
	var err error
	n.Do(func() {
		ending, err = stepper.Run(stepper.Program{Path: n.program, Args: n.args(command, more...), Env: []string{"GOMAXPROCS=1"}}, watch)
	})
	check(t, err)
	return ending
}

// goOn watches a program that is not disturbed.
func goOn(stepper.Step) stepper.Act { return stepper.Go() }

// killAt kills a program before its nth changing call.
func killAt(nth int) func(stepper.Step) stepper.Act {
	return func(s stepper.Step) stepper.Act {
		if s.N == nth && !s.After {
			return stepper.Signal(syscall.SIGKILL)
		}
		return stepper.Go()
	}
}

// failAt makes the nth changing call of a program fail.
func failAt(nth int, errno syscall.Errno) func(stepper.Step) stepper.Act {
	return func(s stepper.Step) stepper.Act {
		if s.N == nth && !s.After {
			return stepper.Fail(errno)
		}
		return stepper.Go()
	}
}

// whole requires that each name in the directory of plugins leads to a whole file: one that was there before, or the program.
func (n *node) whole(t testing.TB, before map[string]string) {
	t.Helper()
	ours := hashOf(t, n.program)
	for path, found := range state(t, n.bin) {
		info, err := os.Stat(filepath.Join(n.bin, path))
		if filepath.Dir(path) != "/" || err == nil && info.IsDir() || found == before["/opt/cni/bin"+path] {
			continue
		}
		if err != nil || !slices.Contains([]string{ours, n.former}, hashOf(t, filepath.Join(n.bin, path))) || info.Mode() != 0o755 {
			t.Errorf("%s is neither the original nor the program: %s", path, found)
		}
	}
}

// lost lists the names of before that no longer lead to anything.
func lost(before, now map[string]string) (names []string) {
	for path := range before {
		if _, ok := now[path]; !ok {
			names = append(names, path)
		}
	}
	return names
}

// disturbed is a case: a command that is killed, or whose call fails, and what is done after it.
type disturbed struct {
	command string // install, upgrade or uninstall
	watch   func(stepper.Step) stepper.Act
	again   bool // the command, before uninstall
	exits   bool // the command ends by itself
}

// run disturbs the command on a node, and requires that uninstall restores everything.
func (d disturbed) run(t testing.TB) {
	n := newNode(t)
	n.small(t)
	given := n.given(t)
	before := state(t, n.root)
	command, args := n.prepare(t, d.command)
	ending := n.step(t, d.watch, command, args...)
	if d.exits && ending.Exit != 0 && ending.Exit != 1 || ending.TimedOut {
		t.Errorf("exit %d\n%s%s", ending.Exit, ending.Stdout, ending.Stderr)
	}
	n.whole(t, before)
	if gone := lost(before, state(t, n.root)); len(gone) > 0 {
		t.Errorf("gone in between: %q", gone)
	}
	if d.again {
		n.ok(t, "install", "--drop-in", "--conf", given)
		n.installed(t, append(names(), "patchbay")...)
	}
	n.ok(t, "uninstall")
	after := state(t, n.root)
	maps.DeleteFunc(after, func(path, _ string) bool { // without a manifest nobody knows who made empty directories
		return before[path] == "" && (path == "/etc" || path == "/etc/cni" || path == "/etc/cni/net.d")
	})
	expect.Equal(t, "files after uninstall", after, before)
}

// prepare brings a node into the state in which a command is disturbed, and returns the command's arguments.
func (n *node) prepare(t testing.TB, what string) (command string, args []string) {
	t.Helper()
	args = []string{"--drop-in", "--conf", n.given(t)}
	if what != "install" {
		n.ok(t, "install", args...)
	}
	switch what {
	case "upgrade":
		n.former = hashOf(t, n.program)
		n.otherBuild(t)
		return "install", args
	case "uninstall":
		return "uninstall", nil
	}
	return "install", args
}

// changing returns the changing calls of a command on a new node, of several writes of a file the first.
func changing(t *testing.T, command string) []stepper.Call {
	t.Helper()
	n := newNode(t)
	n.small(t)
	name, args := n.prepare(t, command)
	ending := n.step(t, goOn, name, args...)
	if ending.Exit != 0 {
		t.Fatalf("%s: exit %d\n%s", command, ending.Exit, ending.Stderr)
	}
	n.ok(t, "uninstall")
	var calls []stepper.Call
	for _, call := range ending.Changing() {
		if len(calls) == 0 || call.Text != calls[len(calls)-1].Text { // the writes of one file
			calls = append(calls, call)
		}
	}
	return calls
}

// TestKilled kills install, an upgrade and uninstall before each system call that changes something. At any point every name leads to a whole
// program, and uninstall, alone or after install, restores the directory.
//
// Claim: Killed at any system call, or with one that fails, install and uninstall leave whole programs, and the next install or uninstall
// completes them
func TestKilled(t *testing.T) {
	t.Parallel()
	nettest.Root(t)
	var cases []networks.Case
	for _, command := range []string{"install", "upgrade", "uninstall"} {
		calls := changing(t, command)
		t.Logf("%s: %d changing calls", command, len(calls))
		if len(calls) < 30 {
			t.Errorf("%s has %d changing calls: they are no longer recognized", command, len(calls))
		}
		for _, call := range calls {
			for _, again := range []bool{true, false} {
				d := disturbed{command: command, watch: killAt(call.N), again: again}
				cases = append(cases, networks.Case{Name: fmt.Sprintf("%s killed before call %d, %s, install again %v", command, call.N, call.Text, again), Run: d.run})
			}
		}
	}
	networks.RunCases(t, sample(cases), 4)
}

// TestFailingCall makes each of these calls fail.
//
// Claim: Killed at any system call, or with one that fails, install and uninstall leave whole programs, and the next install or uninstall
// completes them
func TestFailingCall(t *testing.T) {
	t.Parallel()
	nettest.Root(t)
	var cases []networks.Case
	for _, command := range []string{"install", "upgrade", "uninstall"} {
		for _, call := range changing(t, command) {
			d := disturbed{command: command, watch: failAt(call.N, syscall.ENOSPC), exits: true}
			cases = append(cases, networks.Case{Name: fmt.Sprintf("%s with ENOSPC for call %d, %s", command, call.N, call.Text), Run: d.run})
		}
	}
	networks.RunCases(t, sample(cases), 4)
}

// sample returns every 47th case, because all names are installed by the same six calls. INSTALL_CASES=all runs all.
func sample(cases []networks.Case) (some []networks.Case) {
	if os.Getenv("INSTALL_CASES") == "all" {
		return cases
	}
	for i, c := range cases {
		if i%47 == 0 {
			some = append(some, c)
		}
	}
	return some
}
