package stepper

import (
	"strings"
	"syscall"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// TestStartedProgramIsFollowed: the changes of a child process are listed among the others.
//
// Claim: The crash and fault harnesses stop a program at the calls they name
func TestStartedProgramIsFollowed(t *testing.T) {
	e, dir := shell(t, "/bin/sh -c ': >b'; : >a", goOnAlways)
	var got []string
	for _, c := range e.Changing() {
		got = append(got, c.Text)
	}
	expect.Equal(t, "calls", got, []string{"start a process", "child: exec sh", "child: open b create truncate", "open a create truncate"})
	expect.Equal(t, "files", names(t, dir), []string{"a", "b"})
}

// TestKillAtACallOfAStartedProgram: the signal goes to the main program only; the child continues after its end, unless it is killed with it.
//
// Claim: The crash and fault harnesses stop a program at the calls they name
func TestKillAtACallOfAStartedProgram(t *testing.T) {
	e, dir := shell(t, "/bin/sh -c ': >b; : >c'; : >a", at(3, false, Signal(syscall.SIGKILL)))
	expect.Equal(t, "signal", e.Signal, syscall.SIGKILL)
	expect.Equal(t, "files", names(t, dir), []string{"b", "c"})
}

// TestTransactionsAreRead: nftables transactions are described, and refused as the kernel does it.
//
// Claim: The crash and fault harnesses stop a program at the calls they name
func TestTransactionsAreRead(t *testing.T) {
	nettest.Need(t, nettest.Tool("nft"), nettest.NFTables)
	for _, tt := range []struct {
		name   string
		act    Act
		made   bool
		stderr string
	}{
		{"unchanged", Go(), true, ""},
		{"refused", Refuse(syscall.EBUSY), false, "Device or resource busy"},
		{"refused as a whole", Refuse(syscall.ENOMEM), false, "Cannot allocate memory"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := nettest.Host(t)
			h.NoOracle("the test creates a table on purpose")
			var e Ending
			var err error
			h.Do(func() {
				e, err = Run(Program{Path: "/usr/sbin/nft", Args: []string{"add table inet a; add chain inet a b; add chain inet a c"}}, func(s Step) Act {
					if s.Changing && s.Kind == Request && !s.After {
						return tt.act
					}
					return Go()
				})
			})
			if err != nil {
				t.Fatal(err)
			}
			expect.Equal(t, "made", strings.Contains(h.Run(t, "nft", "list", "ruleset"), "table inet a"), tt.made)
			if !strings.Contains(string(e.Stderr), tt.stderr) {
				t.Errorf("nft said %q, want %q", e.Stderr, tt.stderr)
			}
			var requests []string
			for _, c := range e.Changing() {
				if c.Kind == Request {
					requests = append(requests, c.Text)
				}
			}
			expect.Equal(t, "changes", requests, []string{"nftables NEWTABLE + 2 NEWCHAIN"})
		})
	}
}
