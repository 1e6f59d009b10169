package faults

import (
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/faults/networks"
	"github.com/patchbay-cni/patchbay/test/faults/stepper"
)

// atOnce is the number of concurrent cases of one verb of one family; see package crash.
const atOnce = 6

// fault is a failure that a system call can have.
type fault struct {
	name string
	act  stepper.Act
}

func failing(errno syscall.Errno, name string) fault { return fault{name, stepper.Fail(errno)} }

// faultsOf returns the faults that a call can have; none for a call that has nothing to do with the verb.
func faultsOf(c stepper.Call, verb string) []fault {
	switch {
	case c.Kind == stepper.File && ofState(c.Path):
		return []fault{failing(syscall.ENOSPC, "ENOSPC"), failing(syscall.EIO, "EIO"), failing(syscall.EROFS, "EROFS")}
	case c.Kind == stepper.Read && ofState(c.Path) && !strings.HasPrefix(c.Text, "flock"): // flock does not fail on a local file system
		return []fault{failing(syscall.EIO, "EIO")}
	case c.Kind == stepper.Sysctl:
		return []fault{failing(syscall.EROFS, "EROFS")}
	case c.Kind == stepper.Result:
		return []fault{failing(syscall.EPIPE, "EPIPE")}
	case c.Kind != stepper.Request:
		return nil
	}
	all := []fault{{"ENOMEM", stepper.Refuse(syscall.ENOMEM)}, {"a lost reply", stepper.LoseReply()}}
	if verb == "CHECK" {
		return all // it only reads: the error number makes no difference
	}
	return append(all, fault{"EBUSY", stepper.Refuse(syscall.EBUSY)}, fault{"EINTR", stepper.InterruptReply()})
}

func ofState(path string) bool {
	return strings.HasPrefix(path, "/run/patchbay") || strings.HasPrefix(path, "/var/lib/patchbay") || strings.HasPrefix(path, "/var/lib/cni")
}

// place identifies a call by its text and its position among the calls of the same text: the number of calls with which a verb
// polls differs between runs.
type place struct {
	text  string
	times int
	may   bool // the call only reads and may not occur in every run; then the verb had no fault
}

// subject is one verb of one family.
type subject struct {
	family networks.Family
	verb   string
}

func (s subject) arrive(t testing.TB) *networks.Scene {
	t.Helper()
	scene := networks.New(t, s.family)
	if s.verb != "ADD" {
		scene.Attach(t)
	}
	scene.Traffic(t)
	return scene
}

// record calls the verb once and returns a case for every fault of every call.
func (s subject) record(t testing.TB) (cases []networks.Case) {
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
		if !begun || s.verb == "GC" && at.times > 2 { // the third of three does the same as the second
			continue
		}
		for _, f := range faultsOf(call, s.verb) {
			cases = append(cases, networks.Case{
				Name: fmt.Sprintf("%s at %s (%d)", f.name, at.text, at.times),
				Run:  func(t testing.TB) { s.run(t, at, f) },
			})
		}
	}
	scene.Detach(t, scene.One.Call("DEL"))
	return cases
}

// run calls the verb with one fault and checks answer and host.
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

// wellFormed checks that an error has msg and details.
func wellFormed(t testing.TB, answer nettest.Answer) {
	t.Helper()
	if e := answer.Error(t); e.Msg == "" || e.Details == "" {
		t.Errorf("the error has no message or no details: %s", answer)
	}
}

// afterADD: the ADD succeeded and the attachment is complete, or it failed and left nothing behind.
func afterADD(t testing.TB, scene *networks.Scene, answer nettest.Answer) {
	t.Helper()
	if answer.Exit == 0 {
		answer.Result(t)
		if !misdirected(answer) {
			scene.Reached(t)
		}
		scene.One.Do(t, scene.One.Call("CHECK")).OK(t)
		scene.One.Do(t, scene.One.Call("DEL")).OK(t)
	}
	scene.Clean(t)
	if t.Failed() {
		t.Logf("answer: %s", answer)
	}
}

// misdirected reports whether the verb warned that it could not end old flows, which does not fail it.
func misdirected(answer nettest.Answer) bool {
	return strings.Contains(string(answer.Stderr), "may be misdirected until they are idle")
}

