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

// A child process inherits the seccomp filter, so it has to be traced too: without a tracer the filtered calls fail with ENOSYS. Signals
// are sent to the main program only.

// child is a thread of a child process.
type child struct {
	view *tracer // reads memory and descriptors of the child process
	in   *inCall
}

// processOf returns the process of a thread; 0 if it no longer exists.
func processOf(tid int) int {
	status, _ := os.ReadFile("/proc/" + strconv.Itoa(tid) + "/status")
	_, rest, _ := strings.Cut(string(status), "\nTgid:\t")
	number, _, _ := strings.Cut(rest, "\n")
	pid, _ := strconv.Atoi(number)
	return pid
}

// adopt registers a new thread, which begins with a stop.
func (t *tracer) adopt(tid int) {
	pid := processOf(tid)
	if pid == 0 || pid == t.pid {
		t.threads[tid] = nil
		return
	}
	view := &tracer{pid: pid, pidfd: -1, requests: t.requests}
	if t.requests { // to look at its sockets
		view.pidfd, _ = unix.PidfdOpen(pid, 0)
		t.views = append(t.views, view)
	}
	t.children[tid] = &child{view: view}
}

// childStopped handles one stop of a thread of a child process.
func (t *tracer) childStopped(tid int, ws unix.WaitStatus) error {
	r := t.children[tid]
	switch sig := ws.StopSignal(); {
	case sig == syscallStop, ws.TrapCause() == unix.PTRACE_EVENT_SECCOMP:
		held, err := t.childCall(tid, r)
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

func (r *child) resume(tid, signal int) error {
	run := unix.PtraceCont
	if r.in != nil {
		run = unix.PtraceSyscall
	}
	if err := run(tid, signal); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("resume a child process: %w", err)
	}
	return nil
}

// childCall handles a stop before or after a call of a child process. If the main program is killed there, the child stays stopped until
// the main program has ended: a child that is killed with it ends here and not some calls later.
func (t *tracer) childCall(tid int, r *child) (held bool, err error) {
	var i info
	_, _, e := unix.Syscall6(unix.SYS_PTRACE, unix.PTRACE_GET_SYSCALL_INFO, uintptr(tid), unsafe.Sizeof(i), uintptr(unsafe.Pointer(&i)), 0, 0)
	if e != 0 {
		return false, nil // the thread no longer exists
	}
	step := Step{After: i.op == unix.PTRACE_SYSCALL_INFO_EXIT, Process: r.view.pid}
	if step.After {
		if r.in == nil || restarted(int(i.nr)) {
			return false, nil
		}
		step.Call, step.Result, r.in = r.in.call, int(i.nr), nil
	} else {
		if step.Call = r.view.classifyChild(normalize(i.nr, i.args)); step.Call == nil {
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

// classifyChild is classify for a child process: it returns file changes and exec, and with Program.ChildRequests netlink messages. What the
// child reads and prints concerns its parent only.
func (t *tracer) classifyChild(nr uint64, args [6]uint64) *Call {
	c := t.classify(nr, args)
	switch {
	case nr == unix.SYS_EXECVE:
		c = &Call{Changing: true, Text: "exec " + path.Base(t.text(args[0]))}
	case c == nil || c.Kind != File && (c.Kind != Request || !t.requests):
		return nil
	}
	c.Kind, c.Text = Child, "child: "+c.Text
	return c
}

// release resumes the stopped children after the end of the main program. Those that were killed with it no longer exist.
func (t *tracer) release() {
	for tid, r := range t.children {
		_ = r.resume(tid, 0)
	}
}
