package stepper

import (
	"errors"
	"fmt"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// tracer follows the threads of one process.
type tracer struct {
	pid, pidfd int
	watch      func(Step) Act
	requests   bool                // netlink messages of child processes are reported
	details    bool                // Call.Detail is filled, and fsync reported
	views      []*tracer           // of threads of child processes, if they are
	threads    map[int]*inCall     // by thread; nil while it is in no reported call
	children   map[int]*child      // by thread, those of child processes
	restarts   map[int]*inCall     // by thread: calls that the kernel restarts
	faults     map[int]*replyFault // by descriptor: fault of the next reply
	changing   int
	ending     Ending
}

// inCall is a call between the stops before and after it.
type inCall struct {
	call   *Call
	nr     uint64
	args   [6]uint64
	forced *int   // the value to return instead
	undo   func() // restores memory that was changed for it
}

// replyFault is the fault to inject into the reply to a request.
type replyFault struct {
	act  Act
	left int           // remaining replies
	as   syscall.Errno // the error of the kernel, to be replaced
}

const (
	syscallStop = syscall.SIGTRAP | 0x80
	waitAll     = unix.WALL | unix.WNOTHREAD // all threads of the tracee, but no children of other threads of this process
)

// attach waits for the stop at exec, sets the ptrace options and installs the filter.
func (t *tracer) attach() error {
	var ws unix.WaitStatus
	if _, err := unix.Wait4(t.pid, &ws, unix.WALL, nil); err != nil {
		return fmt.Errorf("wait for the exec: %w", err)
	}
	const options = unix.PTRACE_O_EXITKILL | unix.PTRACE_O_TRACESYSGOOD | unix.PTRACE_O_TRACESECCOMP |
		unix.PTRACE_O_TRACECLONE | unix.PTRACE_O_TRACEFORK | unix.PTRACE_O_TRACEVFORK
	if err := unix.PtraceSetOptions(t.pid, options); err != nil {
		return fmt.Errorf("set options: %w", err)
	}
	t.threads[t.pid] = nil
	var err error
	if t.pidfd, err = unix.PidfdOpen(t.pid, 0); err != nil {
		return fmt.Errorf("open pidfd: %w", err)
	}
	if err := t.install(); err != nil {
		return err
	}
	return t.resume(t.pid, 0)
}

func (t *tracer) close() {
	for _, one := range append(t.views, t) {
		if one.pidfd >= 0 {
			_ = unix.Close(one.pidfd)
		}
	}
}

// kill is safe at any time: a pidfd never refers to a later process with the same PID.
func (t *tracer) kill() { _ = t.send(syscall.SIGKILL) }

func (t *tracer) send(s syscall.Signal) error { return unix.PidfdSendSignal(t.pidfd, s, nil, 0) }

// follow handles stops until the process and its children have ended.
func (t *tracer) follow() error {
	for ended := false; ; {
		var ws unix.WaitStatus
		tid, err := unix.Wait4(-1, &ws, waitAll, nil)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return fmt.Errorf("wait for a stop: %w", err)
		}
		if ws.Stopped() {
			if err := t.stopped(tid, ws); err != nil {
				t.kill()
				return err
			}
			continue
		}
		delete(t.threads, tid)
		delete(t.children, tid)
		if tid == t.pid {
			ended = true
			t.ended(ws)
		}
		if ended && len(t.children) == 0 {
			return nil
		}
	}
}

func (t *tracer) ended(ws unix.WaitStatus) {
	t.ending.Exit, t.ending.Signal = ws.ExitStatus(), 0
	if ws.Signaled() {
		t.ending.Exit, t.ending.Signal = -1, ws.Signal()
	}
	t.release()
}

// stopped handles one stop of one thread.
func (t *tracer) stopped(tid int, ws unix.WaitStatus) error {
	if t.children[tid] != nil {
		return t.childStopped(tid, ws)
	}
	_, known := t.threads[tid]
	switch sig := ws.StopSignal(); {
	case sig == syscallStop, ws.TrapCause() == unix.PTRACE_EVENT_SECCOMP:
		if err := t.atCall(tid); err != nil {
			return err
		}
		return t.resume(tid, 0)
	case !known: // a new thread begins with a SIGSTOP for the tracer only
		t.adopt(tid)
		return t.resume(tid, 0)
	case sig == syscall.SIGTRAP: // an event
		return t.resume(tid, 0)
	default:
		return t.resume(tid, int(sig))
	}
}

