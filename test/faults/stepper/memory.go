package stepper

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path"
	"strconv"

	"golang.org/x/sys/unix"
)

// region is a range of the program's memory.
type region struct {
	addr uint64
	size int
}

// read copies a region. The process must be stopped, or at least the thread that uses the region.
func (t *tracer) read(r region) ([]byte, error) {
	if r.size <= 0 {
		return nil, nil
	}
	out := make([]byte, min(r.size, 1<<20))
	local := []unix.Iovec{{Base: &out[0]}}
	local[0].SetLen(len(out))
	n, err := unix.ProcessVMReadv(t.pid, local, []unix.RemoteIovec{{Base: uintptr(r.addr), Len: len(out)}}, 0)
	if err != nil {
		return nil, fmt.Errorf("read the program's memory: %w", err)
	}
	return out[:n], nil
}

func (t *tracer) write(addr uint64, data []byte) error {
	if len(data) == 0 {
		return nil
	}
	local := []unix.Iovec{{Base: &data[0]}}
	local[0].SetLen(len(data))
	_, err := unix.ProcessVMWritev(t.pid, local, []unix.RemoteIovec{{Base: uintptr(addr), Len: len(data)}}, 0)
	if err != nil {
		return fmt.Errorf("write the program's memory: %w", err)
	}
	return nil
}

// text reads a NUL-terminated string, in pieces that do not cross a page boundary.
func (t *tracer) text(addr uint64) string {
	var out []byte
	for len(out) < 4096 {
		data, err := t.read(region{addr, 256 - int(addr%256)})
		if err != nil {
			break
		}
		if end := bytes.IndexByte(data, 0); end >= 0 {
			return string(append(out, data[:end]...))
		}
		out = append(out, data...)
		addr += uint64(len(data))
	}
	return string(out)
}

// message returns the first buffer of a struct msghdr; netlink messages are in one buffer.
func (t *tracer) message(addr uint64) region {
	head, err := t.read(region{addr, 32})
	if err != nil || len(head) < 32 {
		return region{}
	}
	iov, err := t.read(region{binary.NativeEndian.Uint64(head[16:]), 16})
	if err != nil || len(iov) < 16 {
		return region{}
	}
	return region{binary.NativeEndian.Uint64(iov), int(binary.NativeEndian.Uint64(iov[8:]))}
}

// name returns the target of a descriptor: a path, "socket:[4711]", "pipe:[4712]".
func (t *tracer) name(fd int) string {
	to, _ := os.Readlink("/proc/" + strconv.Itoa(t.pid) + "/fd/" + strconv.Itoa(fd))
	return to
}

// path returns the path of a call with a directory descriptor and a path.
func (t *tracer) path(dir, addr uint64) string {
	name := t.text(addr)
	if path.IsAbs(name) || int32(dir) == unix.AT_FDCWD {
		return name
	}
	return path.Join(t.name(int(int32(dir))), name)
}

// socket has the type of a socket.
type socket struct{ domain, kind, protocol int }

// socketOf reads the type of a socket from a copy of its descriptor.
func (t *tracer) socketOf(fd int) (socket, bool) {
	ours, err := unix.PidfdGetfd(t.pidfd, fd, 0)
	if err != nil {
		return socket{}, false
	}
	defer unix.Close(ours)
	var s socket
	var errs [3]error
	s.domain, errs[0] = unix.GetsockoptInt(ours, unix.SOL_SOCKET, unix.SO_DOMAIN)
	s.kind, errs[1] = unix.GetsockoptInt(ours, unix.SOL_SOCKET, unix.SO_TYPE)
	s.protocol, errs[2] = unix.GetsockoptInt(ours, unix.SOL_SOCKET, unix.SO_PROTOCOL)
	return s, errs == [3]error{}
}
