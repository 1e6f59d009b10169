package faults

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/family"
	"github.com/patchbay-cni/patchbay/test/stepper"
)

// atOnce is how many cases of one verb of one family run at a time; see package crash.
const atOnce = 6

// fault is what may happen to a call.
type fault struct {
	name string
	act  stepper.Act
}

func failing(errno syscall.Errno, name string) fault { return fault{name, stepper.Fail(errno)} }

// faultsOf are those that can happen to a call; none for a call that is no business of the verb.
func faultsOf(c stepper.Call, verb string) []fault {
	switch {
	case c.Kind == stepper.File && ofState(c.Path):
		return []fault{failing(syscall.ENOSPC, "ENOSPC"), failing(syscall.EIO, "EIO"), failing(syscall.EROFS, "EROFS")}
	case c.Kind == stepper.Look && ofState(c.Path) && !strings.HasPrefix(c.Text, "flock"): // no local file system fails that
		return []fault{failing(syscall.EIO, "EIO")}
	case c.Kind == stepper.Sysctl:
		return []fault{failing(syscall.EROFS, "EROFS")}
	case c.Kind == stepper.Result:
		return []fault{failing(syscall.EPIPE, "EPIPE")}
	case c.Kind != stepper.Request:
		return nil
	}
	all := []fault{{"ENOMEM", stepper.Refuse(syscall.ENOMEM)}, {"a lost answer", stepper.LoseAnswer()}}
	if verb == "CHECK" {
		return all // it asks and does nothing: one error is as good as another
	}
	return append(all, fault{"EBUSY", stepper.Refuse(syscall.EBUSY)}, fault{"EINTR", stepper.InterruptAnswer()})
}

func ofState(path string) bool {
	return strings.HasPrefix(path, "/run/patchbay") || strings.HasPrefix(path, "/var/lib/patchbay") || strings.HasPrefix(path, "/var/lib/cni")
}

// place is a call, found again by what it does and how many did the same before: how often a verb
// looks while it waits is not the same in every run.
type place struct {
	text  string
	times int
	may   bool // it may not be met, because it only asks; then the verb had no fault
}

// subject is one verb of one family.
type subject struct {
	family family.Family
	verb   string
}

func (s subject) arrive(t testing.TB) *family.Scene {
	t.Helper()
	scene := family.New(t, s.family)
	if s.verb != "ADD" {
		scene.Attach(t)
	}
	scene.Traffic(t)
	return scene
}

// record calls the verb once and makes a case of every fault of every call.
func (s subject) record(t testing.TB) (cases []family.Case) {
	t.Helper()
	scene := s.arrive(t)
	seen := map[string]int{}
	ending, answer := scene.One.Step(t, scene.One.Call(s.verb), func(stepper.Step) stepper.Act { return stepper.Go() })
	answer.OK(t)
	begun := s.verb != "ADD" || s.family.Begins == ""
	for _, call := range ending.Calls {
		begun = begun || call.Changing && strings.Contains(call.Text, s.family.Begins)
		at := place{text: scene.Stable(call.Text), may: call.Kind == stepper.Request && !call.Changing}
		seen[at.text]++
		at.times = seen[at.text]
		if !begun || s.verb == "GC" && at.times > 2 { // the third of three is as the second
			continue
		}
		for _, f := range faultsOf(call, s.verb) {
			cases = append(cases, family.Case{
				Name: fmt.Sprintf("%s at %s (%d)", f.name, at.text, at.times),
				Run:  func(t testing.TB) { s.run(t, at, f) },
			})
		}
	}
	scene.Detach(t, scene.One.Call("DEL"))
	return cases
}

// run calls the verb with one fault and judges what came of it.
func (s subject) run(t testing.TB, at place, f fault) {
	scene := s.arrive(t)
	before, times := pictureOf(scene), 0
	ending, answer := scene.One.Step(t, scene.One.Call(s.verb), func(step stepper.Step) stepper.Act {
		if step.After || scene.Stable(step.Text) != at.text {
			return stepper.Go()
		}
		if times++; times != at.times {
			return stepper.Go()
		}
		return f.act
	})
	if times < at.times && !at.may {
		t.Fatalf("the verb did not make this call: %s", answer)
	}
	if answer.Exit != 0 {
		wellFormed(t, answer)
	}
	if strings.HasPrefix(at.text, "conntrack ") {
		answer.OK(t)
	}
	switch s.verb {
	case "ADD":
		afterADD(t, scene, answer)
	case "DEL":
		afterDEL(t, scene, answer)
	case "CHECK":
		afterCHECK(t, scene, ending, before)
	case "GC":
		afterGC(t, scene, answer)
	}
}

// wellFormed wants a CNI error that tells something.
func wellFormed(t testing.TB, answer nettest.Answer) {
	t.Helper()
	if e := answer.Error(t); e.Msg == "" || e.Details == "" {
		t.Errorf("the error has no message or no details: %s", answer)
	}
}

