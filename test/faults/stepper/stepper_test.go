package stepper

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// shell runs a line of sh in a temporary directory.
func shell(t *testing.T, line string, watch func(Step) Act) (Ending, string) {
	t.Helper()
	nettest.Root(t)
	dir := t.TempDir()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	e, err := Run(Program{Path: "/bin/sh", Args: []string{"-c", "cd " + dir + "; " + line}, Stdin: []byte("in\n"), Limit: 20 * time.Second}, watch)
	if err != nil {
		t.Fatal(err)
	}
	return e, dir
}

func goOnAlways(Step) Act { return Go() }

// at returns act at one step of the nth changing call.
func at(n int, after bool, act Act) func(Step) Act {
	return func(s Step) Act {
		if s.N == n && s.After == after {
			return act
		}
		return Go()
	}
}

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	out := []string{}
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}

// TestChangingCallsAreListed: in order, with paths, and without other calls.
//
// Claim: The crash and fault harnesses stop a program at the calls they name
func TestChangingCallsAreListed(t *testing.T) {
	e, dir := shell(t, "read x; echo $x >a; echo more >>a; echo out", goOnAlways)
	var got []string
	for i, c := range e.Changing() {
		expect.Equal(t, "number", c.N, i+1)
		got = append(got, strings.ReplaceAll(c.Text, dir, "DIR"))
	}
	expect.Equal(t, "calls", got, []string{
		"open a create truncate", "write DIR/a", "open a create", "write DIR/a", "write standard output",
	})
	expect.Equal(t, "exit", e.Exit, 0)
	expect.Equal(t, "output", string(e.Stdout), "out\n")
	text, _ := os.ReadFile(filepath.Join(dir, "a"))
	expect.Equal(t, "a", string(text), "in\nmore\n")
}

// TestKillBeforeACallLeavesItUnmade: a call is not made if the kill comes before it; later calls never are.
//
// Claim: The crash and fault harnesses stop a program at the calls they name
func TestKillBeforeACallLeavesItUnmade(t *testing.T) {
	for _, tt := range []struct {
		after bool
		want  []string
	}{{false, []string{"a"}}, {true, []string{"a", "b"}}} {
		e, dir := shell(t, ": >a; : >b; : >c", at(2, tt.after, Signal(syscall.SIGKILL)))
		expect.Equal(t, "signal", e.Signal, syscall.SIGKILL)
		expect.Equal(t, "exit", e.Exit, -1)
		expect.Equal(t, "files", names(t, dir), tt.want)
	}
}

// TestSignalReachesTheProgram: the program handles the signal and continues.
//
// Claim: The crash and fault harnesses stop a program at the calls they name
func TestSignalReachesTheProgram(t *testing.T) {
	e, dir := shell(t, "trap ': >caught' TERM; : >a; : >b", at(1, false, Signal(syscall.SIGTERM)))
	expect.Equal(t, "exit", e.Exit, 0)
	expect.Equal(t, "files", names(t, dir), []string{"a", "b", "caught"})
}

// TestFailedCallIsNotMade: a failed call returns the error and changes nothing.
//
// Claim: The crash and fault harnesses stop a program at the calls they name
func TestFailedCallIsNotMade(t *testing.T) {
	var result int
	e, dir := shell(t, ": >a || :; : >b", func(s Step) Act {
		if s.N == 1 && s.After {
			result = s.Result
		}
		return at(1, false, Fail(syscall.ENOSPC))(s)
	})
	expect.Equal(t, "result", result, -int(syscall.ENOSPC))
	expect.Equal(t, "files", len(names(t, dir)), 0) // sh ends when a redirection of : fails
	if !strings.Contains(string(e.Stderr), "No space left") {
		t.Errorf("sh said %q", e.Stderr)
	}
}

// TestLimitEndsAProgramThatHangs: the program is killed at its limit.
func TestLimitEndsAProgramThatHangs(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	nettest.Root(t)
	e, err := Run(Program{Path: "/bin/sleep", Args: []string{"100"}, Limit: 50 * time.Millisecond}, goOnAlways)
	if err != nil {
		t.Fatal(err)
	}
	expect.Equal(t, "ended at its limit", e.TimedOut && e.Signal == syscall.SIGKILL, true)
}

