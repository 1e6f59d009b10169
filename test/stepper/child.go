package stepper

import (
	"errors"
	"fmt"
	"os"
	"path"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A program that the program starts inherits the filter, and so it has to be followed too: a call
// that the filter stops is not made where nobody follows. Signals are sent to the program alone.

// relative is a thread of such a program.
type relative struct {
	view *tracer // reads that program's memory and descriptors
	in   *inCall
}

// processOf is the process that a thread belongs to; 0 for one that is gone.
func processOf(tid int) int {
	status, _ := os.ReadFile("/proc/" + strconv.Itoa(tid) + "/status")
	_, rest, _ := strings.Cut(string(status), "\nTgid:\t")
	number, _, _ := strings.Cut(rest, "\n")
	pid, _ := strconv.Atoi(number)
	return pid
}

// adopt notes a new thread, which begins with a stop.
func (t *tracer) adopt(tid int) {
	pid := processOf(tid)
	if pid == 0 || pid == t.pid {
		t.threads[tid] = nil
		return
	}
	t.relatives[tid] = &relative{view: &tracer{pid: pid, pidfd: -1}}
}

// relativeStopped serves one stop of a thread of a program that the program started.
func (t *tracer) relativeStopped(tid int, ws unix.WaitStatus) error {
	r := t.relatives[tid]
	switch sig := ws.StopSignal(); {
	case sig == syscallStop, ws.TrapCause() == unix.PTRACE_EVENT_SECCOMP:
		held, err := t.relativeCall(tid, r)
		if err != nil || held {
			return err
		}
		return r.resume(tid, 0)
	case sig == syscall.SIGTRAP, sig == syscall.SIGSTOP:
		return r.resume(tid, 0)
	default:
		return r.resume(tid, int(sig))
	}
}

func (r *relative) resume(tid, signal int) error {
	run := unix.PtraceCont
	if r.in != nil {
		run = unix.PtraceSyscall
	}
	if err := run(tid, signal); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("resume a program that was started: %w", err)
	}
	return nil
}

// relativeCall is a stop before a call or behind it. It is held there until the program is dead,
// if that is what shall happen: what dies with the program dies here and not some calls later.
func (t *tracer) relativeCall(tid int, r *relative) (held bool, err error) {
	var i info
	_, _, e := unix.Syscall6(unix.SYS_PTRACE, unix.PTRACE_GET_SYSCALL_INFO, uintptr(tid), unsafe.Sizeof(i), uintptr(unsafe.Pointer(&i)), 0, 0)
	if e != 0 {
		return false, nil // it is gone
	}
	step := Step{After: i.op == unix.PTRACE_SYSCALL_INFO_EXIT}
	if step.After {
		if r.in == nil || restarted(int(i.nr)) {
			return false, nil
		}
		step.Call, step.Result, r.in = r.in.call, int(i.nr), nil
	} else {
		if step.Call = r.view.ofRelative(normal(i.nr, i.args)); step.Call == nil {
			return false, nil
		}
		r.in = &inCall{call: step.Call}
		t.number(step.Call)
	}
	act := t.watch(step)
	if act.what != sendSignal {
		return false, nil
	}
	return act.signal == syscall.SIGKILL, t.send(act.signal)
}

// ofRelative is classify for a program that was started: what it does to files, and what it becomes.
// What it reads and prints is between the two programs.
func (t *tracer) ofRelative(nr uint64, args [6]uint64) *Call {
	c := t.classify(nr, args)
	switch {
	case nr == unix.SYS_EXECVE:
		c = &Call{Changing: true, Text: "exec " + path.Base(t.text(args[0]))}
	case c == nil || c.Kind != File:
		return nil
	}
	c.Kind, c.Text = Child, "child: "+c.Text
	return c
}

// release lets those go on that were held, when the program is dead. Those that died with it are
// not there any more.
func (t *tracer) release() {
	for tid, r := range t.relatives {
		_ = r.resume(tid, 0)
	}
}