// afterDEL: the DEL succeeded, or it failed and the next DEL succeeds; either way nothing is left behind.
func afterDEL(t testing.TB, scene *networks.Scene, answer nettest.Answer) {
	t.Helper()
	if answer.Exit != 0 {
		scene.One.Do(t, scene.One.Call("DEL")).OK(t)
	}
	if misdirected(answer) {
		scene.Allow("flow ")
	}
	scene.Clean(t)
	if t.Failed() {
		t.Logf("answer: %s", answer)
	}
}

// afterGC: the GC succeeded, or it failed and the next GC succeeds; either way nothing is left behind.
func afterGC(t testing.TB, scene *networks.Scene, answer nettest.Answer) {
	t.Helper()
	if answer.Exit != 0 {
		scene.One.Do(t, scene.One.Call("GC")).OK(t)
	}
	scene.Clean(t)
	if t.Failed() {
		t.Logf("answer: %s", answer)
	}
}

// afterCHECK: whatever the answer was, the host has not changed.
func afterCHECK(t testing.TB, scene *networks.Scene, ending stepper.Ending, before string) {
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

// pictureOf returns the state of the host, and what was added in the containers.
func pictureOf(scene *networks.Scene) string {
	return scene.Snapshot().String() + strings.Join(scene.Leaks(), "\n")
}

// TestFaults runs every verb once for each fault that each of its calls can have.
//
// Claim: GC continues after errors and reports all of them; killed at any call, or with a fault at one call, the next GC leaves nothing
// behind
// Claim: With masquerading, or with an IPAM plugin that is killed with the ADD, recovery leaves no element of nftables either
// Claim: With published ports recovery leaves no element and no UDP flow to a deleted container, and ends no flow of a neighbour; a flush
// that fails is reported and fails nothing
// Claim: With one fault of a state file, of netlink or of the result an ADD succeeds or is undone with a CNI error, the next DEL leaves
// nothing, and CHECK changes nothing
func TestFaults(t *testing.T) {
	nettest.Root(t)
	for _, f := range networks.Some(t, "single addresses", "sticky", "shared directory", "chained", "chained, bandwidth", "chained, tuning and sbr", "bandwidth", "tap", "addresses only", "masquerade", "ports", "policies", "another IPAM") {
		for _, verb := range []string{"ADD", "DEL", "CHECK"} {
			subject{f, verb}.try(t)
		}
	}
	for _, name := range []string{"first masquerade", "first policies", "ports, isolated"} { // with existing tables they make the same calls as the others
		subject{networks.Some(t, name)[0], "ADD"}.try(t)
	}
	for _, f := range networks.Named() {
		for _, verb := range []string{"ADD", "DEL", "CHECK"} {
			subject{f, verb}.try(t)
		}
	}
	for _, f := range networks.Groups() {
		subject{f, "GC"}.try(t)
	}
}

// TestRefusedTransactionEndsAddAtOnce: for ENOMEM the kernel sends one reply for the transaction, not one per message. The ADD must not
// wait for more.
//
// Claim: A transaction that the kernel refuses for lack of memory ends an ADD at once
func TestRefusedTransactionEndsAddAtOnce(t *testing.T) {
	nettest.Root(t)
	t.Parallel()
	scene := networks.New(t, networks.Some(t, "first masquerade")[0])
	met := false
	_, answer := scene.One.Step(t, scene.One.Call("ADD"), func(step stepper.Step) stepper.Act {
		if step.After || !strings.Contains(step.Text, "NEWTABLE") {
			return stepper.Go()
		}
		met = true
		return stepper.Refuse(syscall.ENOMEM)
	})
	if !met {
		t.Error("the ADD has sent no transaction that builds the table")
	}
	// An ADD that waits for more answers ends with a deadline instead.
	if e := answer.Error(t); !strings.Contains(e.Msg, "build table patchbay of nftables: ") || !strings.Contains(e.Msg, "cannot allocate memory") {
		t.Errorf("the error was %v", e)
	}
	scene.Clean(t)
}

func (s subject) try(t *testing.T) {
	t.Run(s.family.Name+"/"+s.verb, func(t *testing.T) {
		t.Parallel()
		cases := networks.Chosen(t, s.record(t))
		failed := networks.RunCases(t, cases, atOnce)
		t.Logf("%d faults, %d failures", len(cases), failed)
	})
}