// resume continues a thread to its next stop: after its current call, or before the next filtered one. A thread that was killed in the
// meantime is no error.
func (t *tracer) resume(tid, signal int) error {
	run := unix.PtraceCont
	if t.threads[tid] != nil {
		run = unix.PtraceSyscall
	}
	if err := run(tid, signal); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("resume: %w", err)
	}
	return nil
}

// info is struct ptrace_syscall_info (ptrace(2), Linux 5.3): the same on every architecture.
type info struct {
	op   uint8
	_    [3]uint8
	arch uint32
	_    [2]uint64 // instruction and stack pointer
	nr   uint64    // at an exit: the return value
	args [6]uint64
	_    uint64
}

// atCall handles a stop before or after a call.
func (t *tracer) atCall(tid int) error {
	var i info
	_, _, e := unix.Syscall6(unix.SYS_PTRACE, unix.PTRACE_GET_SYSCALL_INFO, uintptr(tid), unsafe.Sizeof(i), uintptr(unsafe.Pointer(&i)), 0, 0)
	switch {
	case e == unix.ESRCH:
		return nil
	case e != 0:
		return fmt.Errorf("read the system call: %w", e)
	case i.op == unix.PTRACE_SYSCALL_INFO_SECCOMP:
		return t.before(tid, i)
	case i.op == unix.PTRACE_SYSCALL_INFO_EXIT:
		return t.after(tid, int(i.nr))
	}
	return nil
}

func (t *tracer) before(tid int, i info) error {
	if in := t.restarts[tid]; in != nil && in.nr == i.nr && in.args == i.args {
		t.threads[tid] = in
		delete(t.restarts, tid)
		return nil
	}
	nr, args := normalize(i.nr, i.args)
	call := t.classify(nr, args)
	if t.details {
		call = t.detailed(call, nr, args)
	}
	if call == nil {
		t.threads[tid] = nil
		return nil
	}
	in := &inCall{call: call, nr: i.nr, args: i.args}
	t.threads[tid] = in
	if call.Kind == Reply {
		return t.beforeReply(tid, in)
	}
	t.number(call)
	return t.act(tid, in, t.watch(Step{Call: call, Process: t.pid}))
}

// number appends a call to the list and numbers it.
func (t *tracer) number(call *Call) {
	call.Seq = len(t.ending.Calls) + 1
	if call.Changing {
		t.changing++
		call.N = t.changing
	}
	t.ending.Calls = append(t.ending.Calls, *call)
}

func (t *tracer) after(tid, result int) error {
	in := t.threads[tid]
	t.threads[tid] = nil
	if in == nil {
		return nil
	}
	if restarted(result) && in.forced == nil {
		t.restarts[tid] = in
		return nil
	}
	if in.undo != nil {
		in.undo()
	}
	if in.call.Kind == Reply {
		return t.afterReply(tid, in, result)
	}
	if in.forced != nil {
		if err := setReturn(tid, *in.forced); err != nil {
			return err
		}
		result = *in.forced
	}
	if act := t.watch(Step{Call: in.call, After: true, Result: result, Process: t.pid}); act.what == sendSignal {
		return t.send(act.signal)
	}
	return nil
}

// restarted reports whether the kernel restarts the call by itself, after a signal or because a lock was held: writes to
// /proc/sys/net/ipv4/ip_forward are restarted. Both runs count as one call.
func restarted(result int) bool {
	const first, last = 512, 516 // ERESTARTSYS to ERESTART_RESTARTBLOCK of linux/errno.h
	return -result >= first && -result <= last
}

// act executes an Act before a call.
func (t *tracer) act(tid int, in *inCall, act Act) error {
	switch act.what {
	case sendSignal:
		return t.send(act.signal)
	case failCall:
		return skip(tid, in, act.errno)
	case refuse:
		return t.refuse(in, act)
	case lose, interrupt:
		t.faults[in.call.socket] = &replyFault{act: act, left: 1}
	}
	return nil
}

// skip makes the kernel skip the call; the return value is set after it.
func skip(tid int, in *inCall, errno syscall.Errno) error {
	value := -int(errno)
	in.forced = &value
	return setNumber(tid, -1)
}
