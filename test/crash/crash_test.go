package crash

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/containernetworking/cni/pkg/types/create"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/family"
	"github.com/patchbay-cni/patchbay/test/stepper"
)

// atOnce is how many cases of one verb of one family run at a time. Most of a case is waiting for
// the kernel to take links down, which it does for many as fast as for one.
const atOnce = 6

// point is where a verb is met: before its nth changing call, or behind it. What is outside the
// process is the same behind a call as before the next one.
type point struct {
	n     int
	after bool
}

func (p point) String() string {
	if p.after {
		return fmt.Sprintf("behind call %d", p.n)
	}
	return fmt.Sprintf("before call %d", p.n)
}

// begins is the number of the first call that the verb is met at.
func (s *subject) begins() int {
	i := slices.IndexFunc(s.calls, func(text string) bool { return strings.Contains(text, s.family.Begins) })
	if s.verb != "ADD" || i < 0 {
		return 1
	}
	return i + 1
}

// points are as many as there are states between changing calls: the first is before the first
// call and the last behind the last, and each of the others is behind a call, or before the next.
func (s *subject) points(behind bool) []point {
	first, calls := s.begins(), len(s.calls)
	out := []point{{first, false}}
	for n := first; n < calls; n++ {
		if behind {
			out = append(out, point{n, true})
		} else {
			out = append(out, point{n + 1, false})
		}
	}
	return append(out, point{calls, true})
}

// subject is one verb of one family, and the calls it was seen to make.
type subject struct {
	family family.Family
	verb   string
	calls  []string
}

// arrive brings a new scene to where the verb can be called.
func (s *subject) arrive(t testing.TB, scene *family.Scene) *family.Scene {
	t.Helper()
	if s.verb != "ADD" {
		scene.Attach(t)
	}
	scene.Traffic(t)
	return scene
}

// record calls the verb once and keeps its changing calls.
func (s *subject) record(t testing.TB) {
	t.Helper()
	scene := s.arrive(t, family.New(t, s.family))
	ending, answer := scene.One.Step(t, scene.One.Call(s.verb), func(stepper.Step) stepper.Act { return stepper.Go() })
	answer.OK(t)
	for _, call := range ending.Changing() {
		s.calls = append(s.calls, scene.Stable(call.Text))
	}
	settle(s.verb, s.calls)
	if s.verb == "ADD" {
		scene.Reached(t)
		scene.One.Do(t, scene.One.Call("CHECK")).OK(t)
		scene.One.Do(t, scene.One.Call("DEL")).OK(t)
	}
	scene.Clean(t)
}

// settle puts what a second thread of the program does behind what the first does at the same time:
// which of two calls of different threads comes first is not the same in every run. Calls of one
// thread stay in their order.
func settle(verb string, calls []string) {
	for i := len(calls) - 2; i >= 0; i-- {
		for j := i; j+1 < len(calls) && beside(verb, calls[j], calls[j+1]); j++ {
			calls[j], calls[j+1] = calls[j+1], calls[j]
		}
	}
}

// beside tells whether a call is of the second thread, and the next of the first and made at the same
// time. An ADD ends flows while it configures the container, and waits for that before it prints; a
// DEL takes elements away, and then ends flows, while links go.
func beside(verb, call, next string) bool {
	flows := strings.HasPrefix(call, "conntrack ")
	if verb == "ADD" {
		return flows && !strings.HasPrefix(next, "conntrack ") && next != "write standard output"
	}
	return (flows || strings.Contains(call, " DELSETELEM ")) && strings.HasPrefix(next, "RTM_")
}

// hit calls the verb and sends it a signal at a point, which is found again by what the call does
// and how many did the same before.
func (s *subject) hit(t testing.TB, scene *family.Scene, at point, signal syscall.Signal) (stepper.Ending, nettest.Answer) {
	t.Helper()
	text, times, there := s.calls[at.n-1], 0, false
	for _, same := range s.calls[:at.n] {
		if same == text {
			times++
		}
	}
	ending, answer := scene.One.Step(t, scene.One.Call(s.verb), func(step stepper.Step) stepper.Act {
		if there && signal == syscall.SIGKILL && strings.HasPrefix(text, "child: ") && step.Kind == stepper.Child {
			t.Errorf("what it had started lived on, and came to: %s", step.Text)
		}
		if there || !step.Changing || scene.Stable(step.Text) != text {
			return stepper.Go()
		}
		if !step.After {
			times--
		}
		if times != 0 || step.After != at.after {
			return stepper.Go()
		}
		there = true
		return stepper.Signal(signal)
	})
	if !there {
		t.Fatalf("the verb did not come to this point: %s", answer)
	}
	return ending, answer
}

