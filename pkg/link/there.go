package link

import (
	"fmt"
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Two things have to be done by a thread that is in the container's network namespace: opening a
// socket, which then belongs to it whoever uses it, and writing a sysctl. The way of an ADD does
// them without runtime.LockOSThread, which starts one more thread in a process that lives for
// three milliseconds. That is safe because nothing can come between: the functions below are
// nosplit, so that the compiler leaves no point in them where the scheduler could take the
// goroutine away (cmd/compile, liveness.markUnsafePoints), and make only raw system calls, at
// which it does not look for work either. They must stay free of calls to anything else.

// opened is what came of socketIn: the first three are in the order in which they happened.
type opened struct {
	entering, socket, returning unix.Errno
	fd                          uintptr
}

// socketIn opens a socket of the kind in another network namespace and comes back.
//
//go:nosplit
//go:norace
func socketIn(netns, home uintptr, kind [3]uintptr) (o opened) {
	if _, _, o.entering = unix.RawSyscall(unix.SYS_SETNS, netns, unix.CLONE_NEWNET, 0); o.entering != 0 {
		return o
	}
	o.fd, _, o.socket = unix.RawSyscall(unix.SYS_SOCKET, kind[0], kind[1], kind[2])
	_, _, o.returning = unix.RawSyscall(unix.SYS_SETNS, home, unix.CLONE_NEWNET, 0)
	return o
}

// rawWrite is one file to be written, and how that went.
type rawWrite struct {
	path, value *byte // the path is absolute and ends with a zero byte
	length      uintptr
	before      [2]byte // what was there, if it is one digit
	errno       unix.Errno
}

// writeIn writes files in another network namespace, up to the first that fails, and comes back.
// A digit that is there already is not written: to write disable_ipv6, Linux tries for the RTNL
// lock again and again (restart_syscall), and as long as others wait for it, it is theirs.
//
//go:nosplit
//go:norace
func writeIn(netns, home uintptr, files []rawWrite) (errno, stuck unix.Errno) {
	if _, _, errno = unix.RawSyscall(unix.SYS_SETNS, netns, unix.CLONE_NEWNET, 0); errno != 0 {
		return errno, 0
	}
	for i := range files {
		f := &files[i]
		fd, _, e := unix.RawSyscall6(unix.SYS_OPENAT, 0, uintptr(unsafe.Pointer(f.path)), unix.O_RDWR|unix.O_CLOEXEC, 0, 0, 0)
		if e == 0 {
			_, _, _ = unix.RawSyscall6(unix.SYS_PREAD64, fd, uintptr(unsafe.Pointer(&f.before)), 2, 0, 0, 0)
			if f.length != 1 || f.before != [2]byte{*f.value, '\n'} {
				_, _, e = unix.RawSyscall(unix.SYS_WRITE, fd, uintptr(unsafe.Pointer(f.value)), f.length)
			}
			_, _, _ = unix.RawSyscall(unix.SYS_CLOSE, fd, 0, 0)
		}
		if f.errno = e; e != 0 {
			break
		}
	}
	_, _, stuck = unix.RawSyscall(unix.SYS_SETNS, home, unix.CLONE_NEWNET, 0)
	return 0, stuck
}

// socketThere opens a socket in the sandbox.
func (s *Sandbox) socketThere(domain, kind, protocol int) (int, error) {
	o := socketIn(s.netns.Fd(), uintptr(s.home), [3]uintptr{uintptr(domain), uintptr(kind), uintptr(protocol)})
	giveUp(o.returning)
	if o.entering != 0 {
		return -1, s.entering(o.entering)
	}
	if o.socket != 0 {
		return -1, o.socket
	}
	return int(o.fd), nil
}

// setSysctlsThere writes sysctls of the sandbox, paths and values. If none of them is there at
// all, it writes nothing.
func (s *Sandbox) setSysctlsThere(wanted [][2]string) error {
	files := make([]rawWrite, 0, len(wanted))
	for _, w := range wanted {
		files = append(files, rawWrite{path: unsafe.StringData(w[0] + "\x00"), value: unsafe.StringData(w[1]), length: uintptr(len(w[1]))})
	}
	errno, stuck := writeIn(s.netns.Fd(), uintptr(s.home), files)
	runtime.KeepAlive(files)
	giveUp(stuck)
	if errno != 0 {
		return s.entering(errno)
	}
	for i, f := range files {
		if i == 0 && f.errno == unix.ENOENT {
			return nil
		}
		if f.errno != 0 {
			return unset(wanted[i][0], wanted[i][1], f.errno)
		}
	}
	return nil
}

func (s *Sandbox) entering(errno unix.Errno) error {
	return fmt.Errorf("enter network namespace %s: %w", s.Path, errno)
}

// giveUp ends the process if a thread could not return to the host: nobody knows which one it is,
// and the next thing done to the host could be done to the container. What was begun is in the
// record. The kernel has no reason to refuse what it has allowed before.
func giveUp(returning unix.Errno) {
	if returning != 0 {
		fmt.Fprintln(os.Stderr, "patchbay: cannot return to the host's network namespace:", returning)
		fmt.Fprintln(os.Stdout, `{"cniVersion": "1.0.0", "code": 999, "msg": "cannot return to the host's network namespace", "details": "call DEL"}`)
		os.Exit(1)
	}
}
