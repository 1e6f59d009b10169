package reported

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
)

// stopped starts a process with the name "sleep" that holds the locks of some files, and stops it until the end of the
// test.
func stopped(t *testing.T, h *nettest.Node, paths ...string) *nettest.Cmd {
	t.Helper()
	nettest.Need(t, nettest.Tool("flock"))
	var argv []string
	for _, path := range paths {
		argv = append(argv, "flock", "--no-fork", path)
	}
	argv = append(argv, "sh", "-c", "echo locked; exec sleep 600")
	cmd := h.Command(argv[0], argv[1:]...)
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { end(cmd) })
	h.Allow(fmt.Sprintf("process %d:", cmd.Process.Pid))
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatalf("%q, %v", line, err)
	}
	awaitName(t, cmd.Process.Pid, "sleep")
	if err := cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	var status unix.WaitStatus
	if _, err := unix.Wait4(cmd.Process.Pid, &status, unix.WUNTRACED, nil); err != nil || !status.Stopped() {
		t.Fatalf("wait until %d is stopped: %v", cmd.Process.Pid, err)
	}
	return cmd
}

// awaitName waits until a process has executed another program.
func awaitName(t *testing.T, pid int, name string) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; runtime.Gosched() {
		comm, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
		if err != nil || time.Now().After(deadline) {
			t.Fatalf("process %d has not become %s: %q, %v", pid, name, comm, err)
		}
		if strings.TrimSpace(string(comm)) == name {
			return
		}
	}
}

// end ends a process, which releases its locks.
func end(cmd *nettest.Cmd) {
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
}

// recordOf returns the path of the attachment's record.
func (a *called) recordOf() string {
	return filepath.Join("/run/patchbay/net", a.c.ID()+"@eth0.json")
}

// slowest is the longest time that a verb may take if locks are never released: the deadline, the undo, and a margin
// for a busy machine.
const slowest = 10*time.Second + 3*time.Second + 5*time.Second

// busy requires that a verb fails within that time, with code 11 and the holder in the details.
func (a *called) busy(t *testing.T, verb string, cmd *nettest.Cmd) {
	t.Helper()
	begun := time.Now()
	e := a.run(t, verb).Error(t)
	took := time.Since(begun)
	want := fmt.Sprintf("process %d (sleep) holds the lock and is stopped: continue it (kill -CONT %d)", cmd.Process.Pid, cmd.Process.Pid)
	if e.Code != 11 || !strings.Contains(e.Msg, "in use by another process") || !strings.Contains(e.Details, want) {
		t.Errorf("%s: code %d, %q, details %q; want 11 and %q", verb, e.Code, e.Msg, e.Details, want)
	}
	if took > slowest {
		t.Errorf("%s took %v", verb, took)
	}
}

const rulesetLock, networkLock = "/run/patchbay/.ruleset", "/run/patchbay/ipam/net/lock"

func recordHeld(t *testing.T) {
	a := stated(t, routed4())
	a.add(t)
	cmd := stopped(t, a.h, a.recordOf())
	a.busy(t, "DEL", cmd)
	end(cmd)
	a.run(t, "DEL").OK(t)
}

// allHeld: DEL waits for the lock of the ruleset, and not again for that of the addresses.
func allHeld(t *testing.T) {
	a := stated(t, routed4(cni.Conf{"ipMasq": true}))
	a.add(t)
	cmd := stopped(t, a.h, rulesetLock, networkLock)
	a.busy(t, "DEL", cmd)
	end(cmd)
	a.run(t, "DEL").OK(t)
}

// rulesetHeldInADD: ADD undoes its changes although the lock is held.
func rulesetHeldInADD(t *testing.T) {
	a := stated(t, routed4(cni.Conf{"ipMasq": true}))
	a.add(t)
	a.run(t, "DEL").OK(t)
	cmd := stopped(t, a.h, rulesetLock)
	a.busy(t, "ADD", cmd)
	a.h.NoLeaks(t)
	end(cmd)
	a.run(t, "STATUS").OK(t)
}

func networkHeldInADD(t *testing.T) {
	a := stated(t, routed4())
	a.add(t)
	a.run(t, "DEL").OK(t)
	cmd := stopped(t, a.h, networkLock)
	a.busy(t, "ADD", cmd)
	a.h.NoLeaks(t)
	delegated := &called{h: a.h, c: a.c, path: filepath.Dir(nettest.Program(t, "macvlan")), conf: a.conf.With(cni.Conf{"type": "macvlan", "master": "lo"})}
	delegated.busy(t, "ADD", cmd)
	end(cmd)
	a.run(t, "STATUS").OK(t)
}

// heldInGC: four attachments are not listed as valid; the record of one is locked, and the network's addresses too.
func heldInGC(t *testing.T) {
	h := nettest.Host(t)
	var all []*called
	for i := range 4 {
		a := &called{h: h, c: h.Container(fmt.Sprint("c", i)), conf: routed4()}
		a.add(t)
		all = append(all, a)
	}
	gc := &called{h: h, c: all[0].c, conf: routed4(cni.Conf{"cni.dev/valid-attachments": []cni.Conf{}})}
	cmd := stopped(t, h, all[2].recordOf(), networkLock)
	gc.busy(t, "GC", cmd)
	end(cmd)
	held := stopped(t, h, all[2].recordOf())
	answer := gc.run(t, "GC").OK(t)
	if want := fmt.Sprintf("left net/%s/eth0: ", all[2].c.ID()); !strings.Contains(string(answer.Stderr), want) || !strings.Contains(string(answer.Stderr), fmt.Sprintf("process %d", held.Process.Pid)) {
		t.Errorf("stderr is %q, not %q", answer.Stderr, want)
	}
	for i, a := range all {
		if a.there() != (i == 2) {
			t.Errorf("attachment %d is there: %t", i, a.there())
		}
	}
	end(held)
	gc.run(t, "GC").OK(t)
}

func (a *called) there() (there bool) {
	a.h.Do(func() {
		_, err := os.Lstat(a.recordOf())
		there = err == nil
	})
	return there
}

// heldInCommands: gc skips what is locked, reload does not wait forever, down of several names has one deadline.
func heldInCommands(t *testing.T) {
	a := stated(t, routed4(cni.Conf{"ipMasq": true}))
	a.add(t)
	cmd := stopped(t, a.h, rulesetLock)
	begun := time.Now()
	a.says(t, 1, fmt.Sprintf("process %d (sleep) holds the lock and is stopped", cmd.Process.Pid), "reload")
	if took := time.Since(begun); took > slowest {
		t.Errorf("reload took %v", took)
	}
	begun = time.Now()
	a.says(t, 0, "", "doctor")
	a.says(t, 0, "", "gc")
	if took := time.Since(begun); took > slowest {
		t.Errorf("doctor and gc took %v", took)
	}
	end(cmd)
	a.run(t, "DEL").OK(t)
}

// heldAndChecked: CHECK waits for the record, STATUS for no lock.
func heldAndChecked(t *testing.T) {
	a := stated(t, routed4())
	a.add(t)
	cmd := stopped(t, a.h, a.recordOf(), networkLock)
	a.busy(t, "CHECK", cmd)
	a.run(t, "STATUS").OK(t) // a wait for a lock that nobody releases ends with an error
	end(cmd)
	a.run(t, "DEL").OK(t)
}
