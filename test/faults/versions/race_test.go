package versions

import (
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/faults/stepper"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
)

// step runs a call, or `patchbay reload` if the call has no verb, under the stepper.
func (s *scene) step(call nettest.Call, watch func(stepper.Step)) nettest.Answer {
	s.t.Helper()
	p := stepper.Program{Path: call.Plugin, Stdin: call.Config, Env: []string{
		"CNI_COMMAND=" + call.Command, "CNI_CONTAINERID=" + call.ContainerID, "CNI_NETNS=" + call.Netns, "CNI_IFNAME=" + call.IfName, "CNI_PATH=/nowhere",
	}}
	if call.Command == "" {
		p.Args, p.Env = []string{"reload"}, nil
	}
	var ending stepper.Ending
	var err error
	s.Do(func() {
		ending, err = stepper.Run(p, func(step stepper.Step) stepper.Act {
			watch(step)
			return stepper.Go()
		})
	})
	if err != nil || ending.TimedOut {
		s.t.Fatalf("step %s: %v, timed out %t:\n%s", call.Plugin, err, ending.TimedOut, ending.Stderr)
	}
	return nettest.Answer{Exit: ending.Exit, Stdout: ending.Stdout, Stderr: ending.Stderr}
}

// lockTracker finds the requests that a program sends while it holds the ruleset lock.
type lockTracker struct{ locked bool }

// at reports whether the program holds the lock and is about to send a request.
func (b *lockTracker) at(step stepper.Step) bool {
	if strings.HasPrefix(step.Text, "flock ") && strings.HasSuffix(step.Path, "/.ruleset") && step.After && step.Result == 0 {
		b.locked = true
	}
	return b.locked && step.Kind == stepper.Request && !step.After
}

// countRequests counts the requests of a call while it holds the ruleset lock. In the given state it must rebuild the table.
func (s *scene) countRequests(call nettest.Call) (n int) {
	s.t.Helper()
	var b lockTracker
	s.step(call, func(step stepper.Step) {
		if b.at(step) {
			n++
		}
	})
	if n < 6 {
		s.t.Fatalf("only %d requests under the lock: the table was not rebuilt", n)
	}
	return n
}

// runAt stops a call at its nth request under the lock and runs enter.
func (s *scene) runAt(call nettest.Call, n int, enter func()) nettest.Answer {
	s.t.Helper()
	var b lockTracker
	seen := 0
	answer := s.step(call, func(step stepper.Step) {
		if b.at(step) {
			if seen++; seen == n {
				enter()
			}
		}
	})
	if seen < n {
		s.t.Fatalf("no request %d under the lock, only %d", n, seen)
	}
	return answer
}

// TestOldPublishesWhileNewRebuilds: an ADD of the old version, started at any request of the new version's rebuild, waits for the lock. Then
// it is refused and leaves nothing, or it has its rules in the new table.
//
// Claim: Publishing and undo while another version rebuilds the table leave the rules of the live attachments and no others
func TestOldPublishesWhileNewRebuilds(t *testing.T) {
	t.Parallel()
	s := newScene(t, cni.Masquerade())
	a, b, c := s.Container("a"), s.Container("b"), s.Container("c")
	s.add(s.old, a)
	requests := s.countRequests(s.call(s.next, "ADD", b))
	s.del(s.old, b)
	succeeded, refused := 0, 0
	for n := 1; n <= requests; n++ {
		s.reload(s.old)
		s.hasSchema(schema())
		var old *process
		answer := s.runAt(s.call(s.next, "ADD", b), n, func() {
			old = s.start(s.call(s.old, "ADD", c), nil)
			old.endsOrWaits()
		})
		s.keep(b, answer.OK(t))
		s.hasSchema(schema() + 1)
		other := old.wait()
		if other.Exit != 0 {
			refused++
			s.refused(other)
			s.masquerades(a, b)
		} else {
			succeeded++
			s.keep(c, other)
			s.masquerades(a, b, c)
			s.do(s.old, "CHECK", c).OK(t)
			s.del(s.next, c)
		}
		s.del(s.old, b)
		s.masquerades(a)
		if t.Failed() {
			t.Fatalf("stopped at request %d of %d", n, requests)
		}
	}
	if refused == 0 {
		t.Errorf("%d ADDs of the old version succeeded, none was refused: they did not overlap the rebuild", succeeded)
	}
	t.Logf("%d requests: %d ADDs succeeded, %d refused", requests, succeeded, refused)
	s.del(s.next, a)
	s.masquerades()
	s.NoLeaks(t)
}

// TestUndoWhileTheOtherRebuilds: an ADD that has published and then fails, because its standard output is closed, leaves no element behind
// at any request of the other version's rebuild, which may have listed it as live before.
//
// Claim: Publishing and undo while another version rebuilds the table leave the rules of the live attachments and no others
func TestUndoWhileTheOtherRebuilds(t *testing.T) {
	t.Parallel()
	s := newScene(t, cni.Masquerade())
	a, c := s.Container("a"), s.Container("c")
	s.add(s.old, a)
	s.add(s.old, c) // so that the rebuild looks it up
	reload := nettest.Call{Plugin: s.next}
	requests := s.countRequests(reload)
	s.del(s.old, c)
	delete(s.prev, c.ID())
	for n := 1; n <= requests; n++ {
		s.reload(s.old)
		adding, hangUp := s.addUnread(c)
		s.runAt(reload, n, func() {
			hangUp()
			adding.endsOrWaits()
		}).OK(t)
		s.hasSchema(schema() + 1)
		if ended := adding.wait(); ended.Exit != 1 {
			t.Errorf("the ADD with a closed standard output: %s", ended)
		}
		s.masquerades(a)
		if t.Failed() {
			t.Fatalf("stopped at request %d of %d", n, requests)
		}
	}
	s.del(s.next, a)
	s.masquerades()
	s.NoLeaks(t)
}