// link runs `ip` on a new host with an act at the request want, and returns the links of the host.
func link(t *testing.T, want string, act Act, args ...string) (Ending, []string) {
	t.Helper()
	nettest.Need(t, nettest.Tool("ip"))
	h := nettest.Host(t)
	h.NoOracle("the test creates links on purpose")
	var e Ending
	var err error
	h.Do(func() {
		e, err = Run(Program{Path: ipPath(t), Args: args}, func(s Step) Act {
			if s.Kind == Request && !s.After && strings.HasPrefix(s.Text, want) {
				return act
			}
			return Go()
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return e, strings.Fields(h.Run(t, "sh", "-c", "ls /sys/class/net 2>/dev/null; ip -o link show type bridge | cut -d: -f2"))
}

func ipPath(t *testing.T) string {
	t.Helper()
	for _, path := range []string{"/sbin/ip", "/usr/sbin/ip", "/bin/ip", "/usr/bin/ip"} {
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	t.Fatal("no ip")
	return ""
}

// TestNetlinkRequestsAreRead: requests are described, and can be refused, or executed with the reply lost or interrupted.
//
// Claim: The crash and fault harnesses stop a program at the calls they name
func TestNetlinkRequestsAreRead(t *testing.T) {
	add := []string{"link", "add", "brtest", "mtu", "1400", "type", "bridge"}
	tests := []struct {
		name   string
		act    Act
		made   bool
		stderr string
	}{
		{"unchanged", Go(), true, ""},
		{"refused", Refuse(syscall.EBUSY), false, "RTNETLINK answers: Device or resource busy"},
		{"reply lost", LoseReply(), true, "No buffer space available"},
		{"reply interrupted", InterruptReply(), true, ""},
		{"not sent", Fail(syscall.ENOMEM), false, "Cannot allocate memory"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e, links := link(t, "RTM_NEWLINK create brtest", tt.act, add...)
			expect.Equal(t, "made", slices.Contains(links, "brtest"), tt.made)
			if !strings.Contains(string(e.Stderr), tt.stderr) || tt.stderr == "" && len(e.Stderr) > 0 {
				t.Errorf("ip said %q, want %q", e.Stderr, tt.stderr)
			}
			changes := e.Changing()
			expect.Equal(t, "change", changes[len(changes)-1].Text, "RTM_NEWLINK create brtest [mtu, linkinfo]")
		})
	}
}

// TestGoProgramHasTheSameCallsEachTime: the calls have the same order in each run, on whichever threads the Go runtime makes them.
//
// Claim: The crash and fault harnesses stop a program at the calls they name
func TestGoProgramHasTheSameCallsEachTime(t *testing.T) {
	nettest.Root(t)
	conf := `{"cniVersion":"1.1.0","name":"net","type":"patchbay","bridge":"cni0","isGateway":true,"ipam":{"type":"patchbay","ranges":[[{"subnet":"10.1.0.0/24"}]]}}`
	var first []string
	for i := range 5 {
		h := nettest.Host(t)
		h.NoOracle("the attachment is deleted with its host")
		c := h.Container("c")
		var e Ending
		var err error
		h.Do(func() {
			env := []string{"CNI_COMMAND=ADD", "CNI_CONTAINERID=" + c.ID(), "CNI_NETNS=" + c.Path(), "CNI_IFNAME=eth0", "CNI_PATH=/nowhere"}
			e, err = Run(Program{Path: nettest.Patchbay(t), Stdin: []byte(conf), Env: env}, goOnAlways)
		})
		if err != nil || e.Exit != 0 {
			t.Fatalf("%v: %s%s", err, e.Stdout, e.Stderr)
		}
		var calls []string
		for _, call := range e.Changing() {
			calls = append(calls, call.Text)
		}
		if i == 0 {
			first = calls
		}
		expect.Equal(t, "calls", calls, first)
	}
	if len(first) < 10 || first[len(first)-1] != "write standard output" {
		t.Errorf("calls are missing: %q", first)
	}
}
