package nettest

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// socket is a socket in a namespace. It is opened on a thread in it, can be used from
// any goroutine, and has deadlines because the runtime's poller waits for it.
type socket struct {
	file *os.File
	raw  syscall.RawConn
	fd   int
}

// openSocket opens a socket inside the namespace and lets prepare, which runs
// there too, bind it and set its options.
func (n *Netns) openSocket(domain, kind, proto int, prepare func(fd int) error) (*socket, error) {
	fd, err := -1, error(nil)
	n.Do(func() {
		fd, err = unix.Socket(domain, kind|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, proto)
		if err != nil {
			err = fmt.Errorf("open socket in %s: %w", n.name, err)
			return
		}
		err = prepare(fd)
	})
	if err != nil {
		if fd >= 0 {
			_ = unix.Close(fd)
		}
		return nil, err
	}
	s := &socket{file: os.NewFile(uintptr(fd), "socket in "+n.name), fd: fd}
	if s.raw, err = s.file.SyscallConn(); err != nil {
		_ = s.file.Close()
		return nil, err
	}
	return s, nil
}

// receive waits for a packet until the deadline that was set.
func (s *socket) receive(buf []byte) (int, unix.Sockaddr, error) {
	var n int
	var from unix.Sockaddr
	var err error
	waited := s.raw.Read(func(fd uintptr) bool {
		n, from, err = unix.Recvfrom(int(fd), buf, 0)
		return !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR)
	})
	if waited != nil {
		return 0, nil, waited
	}
	return n, from, err
}

// receiveQueued returns a queued packet; EAGAIN if there is none.
func (s *socket) receiveQueued(buf []byte) (n int, from unix.Sockaddr, err error) {
	failed := s.raw.Control(func(fd uintptr) {
		for {
			n, from, err = unix.Recvfrom(int(fd), buf, unix.MSG_DONTWAIT)
			if !errors.Is(err, unix.EINTR) {
				return
			}
		}
	})
	return n, from, errors.Join(failed, err)
}

// send sends one packet; it does not wait for a full send buffer.
func (s *socket) send(packet []byte, to unix.Sockaddr) error {
	var err error
	failed := s.raw.Control(func(fd uintptr) { err = unix.Sendto(int(fd), packet, 0, to) })
	return errors.Join(failed, err)
}

func (s *socket) deadline(t time.Time) { _ = s.file.SetReadDeadline(t) }

func (s *socket) close() { _ = s.file.Close() }
