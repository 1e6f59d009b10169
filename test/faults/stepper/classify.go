package stepper

import (
	"encoding/binary"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// classify describes a call; nil for one that is not reported.
func (t *tracer) classify(nr uint64, args [6]uint64) *Call {
	switch nr {
	case unix.SYS_OPENAT, unix.SYS_OPENAT2:
		return t.open(nr, args)
	case unix.SYS_RENAMEAT, unix.SYS_RENAMEAT2:
		from, to := t.path(args[0], args[1]), t.path(args[2], args[3])
		return change("rename", from, " -> "+to)
	case unix.SYS_LINKAT:
		return change("link", t.path(args[2], args[3]), " to "+t.path(args[0], args[1]))
	case unix.SYS_SYMLINKAT:
		return change("symlink", t.path(args[1], args[2]), " to "+t.text(args[0]))
	case unix.SYS_UNLINKAT:
		if args[2]&unix.AT_REMOVEDIR != 0 {
			return change("rmdir", t.path(args[0], args[1]), "")
		}
		return change("unlink", t.path(args[0], args[1]), "")
	case unix.SYS_MKDIRAT, unix.SYS_MKNODAT, unix.SYS_FCHMODAT, unix.SYS_FCHOWNAT, unix.SYS_UTIMENSAT:
		return change(fileCall(nr), t.path(args[0], args[1]), "")
	case unix.SYS_TRUNCATE, unix.SYS_SETXATTR:
		return change(fileCall(nr), t.text(args[0]), "")
	case unix.SYS_FTRUNCATE, unix.SYS_FALLOCATE, unix.SYS_FCHMOD, unix.SYS_FCHOWN:
		return change(fileCall(nr), t.name(int(args[0])), "")
	case unix.SYS_WRITE, unix.SYS_PWRITE64, unix.SYS_WRITEV, unix.SYS_PWRITEV, unix.SYS_SENDTO, unix.SYS_SENDMSG, unix.SYS_SENDMMSG:
		return t.writeCall(nr, args)
	case unix.SYS_READ, unix.SYS_PREAD64, unix.SYS_GETDENTS64, unix.SYS_RECVFROM, unix.SYS_RECVMSG:
		return t.receive(nr, args)
	case unix.SYS_FLOCK:
		return &Call{Kind: Read, Text: "flock " + t.name(int(args[0])), Path: t.name(int(args[0]))}
	}
	if nr == unix.SYS_CLONE3 { // the flags are the first field of struct clone_args
		flags, _ := t.read(region{args[0], 8})
		if len(flags) == 8 {
			nr, args[0] = unix.SYS_CLONE, binary.NativeEndian.Uint64(flags)
		}
	}
	return otherCall(nr, args)
}

func change(what, path, more string) *Call {
	return &Call{Kind: File, Text: what + " " + path + more, Changing: true, Path: path}
}

func fileCall(nr uint64) string {
	switch nr {
	case unix.SYS_MKDIRAT:
		return "mkdir"
	case unix.SYS_MKNODAT:
		return "mknod"
	case unix.SYS_FCHMODAT, unix.SYS_FCHMOD:
		return "chmod"
	case unix.SYS_FCHOWNAT, unix.SYS_FCHOWN:
		return "chown"
	case unix.SYS_UTIMENSAT:
		return "utimes"
	case unix.SYS_SETXATTR:
		return "setxattr"
	}
	return "truncate"
}

// open is a change if it may create or truncate a file, except in /proc and /sys.
func (t *tracer) open(nr uint64, args [6]uint64) *Call {
	path, flags := t.path(args[0], args[1]), args[2]
	if nr == unix.SYS_OPENAT2 {
		how, _ := t.read(region{args[2], 8})
		flags = unix.O_CREAT // if it cannot be read, report it as a change
		if len(how) == 8 {
			flags = uint64(how[0]) | uint64(how[1])<<8 | uint64(how[2])<<16
		}
	}
	c := &Call{Kind: Read, Text: "open " + path, Path: path}
	if strings.HasPrefix(path, "/proc/") || strings.HasPrefix(path, "/sys/") {
		return c
	}
	for _, flag := range []struct {
		bit  uint64
		text string
	}{{unix.O_CREAT, " create"}, {unix.O_EXCL, " exclusive"}, {unix.O_TRUNC, " truncate"}} {
		if flags&flag.bit != 0 {
			c.Text += flag.text
		}
	}
	if flags&(unix.O_CREAT|unix.O_TRUNC) != 0 {
		c.Kind, c.Changing = File, true
	}
	return c
}

// writeCall describes a call that writes to a descriptor.
func (t *tracer) writeCall(nr uint64, args [6]uint64) *Call {
	fd, at := int(int32(args[0])), region{args[1], int(args[2])}
	name := t.name(fd)
	switch nr {
	case unix.SYS_SENDMSG, unix.SYS_SENDMMSG:
		at = t.message(args[1])
	case unix.SYS_WRITEV, unix.SYS_PWRITEV:
		at = region{}
	}
	switch {
	case fd == 1 && !strings.HasPrefix(name, "/"):
		return &Call{Kind: Result, Text: "write standard output", Changing: true}
	case strings.HasPrefix(name, "socket:"):
		return t.sendSocket(fd, at)
	case strings.HasPrefix(name, "/proc/"):
		value, _ := t.read(at)
		return &Call{Kind: Sysctl, Text: "sysctl " + strings.TrimPrefix(name, "/proc/sys/") + " = " + strings.TrimSpace(string(value)), Changing: true, Path: name}
	case strings.HasPrefix(name, "/memfd:"), strings.HasPrefix(name, "/dev/"), !strings.HasPrefix(name, "/"):
		return nil // standard error, or a pipe or eventfd of the program
	}
	return change("write", name, "")
}

func (t *tracer) sendSocket(fd int, at region) *Call {
	s, ok := t.socketOf(fd)
	switch {
	case !ok:
		return nil
	case s.domain == unix.AF_NETLINK:
		data, _ := t.read(at)
		text, changing := describe(s.protocol, data)
		return &Call{Kind: Request, Text: text, Changing: changing, socket: fd, protocol: s.protocol, buf: at}
	case s.domain == unix.AF_PACKET || s.kind == unix.SOCK_RAW || s.domain == unix.AF_INET || s.domain == unix.AF_INET6:
		return &Call{Kind: Packet, Text: fmt.Sprintf("send %d bytes", at.size), Changing: true}
	}
	return &Call{Kind: Other, Text: fmt.Sprintf("send on a socket of family %d", s.domain), Changing: true}
}

// receive describes a call that reads from a descriptor. Standard input is not reported.
func (t *tracer) receive(nr uint64, args [6]uint64) *Call {
	fd, at, flags := int(int32(args[0])), region{args[1], int(args[2])}, args[3]
	name := t.name(fd)
	if !strings.HasPrefix(name, "socket:") {
		if !strings.HasPrefix(name, "/") || strings.HasPrefix(name, "/memfd:") {
			return nil
		}
		return &Call{Kind: Read, Text: "read " + name, Path: name}
	}
	s, ok := t.socketOf(fd)
	if !ok || s.domain != unix.AF_NETLINK {
		return nil
	}
	switch nr {
	case unix.SYS_RECVMSG:
		at, flags = t.message(args[1]), args[2]
	case unix.SYS_READ:
		flags = 0
	}
	return &Call{Kind: Reply, Text: "receive", socket: fd, buf: at, peek: flags&unix.MSG_PEEK != 0}
}

// tunCall describes an ioctl that creates or changes a tap, "" for another one.
func tunCall(request uint) string {
	return map[uint]string{
		unix.TUNSETIFF: "ioctl TUNSETIFF", unix.TUNSETOWNER: "ioctl TUNSETOWNER", unix.TUNSETGROUP: "ioctl TUNSETGROUP", unix.TUNSETPERSIST: "ioctl TUNSETPERSIST",
	}[request]
}

// otherCall describes calls that no verb should make. They count as changes, so that they are noticed.
func otherCall(nr uint64, args [6]uint64) *Call {
	text := ""
	switch nr {
	case unix.SYS_MOUNT, unix.SYS_UMOUNT2, unix.SYS_MOVE_MOUNT, unix.SYS_PIVOT_ROOT:
		text = "mount or unmount"
	case unix.SYS_EXECVE, unix.SYS_EXECVEAT:
		text = "exec"
	case unix.SYS_CLONE:
		if args[0]&unix.CLONE_THREAD == 0 {
			text = "start a process"
		}
	case unix.SYS_CLONE3:
		text = "start a process"
	case unix.SYS_IOCTL:
		text = tunCall(uint(args[1]))
		// SIOCADDRT to SIOCSIFxxx: 0x8914, 0x8916 and so on; odd numbers only read.
		if args[1] >= 0x8900 && args[1] < 0x8a00 && args[1]&1 == 0 && args[1] != unix.SIOCGIFINDEX {
			text = fmt.Sprintf("ioctl %#x on a socket", args[1])
		}
	}
	if text == "" {
		return nil
	}
	return &Call{Kind: Other, Text: text, Changing: true}
}
