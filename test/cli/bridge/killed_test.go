package bridge

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/faults/stepper"
)

// watcher is called at each step.
type watcher = func(stepper.Step) stepper.Act

func goOn(stepper.Step) stepper.Act { return stepper.Go() }

// step runs the program under the stepper, until it and its watchdog have ended.
func (s *site) step(t testing.TB, watch watcher, args ...string) stepper.Ending {
	t.Helper()
	var ending stepper.Ending
	var err error
	s.Do(func() {
		ending, err = stepper.Run(stepper.Program{Path: nettest.Patchbay(t), Args: args, Env: []string{"GOMAXPROCS=1"}, ChildRequests: true}, watch)
	})
	if err != nil || ending.TimedOut {
		t.Fatalf("patchbay %s: %v, timed out: %v\n%s", strings.Join(args, " "), err, ending.TimedOut, ending.Stderr)
	}
	return ending
}

// own returns the changing calls of the program itself, without those of its watchdog.
func own(e stepper.Ending) (calls []string) {
	for _, c := range e.Changing() {
		if c.Kind != stepper.Child {
			calls = append(calls, c.Text)
		}
	}
	return calls
}

// at calls do before the nth changing call of the program itself, or after its last one.
func at(nth, last int, do func() stepper.Act) watcher {
	n := 0
	return func(step stepper.Step) stepper.Act {
		if !step.Changing || step.Kind == stepper.Child {
			return stepper.Go()
		}
		if !step.After {
			n++
		}
		if step.After && n == last && nth > last || !step.After && n == nth {
			return do()
		}
		return stepper.Go()
	}
}

func kill() stepper.Act { return stepper.Signal(syscall.SIGKILL) }

// decided requires that the host is completely before or completely after, and reachable; after says whether br0 is to be there. It
// then goes back to the state before.
func (s *site) decided(t testing.TB, what string, after bool) {
	t.Helper()
	s.reached(t)
	if after {
		s.isBridged(t)
		s.ok(t, "bridge", "delete", "br0")
	}
	s.unchanged(t)
	if t.Failed() {
		t.Fatalf("after: %s", what)
	}
}

// each runs a function for the numbers 1 to n, several at once, each on a site that is used again.
func each(t *testing.T, n int, run func(t *testing.T, s *site, nth int)) {
	const atOnce = 6
	t.Helper()
	numbers := make(chan int, n)
	for i := range n {
		numbers <- i + 1
	}
	close(numbers)
	t.Run("points", func(t *testing.T) {
		for worker := range atOnce {
			t.Run(fmt.Sprint(worker), func(t *testing.T) {
				t.Parallel()
				s := newSite(t, rich())
				for nth := range numbers {
					run(t, s, nth)
				}
			})
		}
	})
}

// TestCreateKilled kills `bridge create` at each of its changing system calls, and requires what its watchdog restores.
//
// Claim: Killed at any changing system call, `bridge create` and `bridge delete`, or their watchdog, leave a host that is reached, and is
// completely before or completely after
func TestCreateKilled(t *testing.T) {
	calls := own(newSite(t, rich()).recorded(t))
	t.Logf("%d calls:\n%s", len(calls), strings.Join(calls, "\n"))
	var later atomic.Int32
	each(t, len(calls)+1, func(t *testing.T, s *site, nth int) {
		var kept bool
		e := s.step(t, keeps(&kept, at(nth, len(calls), kill)), create()...)
		if e.Signal != syscall.SIGKILL {
			later.Add(1)
		}
		s.decided(t, fmt.Sprintf("killed before call %d: %s", nth, append(calls, "the end")[nth-1]), kept)
	})
	if later.Load() > solicitations {
		t.Errorf("%d calls of %d were not reached", later.Load(), len(calls))
	}
}

// solicitations is by how many calls two runs may differ: the kernel may or may not know a gateway already.
const solicitations = 6

// keeps notes that the bridge is kept: its file is removed.
func keeps(kept *bool, next watcher) watcher {
	return func(step stepper.Step) stepper.Act {
		if step.After && step.Result == 0 && strings.HasPrefix(step.Text, "unlink ") && strings.HasSuffix(step.Text, "/br0.wait") {
			*kept = true
		}
		return next(step)
	}
}

// recorded runs create without a disturbance, and goes back.
func (s *site) recorded(t testing.TB) stepper.Ending {
	t.Helper()
	e := s.step(t, goOn, create()...)
	if e.Exit != 0 {
		t.Fatalf("create: exit %d\n%s", e.Exit, e.Stderr)
	}
	s.decided(t, "create", true)
	return e
}