// TestCrash kills and interrupts every verb of every family at every point. PATCHBAY_UPDATE=1
// writes the list of calls and the table anew; else they must be as they are in the repository.
func TestCrash(t *testing.T) {
	nettest.Root(t)
	var b book
	t.Run("all", func(t *testing.T) {
		for _, f := range families() {
			for _, verb := range verbsOf(f) {
				s := &subject{family: f, verb: verb}
				t.Run(f.Name+"/"+verb, func(t *testing.T) {
					t.Parallel()
					s.record(t)
					b.listed(t, s)
					b.add(row{subject: s, kills: s.kill(t), signals: s.interrupt(t)})
				})
			}
		}
	})
	b.compare(t)
}

// kill kills at every point. Each state that a death can leave is met by every recovery: half of
// them when it died behind a call, half when it died before the next.
func (s *subject) kill(t *testing.T) (count tally) {
	t.Helper()
	var cases []family.Case
	for i, r := range recoveries() {
		for _, at := range s.points(i%2 == 1) {
			cases = append(cases, family.Case{
				Name: fmt.Sprintf("killed %s, %s; then %s", at, s.calls[at.n-1], r.name),
				Run:  func(t testing.TB) { s.killAt(t, at, r) },
			})
		}
	}
	return tally{len(cases), family.RunCases(t, cases, atOnce)}
}

func (s *subject) killAt(t testing.TB, at point, r recovery) {
	scene := s.arrive(t, r.scene(t, s.family))
	ending, _ := s.hit(t, scene, at, syscall.SIGKILL)
	if ending.Signal != syscall.SIGKILL {
		t.Fatalf("it was not killed but ended with %d", ending.Exit)
	}
	r.run(t, s, scene)
	scene.Clean(t)
}

// interrupt sends SIGTERM at every point.
func (s *subject) interrupt(t *testing.T) (count tally) {
	t.Helper()
	var cases []family.Case
	for _, at := range s.points(false) {
		cases = append(cases, family.Case{
			Name: fmt.Sprintf("SIGTERM %s, %s", at, s.calls[at.n-1]),
			Run:  func(t testing.TB) { s.interruptAt(t, at) },
		})
	}
	return tally{len(cases), family.RunCases(t, cases, atOnce)}
}

// interruptAt: an ADD is undone or has completed, a DEL finishes. A GC may end: it is called again.
func (s *subject) interruptAt(t testing.TB, at point) {
	scene := s.arrive(t, family.New(t, s.family))
	ending, answer := s.hit(t, scene, at, syscall.SIGTERM)
	switch {
	case s.verb == "GC" && ending.Signal == syscall.SIGTERM:
		scene.One.Do(t, scene.One.Call("GC")).OK(t)
	case s.verb != "ADD":
		answer.OK(t)
	case hasResult(answer):
		scene.Reached(t)
		scene.One.Do(t, scene.One.Call("CHECK")).OK(t)
		scene.One.Do(t, scene.One.Call("DEL")).OK(t)
	default:
		answer.Error(t)
	}
	scene.Clean(t)
	if t.Failed() {
		t.Logf("the answer was %s", answer)
	}
}

// hasResult reports whether an ADD has said that it is done.
func hasResult(answer nettest.Answer) bool {
	if answer.Exit != 0 || !json.Valid(answer.Stdout) {
		return false
	}
	_, err := create.CreateFromBytes(answer.Stdout)
	return err == nil
}

func families() []family.Family { return slices.Concat(family.All(), family.Crowds()) }

// verbsOf are those that are killed. What a GC does for one attachment is what a DEL does.
func verbsOf(f family.Family) []string {
	if slices.ContainsFunc(family.Crowds(), func(crowd family.Family) bool { return crowd.Name == f.Name }) {
		return []string{"GC"}
	}
	if slices.Contains([]string{"single addresses", "shared directory", "chained", "addresses only", "masquerade", "another IPAM"}, f.Name) {
		return []string{"ADD", "DEL", "GC"}
	}
	if f.Name == "first masquerade" || f.Name == "ports, isolated" { // but for the table its DEL is that of another
		return []string{"ADD"}
	}
	return []string{"ADD", "DEL"}
}

// subjects is how many rows the table has.
func subjects() (n int) {
	for _, f := range families() {
		n += len(verbsOf(f))
	}
	return n
}
