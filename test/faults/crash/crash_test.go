package crash

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/faults/networks"
	"github.com/patchbay-cni/patchbay/test/faults/stepper"
)

// atOnce is the number of concurrent cases of one verb of one family. A case mostly waits for the kernel to delete links, which takes
// as long for many as for one. With six, on a slow machine with two cores, IPv6 addresses of a bridge were not usable within 20 s.
const atOnce = 4

// point is a kill point: before the nth changing call of a verb, or after it. The state of the host after a call is the same as before
// the next one.
type point struct {
	n     int
	after bool
}

func (p point) String() string {
	if p.after {
		return fmt.Sprintf("after call %d", p.n)
	}
	return fmt.Sprintf("before call %d", p.n)
}

// begins returns the number of the first changing call that is a kill point.
func (s *subject) begins() int {
	i := slices.IndexFunc(s.calls, func(text string) bool { return strings.Contains(text, s.family.Begins) })
	if s.verb != "ADD" || i < 0 {
		return 1
	}
	return i + 1
}

// points returns one kill point for each state between changing calls. The first is before the first call and the last after the last;
// each of the others is after a call if after is set, else before the next.
func (s *subject) points(after bool) []point {
	first, calls := s.begins(), len(s.calls)
	out := []point{{first, false}}
	for n := first; n < calls; n++ {
		if after {
			out = append(out, point{n, true})
		} else {
			out = append(out, point{n + 1, false})
		}
	}
	return append(out, point{calls, true})
}

// subject is one verb of one family, and its recorded changing calls.
type subject struct {
	family networks.Family
	verb   string
	calls  []string
}

