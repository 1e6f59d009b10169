package names

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/faults/stepper"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// stop is a point at which a command is killed: before or after its nth changing call below /etc or of the journal.
type stop struct {
	nth   int
	after bool
}

// step runs the program under the stepper, kills it at a stop, and returns the changing calls of names; stop 0 is none.
func (s *site) step(at stop, args ...string) (calls []string) {
	s.t.Helper()
	watch := func(step stepper.Step) stepper.Act {
		if !step.Changing || !strings.HasPrefix(step.Path, "/etc/") && !strings.HasPrefix(step.Path, "/var/lib/patchbay/names") {
			return stepper.Go()
		}
		if !step.After {
			calls = append(calls, step.Text)
		}
		if len(calls) == at.nth && step.After == at.after {
			return stepper.Signal(syscall.SIGKILL)
		}
		return stepper.Go()
	}
	var ending stepper.Ending
	var err error
	s.Do(func() {
		ending, err = stepper.Run(stepper.Program{
			Path: nettest.Patchbay(s.t), Args: args, Env: []string{"GOMAXPROCS=1", "PATH=" + os.Getenv("PATH"), "NETCONFPATH=" + s.conf},
		}, watch)
	})
	if err != nil || ending.TimedOut || (at.nth == 0) != (ending.Exit == 0) {
		s.t.Fatalf("patchbay %v, killed at %+v: %v, exit %d, timed out: %v\n%s", args, at, err, ending.Exit, ending.TimedOut, ending.Stderr)
	}
	return calls
}

// isTrue requires that every file has what it should, and that lines of the user are there.
func (s *site) isTrue(what string, names ...string) {
	s.t.Helper()
	s.ok("doctor")
	text := s.sh("cat /etc/hosts /etc/netns/*/hosts")
	expect.Contains(s.t, s.read("/etc/hosts"), "192.0.2.9 printer\n", "192.0.2.10 later\n")
	for _, name := range names {
		if n := strings.Count(text, "\t"+name+"\n"); n != 2*(len(names)+1) {
			s.t.Errorf("%s: %s is in %d lines, want %d:\n%s", what, name, n, 2*(len(names)+1), text)
		}
	}
	if s.t.Failed() {
		s.t.FailNow()
	}
}

// TestKilled: up and down are killed before each call that changes a hosts file or the journal, and after the last one. No line of the user is lost,
// nothing looks like an edit by hand, reload, gc or the next command makes all files true, and nothing is left.
//
// Claim: `up` and `down` can be killed at every change of a hosts file: reload, gc or the next command makes all files true
func TestKilled(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.network("lab", 1)
	up, down := []string{"up", "app", "--network", "lab", "--host-names"}, []string{"down", "app"}
	s.sh("printf '127.0.0.1 localhost\\n::1 localhost\\n192.0.2.9 printer\\n' >/etc/hosts")
	s.ok("up", "web", "db", "--network", "lab", "--host-names")
	s.sh("echo 192.0.2.10 later >>/etc/hosts; echo 192.0.2.11 more >>" + hosts("web"))
	s.ok("reload")
	for _, verb := range [][2][]string{{up, down}, {down, up}} {
		if verb[0][0] == "down" {
			s.ok(up...)
		}
		calls := s.step(stop{}, verb[0]...)
		s.ok(verb[1]...)
		if len(calls) < 8 {
			t.Fatalf("%v has the calls %q only", verb[0], calls)
		}
		t.Logf("%v: killed at %d calls", verb[0], len(calls))
		for i := range len(calls) + 1 { // after one call is before the next one
			at := stop{min(i+1, len(calls)), i == len(calls)}
			s.step(at, verb[0]...)
			s.killed(fmt.Sprintf("%v, killed at %+v (%s)", verb[0], at, calls[at.nth-1]), i, verb[0][0] == "up")
			if verb[0][0] == "down" {
				s.ok(up...)
			}
		}
		if verb[0][0] == "down" {
			s.ok("down", "app")
		}
		s.isTrue("end", "web", "db")
	}
	expect.Contains(t, s.read(hosts("web")), "192.0.2.11 more\n")
	s.ok("down", "web", "db")
	expect.Equal(t, "/etc/hosts", s.read("/etc/hosts"), "127.0.0.1 localhost\n::1 localhost\n192.0.2.9 printer\n192.0.2.10 later\n")
	expect.Equal(t, "files", s.sh("ls /etc/netns /etc/netns/web; cat /etc/netns/web/hosts; ls /var/lib/patchbay 2>/dev/null || true"), "/etc/netns:\nweb\n\n/etc/netns/web:\nhosts\n192.0.2.11 more\n")
	s.sh("rm -r /etc/netns/web; printf '127.0.0.1 localhost\\n::1 localhost\\n' >/etc/hosts")
}

// killed recovers, by another command each time, and requires that the files are true.
func (s *site) killed(what string, i int, attached bool) {
	s.t.Helper()
	all := []string{"web", "db"}
	if attached {
		all = append(all, "app")
	}
	switch i % 3 {
	case 0:
		s.ok("reload")
		s.hasAll(what, attached)
	case 1:
		s.ok("gc")
		s.hasAll(what, attached)
	case 2:
		s.ok("up", "next", "--network", "lab", "--", "true")
		s.hasAll(what, attached)
	}
	if attached {
		s.ok("down", "app")
	}
	s.isTrue(what, all[:2]...)
}

// hasAll requires that the namespaces have the names of each other; app only if it is attached.
func (s *site) hasAll(what string, attached bool) {
	s.t.Helper()
	s.ok("doctor")
	for _, viewer := range []string{"web", "db"} {
		for _, name := range []string{"web", "db", "app"} {
			if got, want := s.inside(viewer, name) != "", name != "app" || attached; got != want {
				s.t.Fatalf("%s: %s in %s is resolved: %v, want %v\n%s", what, name, viewer, got, want, s.read(hosts(viewer)))
			}
		}
	}
}