// TestWatchdogKilled kills the watchdog at each changing system call of `bridge create`, which then restores by itself or, if everything was
// done already, keeps the bridge.
//
// Claim: Killed at any changing system call, `bridge create` and `bridge delete`, or their watchdog, leave a host that is reached, and is
// completely before or completely after
func TestWatchdogKilled(t *testing.T) {
	calls := own(newSite(t, rich()).recorded(t))
	var mu sync.Mutex
	count := map[int]int{}
	each(t, len(calls), func(t *testing.T, s *site, nth int) {
		var other victim
		defer other.close()
		act := at(nth, len(calls), func() stepper.Act {
			other.end(t)
			return stepper.Go()
		})
		e := s.step(t, func(step stepper.Step) stepper.Act {
			other.see(step)
			return act(step)
		}, create()...)
		s.decided(t, fmt.Sprintf("watchdog killed before call %d: %s: exit %d %s", nth, calls[nth-1], e.Exit, e.Stderr), e.Exit == 0)
		mu.Lock()
		count[e.Exit]++
		mu.Unlock()
	})
	started := slices.Index(calls, "start a process")
	moved := slices.IndexFunc(calls, func(c string) bool { return strings.HasSuffix(c, "/br0.wait") })
	if count[1] < moved-started-solicitations {
		t.Errorf("exit statuses: %v, the watchdog runs from call %d of %d, and all is moved at call %d", count, started, len(calls), moved)
	}
}

// victim is a process to kill. Its pidfd never refers to a later process of the same PID.
type victim struct{ pid, pidfd int }

// see notes the process of a child's call, in which it is stopped.
func (v *victim) see(step stepper.Step) {
	if step.Kind != stepper.Child || step.Process == v.pid {
		return
	}
	v.close()
	if fd, err := unix.PidfdOpen(step.Process, 0); err == nil {
		v.pid, v.pidfd = step.Process, fd
	}
}

func (v *victim) close() {
	if v.pid != 0 {
		unix.Close(v.pidfd)
	}
}

// end kills the process and waits until no thread of it runs any more. Its tracer cannot wait for it meanwhile.
func (v *victim) end(t testing.TB) {
	t.Helper()
	if v.pid == 0 {
		return
	}
	if err := unix.PidfdSendSignal(v.pidfd, unix.SIGKILL, nil, 0); errors.Is(err, unix.ESRCH) {
		return
	} else if err != nil {
		t.Errorf("kill the watchdog: %v", err)
	}
	for until := time.Now().Add(20 * time.Second); running(v.pid); time.Sleep(time.Millisecond) {
		if time.Now().After(until) {
			t.Error("the watchdog does not end")
			return
		}
	}
}

func running(pid int) bool {
	all, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	return slices.ContainsFunc(all, func(path string) bool {
		text, err := os.ReadFile(path)
		_, rest, _ := strings.Cut(string(text), ") ")
		return err == nil && !strings.HasPrefix(rest, "Z") && !strings.HasPrefix(rest, "X")
	})
}

// TestDeleteKilled kills `bridge delete` at each of its changing system calls: its watchdog finishes what it began.
//
// Claim: Killed at any changing system call, `bridge create` and `bridge delete`, or their watchdog, leave a host that is reached, and is
// completely before or completely after
func TestDeleteKilled(t *testing.T) {
	s := newSite(t, rich())
	s.ok(t, create()...)
	e := s.step(t, goOn, "bridge", "delete", "br0")
	s.decided(t, "delete", e.Exit != 0)
	calls := own(e)
	t.Logf("%d calls:\n%s", len(calls), strings.Join(calls, "\n"))
	each(t, len(calls)+1, func(t *testing.T, s *site, nth int) {
		s.ok(t, create()...)
		begun, act := false, at(nth, len(calls), kill)
		e := s.step(t, func(step stepper.Step) stepper.Act {
			begun = begun || step.After && strings.HasSuffix(step.Text, "/br0.undo") && strings.HasPrefix(step.Text, "rename ")
			return act(step)
		}, "bridge", "delete", "br0")
		if e.Signal != syscall.SIGKILL {
			t.Errorf("call %d was not reached: exit %d\n%s", nth, e.Exit, e.Stderr)
		}
		s.finish(t, begun)
		s.decided(t, fmt.Sprintf("killed before call %d: %s", nth, append(calls, "the end")[nth-1]), !begun)
	})
}

// finish repeats a delete whose process was killed before it had a watchdog.
func (s *site) finish(t testing.TB, begun bool) {
	t.Helper()
	if begun && strings.Contains(s.Run(t, "ip", "-brief", "link"), "br0") {
		s.isBridged(t)
		s.ok(t, "bridge", "delete", "br0")
	}
}