// afterADD: it passed, and all is there; or it failed, and nothing is.
func afterADD(t testing.TB, scene *family.Scene, answer nettest.Answer) {
	t.Helper()
	if answer.Exit == 0 {
		answer.Result(t)
		if !astray(answer) {
			scene.Reached(t)
		}
		scene.One.Do(t, scene.One.Call("CHECK")).OK(t)
		scene.One.Do(t, scene.One.Call("DEL")).OK(t)
	}
	scene.Clean(t)
	if t.Failed() {
		t.Logf("the answer was %s", answer)
	}
}

// astray tells whether the verb has told that flows which it should have ended go on. That is no
// reason to fail.
func astray(answer nettest.Answer) bool {
	return strings.Contains(string(answer.Stderr), "goes astray until it pauses")
}

// afterDEL: it passed, and nothing is left; or it failed, and the next one passes.
func afterDEL(t testing.TB, scene *family.Scene, answer nettest.Answer) {
	t.Helper()
	if answer.Exit != 0 {
		scene.One.Do(t, scene.One.Call("DEL")).OK(t)
	}
	if astray(answer) {
		scene.Allow("flow ")
	}
	scene.Clean(t)
	if t.Failed() {
		t.Logf("the answer was %s", answer)
	}
}

// afterGC: it passed, or it failed, and the next one passes; either way nothing is left.
func afterGC(t testing.TB, scene *family.Scene, answer nettest.Answer) {
	t.Helper()
	if answer.Exit != 0 {
		scene.One.Do(t, scene.One.Call("GC")).OK(t)
	}
	scene.Clean(t)
	if t.Failed() {
		t.Logf("the answer was %s", answer)
	}
}

// afterCHECK: whatever it said, nothing has changed.
func afterCHECK(t testing.TB, scene *family.Scene, ending stepper.Ending, before string) {
	t.Helper()
	for _, call := range ending.Changing() {
		if call.Kind != stepper.Result && call.Kind != stepper.Child && call.Text != "start a process" { // another IPAM plugin's own CHECK
			t.Errorf("CHECK made a change: %s", call.Text)
		}
	}
	if diff := cmp.Diff(before, pictureOf(scene)); diff != "" {
		t.Errorf("CHECK changed something (-before +after):\n%s", diff)
	}
	scene.One.Do(t, scene.One.Call("CHECK")).OK(t)
	scene.One.Do(t, scene.One.Call("DEL")).OK(t)
	scene.Clean(t)
}

// pictureOf is the host, and what is in the containers that was not there at first.
func pictureOf(scene *family.Scene) string {
	return scene.Snapshot().String() + strings.Join(scene.Leaks(), "\n")
}

// TestFaults gives every verb, at each of its calls, each fault that the call can have.
func TestFaults(t *testing.T) {
	nettest.Root(t)
	for _, f := range family.Some(t, "single addresses", "sticky", "shared directory", "chained", "addresses only", "masquerade", "ports", "another IPAM") {
		for _, verb := range []string{"ADD", "DEL", "CHECK"} {
			subject{f, verb}.try(t)
		}
	}
	for _, name := range []string{"first masquerade", "ports, isolated"} { // once the tables are there, they are as any other's
		subject{family.Some(t, name)[0], "ADD"}.try(t)
	}
	for _, f := range family.Crowds() {
		subject{f, "GC"}.try(t)
	}
}

// TestRefusedWholeIsNotWaitedFor: a transaction that the kernel answers once, and not for each of its
// messages, ends an ADD at once.
func TestRefusedWholeIsNotWaitedFor(t *testing.T) {
	nettest.Root(t)
	t.Parallel()
	scene := family.New(t, family.Some(t, "first masquerade")[0])
	met, start := false, time.Now()
	_, answer := scene.One.Step(t, scene.One.Call("ADD"), func(step stepper.Step) stepper.Act {
		if step.After || !strings.Contains(step.Text, "NEWTABLE") {
			return stepper.Go()
		}
		met, start = true, time.Now()
		return stepper.Refuse(syscall.ENOMEM)
	})
	if took := time.Since(start); !met || took > 5*time.Second {
		t.Errorf("met the transaction: %v; the ADD ended %v later", met, took)
	}
	if e := answer.Error(t); !strings.Contains(e.Msg, "build table patchbay of nftables: ") || !strings.Contains(e.Msg, "cannot allocate memory") {
		t.Errorf("the error was %v", e)
	}
	scene.Clean(t)
}

func (s subject) try(t *testing.T) {
	t.Run(s.family.Name+"/"+s.verb, func(t *testing.T) {
		t.Parallel()
		cases := s.record(t)
		failed := family.RunCases(t, cases, atOnce)
		t.Logf("%d faults, %d failures", len(cases), failed)
	})
}