// arrive prepares a new scene for the verb.
func (s *subject) arrive(t testing.TB, scene *networks.Scene) *networks.Scene {
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
	scene := s.arrive(t, networks.New(t, s.family))
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

// settle sorts the calls of a second thread behind the concurrent calls of the first: their relative order differs between runs. Calls of
// one thread stay in their order.
func settle(verb string, calls []string) {
	for i := len(calls) - 2; i >= 0; i-- {
		for j := i; j+1 < len(calls) && concurrent(verb, calls[j], calls[j+1]); j++ {
			calls[j], calls[j+1] = calls[j+1], calls[j]
		}
	}
}

// concurrent reports whether a call is of the second thread, and the next of the first and concurrent with it. An ADD ends flows while
// it configures the container, and waits for that before it prints; a DEL deletes elements and then ends flows while it deletes links.
func concurrent(verb, call, next string) bool {
	flows := strings.HasPrefix(call, "conntrack ")
	if verb == "ADD" {
		return flows && !strings.HasPrefix(next, "conntrack ") && next != "write standard output"
	}
	return (flows || strings.Contains(call, " DELSETELEM ")) && strings.HasPrefix(next, "RTM_")
}

// hit calls the verb and sends it a signal at a point. It finds the call by its text and its position among the calls of the same text.
func (s *subject) hit(t testing.TB, scene *networks.Scene, at point, signal syscall.Signal) (stepper.Ending, nettest.Answer) {
	t.Helper()
	text, times, there := s.calls[at.n-1], 0, false
	for _, same := range s.calls[:at.n] {
		if same == text {
			times++
		}
	}
	ending, answer := scene.One.Step(t, scene.One.Call(s.verb), func(step stepper.Step) stepper.Act {
		if there && signal == syscall.SIGKILL && strings.HasPrefix(text, "child: ") && step.Kind == stepper.Child {
			t.Errorf("the started program outlived Patchbay and came to: %s", step.Text)
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
	if !there && !(strings.HasPrefix(text, "conntrack ") && scene.Late()) {
		t.Fatalf("the verb did not reach this point: %s", answer)
	}
	return ending, answer
}

// TestCrash ends every verb of every family by SIGKILL and by SIGTERM at every kill point. With PATCHBAY_UPDATE=1 it rewrites calls.txt
// and table.md, or the rows that ran; otherwise it compares them. With PATCHBAY_FAULTS it runs a third of the kills: the table then has the
// number of all.
//
// Claim: GC continues after errors and reports all of them; killed at any call, or with a fault at one call, the next GC leaves nothing
// behind
// Claim: After a kill at any changing call of ADD, DEL or GC every way of recovery leaves nothing behind; each call is listed
// Claim: SIGTERM ends a verb as SIGKILL does: at any changing call of ADD, DEL or GC the next DEL or ADD leaves nothing behind
// Claim: With masquerading, or with an IPAM plugin that is killed with the ADD, recovery leaves no element of nftables either
// Claim: With published ports recovery leaves no element and no UDP flow to a deleted container, and ends no flow of a neighbour; a flush
// that fails is reported and fails nothing
func TestCrash(t *testing.T) {
	nettest.Root(t)
	var b results
	t.Run("all", func(t *testing.T) {
		for _, f := range families() {
			for _, verb := range verbsOf(f) {
				s := &subject{family: f, verb: verb}
				t.Run(f.Name+"/"+verb, func(t *testing.T) {
					t.Parallel()
					s.record(t)
					b.listed(t, s)
					b.add(row{subject: s, kills: s.kill(t), signals: s.terminate(t)})
				})
			}
		}
	})
	b.compare(t)
}

// kill sends SIGKILL at every point. Every recovery starts from each state that a kill can leave: half of the recoveries after a kill
// after a call, half after a kill before the next.
func (s *subject) kill(t *testing.T) (count tally) {
	t.Helper()
	var cases []networks.Case
	for i, r := range recoveries() {
		for _, at := range s.points(i%2 == 1) {
			cases = append(cases, networks.Case{
				Name: fmt.Sprintf("killed %s, %s; then %s", at, s.calls[at.n-1], r.name),
				Run:  func(t testing.TB) { s.endAt(t, at, syscall.SIGKILL, r) },
			})
		}
	}
	return tally{len(cases), networks.RunCases(t, s.chosen(t, cases), atOnce)}
}

// chosen returns the cases to run: all if the table is written.
func (s *subject) chosen(t *testing.T, cases []networks.Case) []networks.Case {
	t.Helper()
	if os.Getenv(update) != "" {
		return cases
	}
	return networks.Chosen(t, cases)
}

// terminate sends SIGTERM at every point, with one recovery each.
func (s *subject) terminate(t *testing.T) (count tally) {
	t.Helper()
	var cases []networks.Case
	all := recoveries()
	for i, at := range s.points(false) {
		r := all[i%len(all)]
		cases = append(cases, networks.Case{
			Name: fmt.Sprintf("SIGTERM %s, %s; then %s", at, s.calls[at.n-1], r.name),
			Run:  func(t testing.TB) { s.endAt(t, at, syscall.SIGTERM, r) },
		})
	}
	return tally{len(cases), networks.RunCases(t, s.chosen(t, cases), atOnce)}
}

// endAt ends the verb by a signal at a point, and recovers. A verb does not catch SIGTERM, but the kernel may deliver it to another thread
// than the stopped one: the verb may make further calls before it ends, and near its end it may succeed. On a loaded machine a verb may give
// up ending flows before it comes to that point, with a warning; then it succeeds, and the recovery follows.
func (s *subject) endAt(t testing.TB, at point, signal syscall.Signal, r recovery) {
	scene := s.arrive(t, r.scene(t, s.family))
	ending, answer := s.hit(t, scene, at, signal)
	succeeded := ending.Exit == 0 && (signal == syscall.SIGTERM || scene.Late())
	if ending.Signal != signal && !succeeded {
		t.Fatalf("the verb was not ended by %s: %s", signal, answer)
	}
	r.run(t, s, scene)
	scene.Clean(t)
}

func families() []networks.Family { return slices.Concat(networks.All(), networks.Groups()) }

// verbsOf returns the verbs to kill. A GC does the same for one attachment as a DEL.
func verbsOf(f networks.Family) []string {
	if slices.ContainsFunc(networks.Groups(), func(group networks.Family) bool { return group.Name == f.Name }) {
		return []string{"GC"}
	}
	if slices.Contains([]string{"single addresses", "shared directory", "chained", "chained, tuning and sbr", "addresses only", "masquerade", "another IPAM"}, f.Name) {
		return []string{"ADD", "DEL", "GC"}
	}
	if slices.Contains([]string{"first masquerade", "first policies", "ports, isolated"}, f.Name) { // its DEL differs from another family's only in the table
		return []string{"ADD"}
	}
	return []string{"ADD", "DEL"}
}

// subjects returns the number of rows of the table.
func subjects() (n int) {
	for _, f := range families() {
		n += len(verbsOf(f))
	}
	return n
}
