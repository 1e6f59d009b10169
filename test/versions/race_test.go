package versions

import (
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/stepper"
)

// step runs a call of a plugin, or with no verb its reload, and stops it at every step.
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

// builds recognizes, in the steps of a program, where it holds the lock of the ruleset: before each of its requests to the
// kernel from then on.
type builds struct{ locked bool }

func (b *builds) at(step stepper.Step) bool {
	if strings.HasPrefix(step.Text, "flock ") && strings.HasSuffix(step.Path, "/.ruleset") && step.After && step.Result == 0 {
		b.locked = true
	}
	return b.locked && step.Kind == stepper.Request && !step.After
}

// pauses counts where a call can be stopped while it builds, which it has to do in a given state.
func (s *scene) pauses(call nettest.Call) (n int) {
	s.t.Helper()
	var b builds
	s.step(call, func(step stepper.Step) {
		if b.at(step) {
			n++
		}
	})
	if n < 6 {
		s.t.Fatalf("only %d requests under the lock: nothing was built", n)
	}
	return n
}

// intrude stops a call at its nth request under the lock and lets somebody else in.
func (s *scene) intrude(call nettest.Call, n int, enter func()) nettest.Answer {
	s.t.Helper()
	var b builds
	seen := 0
	answer := s.step(call, func(step stepper.Step) {
		if b.at(step) {
			if seen++; seen == n {
				enter()
			}
		}
	})
	if seen < n {
		s.t.Fatalf("there was no request %d under the lock, only %d", n, seen)
	}
	return answer
}

// TestOldPublishesWhileNewRebuilds: wherever the old one's ADD comes into the new one's building, it waits, and then is refused and
// leaves nothing, or it has its rules in the new table.
func TestOldPublishesWhileNewRebuilds(t *testing.T) {
	t.Parallel()
	s := newScene(t, masq)
	a, b, c := s.Container("a"), s.Container("b"), s.Container("c")
	s.add(s.old, a)
	pauses := s.pauses(s.call(s.next, "ADD", b))
	s.del(s.old, b)
	passed, refused := 0, 0
	for n := 1; n <= pauses; n++ {
		s.reload(s.old)
		s.hasSchema(schema())
		var old *intruder
		answer := s.intrude(s.call(s.next, "ADD", b), n, func() {
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
			passed++
			s.keep(c, other)
			s.masquerades(a, b, c)
			s.do(s.old, "CHECK", c).OK(t)
			s.del(s.next, c)
		}
		s.del(s.old, b)
		s.masquerades(a)
		if t.Failed() {
			t.Fatalf("stopped at request %d of %d", n, pauses)
		}
	}
	if refused == 0 {
		t.Errorf("%d ADDs of the old one passed, none was refused: they did not come into the building", passed)
	}
	t.Logf("%d points: %d passed, %d refused", pauses, passed, refused)
	s.del(s.next, a)
	s.masquerades()
	s.NoLeaks(t)
}

// TestUndoWhileTheOtherRebuilds: an ADD that has published and then fails, because nobody reads its result, leaves no element
// behind, wherever in the other one's building that happens: who has listed it as living would publish for it.
func TestUndoWhileTheOtherRebuilds(t *testing.T) {
	t.Parallel()
	s := newScene(t, masq)
	a, c := s.Container("a"), s.Container("c")
	s.add(s.old, a)
	s.add(s.old, c) // who is listed is asked for
	reload := nettest.Call{Plugin: s.next}
	pauses := s.pauses(reload)
	s.del(s.old, c)
	delete(s.prev, c.ID())
	for n := 1; n <= pauses; n++ {
		s.reload(s.old)
		adding, hangUp := s.addUnread(c)
		s.intrude(reload, n, func() {
			hangUp()
			adding.endsOrWaits()
		}).OK(t)
		s.hasSchema(schema() + 1)
		if ended := adding.wait(); ended.Exit != 1 {
			t.Errorf("the ADD that nobody reads: %s", ended)
		}
		s.masquerades(a)
		if t.Failed() {
			t.Fatalf("stopped at request %d of %d", n, pauses)
		}
	}
	s.del(s.next, a)
	s.masquerades()
	s.NoLeaks(t)
}
