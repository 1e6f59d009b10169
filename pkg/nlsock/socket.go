package nlsock

import (
	"errors"
	"fmt"
	"iter"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// answerTimeout bounds every read. The kernel answers most requests within sendto(2); an nftables
// transaction waits for the transactions of other processes.
const answerTimeout = 10 * time.Second

// bufferSize, in bytes, holds the longest datagram of a dump. The kernel sizes the parts of a dump by
// the longest read so far, up to 32 KiB (netlink_dump, NLMSG_GOODSIZE).
const bufferSize = 32 << 10

// ErrInterrupted reports that objects changed while the kernel listed them (NLM_F_DUMP_INTR), so that
// the list may lack some or have some twice.
var ErrInterrupted = errors.New("netlink dump interrupted")

// Opener opens a socket as socket(2) does, possibly in another network namespace.
type Opener func(domain, kind, protocol int) (fd int, err error)

// Socket is a netlink socket whose calls block.
type Socket struct {
	fd       int
	seq      uint32
	timeout  time.Duration // of the next read
	deadline time.Time     // of all reads; the zero Time for none
	buffer   []byte        // the last datagram
}

// Open opens a socket of a netlink protocol (unix.NETLINK_*) in the network namespace of the calling
// thread. Close it when done. Errors wrap the errno of socket(2), EPROTONOSUPPORT where the kernel
// lacks the protocol.
func Open(protocol int) (*Socket, error) { return OpenIn(unix.Socket, protocol) }

// OpenIn opens a socket with open, whose network namespace the socket belongs to, and subscribes it to
// the notifications of multicast groups (RTNLGRP_* and the like, 1 to 32).
func OpenIn(open Opener, protocol int, groups ...uint) (*Socket, error) {
	fd, err := open(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, protocol)
	if err != nil {
		return nil, fmt.Errorf("open netlink socket: %w", err)
	}
	address := &unix.SockaddrNetlink{Family: unix.AF_NETLINK}
	for _, group := range groups {
		address.Groups |= 1 << (group - 1)
	}
	if err := unix.Bind(fd, address); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("bind netlink socket: %w", err)
	}
	// EXT_ACK (Linux 4.12) adds the kernel's text to an error. CAP_ACK (4.3) keeps the request out of
	// it: the errors of a transaction of thousands of ports, each with its request, would not fit into
	// the receive buffer. STRICT_CHK (4.20) makes the kernel apply the filters of a dump. Older kernels
	// do without.
	_ = unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_EXT_ACK, 1)
	_ = unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_CAP_ACK, 1)
	_ = unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_GET_STRICT_CHK, 1)
	s := &Socket{fd: fd, buffer: make([]byte, bufferSize)}
	if err := s.setTimeout(answerTimeout); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// Close closes the socket.
func (s *Socket) Close() { unix.Close(s.fd) }

// FD returns the file descriptor, for ioctl(2) and getsockopt(2) in the namespace of the socket.
func (s *Socket) FD() int { return s.fd }

// SetDeadline bounds all reads from now on by a point in time, beside the 10 s of each.
func (s *Socket) SetDeadline(t time.Time) { s.deadline = t }

// SetSendBuffer enlarges the send buffer to a size in bytes, as far as the caller's privileges and
// net.core.wmem_max allow: SO_SNDBUFFORCE needs CAP_NET_ADMIN of the initial user namespace.
func (s *Socket) SetSendBuffer(bytes int) {
	if unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, bytes) != nil {
		_ = unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_SNDBUF, bytes)
	}
}

// SetReceiveBuffer enlarges the receive buffer as SetSendBuffer does the other one.
func (s *Socket) SetReceiveBuffer(bytes int) {
	if unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, bytes) != nil {
		_ = unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_RCVBUF, bytes)
	}
}

// Send sends messages in one datagram. It numbers them and returns the sequence number of the first;
// the others follow it.
func (s *Socket) Send(messages ...Message) (first uint32, err error) {
	first = s.seq + 1
	size := 0
	for _, m := range messages {
		size += unix.NLMSG_HDRLEN + Align(len(m.Data))
	}
	datagram := make([]byte, 0, size)
	for _, m := range messages {
		s.seq++
		m.Seq = s.seq
		datagram = m.append(datagram)
	}
	for {
		err := unix.Sendto(s.fd, datagram, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
		if err == nil {
			return first, nil
		}
		if !errors.Is(err, unix.EINTR) {
			return first, fmt.Errorf("write netlink socket: %w", err)
		}
	}
}

// Execute sends a request and returns its answers: one, or with NLM_F_DUMP a list of any length, of
// which only the current datagram is in memory. The data of an answer is valid until the next one.
// The last pair has the error, if there is one: it wraps the errno and has the kernel's text, or is
// ErrInterrupted after a complete dump. A dump must be read to its end before the next one begins:
// the kernel runs one per socket.
func (s *Socket) Execute(request Message) iter.Seq2[Message, error] {
	return func(yield func(Message, error) bool) {
		seq, err := s.Send(request)
		if err != nil {
			yield(Message{}, err)
			return
		}
		acknowledged := request.Flags&unix.NLM_F_ACK != 0
		for interrupted := false; ; {
			datagram, err := s.Receive()
			if err != nil {
				yield(Message{}, err)
				return
			}
			for m := range Messages(datagram) {
				if m.Seq != seq {
					continue // answers an earlier request, whose reader gave up
				}
				interrupted = interrupted || m.Flags&unix.NLM_F_DUMP_INTR != 0
				if m.IsEnd() {
					err := m.Err()
					if err == nil && interrupted {
						err = ErrInterrupted
					}
					if err != nil {
						yield(Message{}, err)
					}
					return
				}
				if !yield(m, nil) || m.Flags&unix.NLM_F_MULTI == 0 && !acknowledged {
					return
				}
			}
		}
	}
}

// Receive returns the next datagram of the kernel, which is valid until the next call. Errors wrap
// os.ErrDeadlineExceeded when the time is over, ENOBUFS when notifications were lost.
func (s *Socket) Receive() ([]byte, error) {
	if !s.deadline.IsZero() {
		left := min(time.Until(s.deadline), answerTimeout)
		if left <= 0 {
			return nil, fmt.Errorf("read netlink socket: %w", os.ErrDeadlineExceeded)
		}
		if err := s.setTimeout(left); err != nil {
			return nil, err
		}
	}
	for began := time.Now(); ; {
		n, from, err := unix.Recvfrom(s.fd, s.buffer, unix.MSG_TRUNC)
		switch {
		case errors.Is(err, unix.EINTR) && time.Since(began) < s.timeout: // SO_RCVTIMEO starts anew
			continue
		case errors.Is(err, unix.EAGAIN):
			return nil, fmt.Errorf("read netlink socket: %w after %v", os.ErrDeadlineExceeded, s.timeout)
		case err != nil:
			return nil, fmt.Errorf("read netlink socket: %w", err)
		case n > len(s.buffer):
			return nil, fmt.Errorf("read netlink socket: datagram of %d bytes: %w", n, unix.EMSGSIZE)
		}
		// Any process may send to a netlink socket; the kernel's port is 0.
		if kernel, ok := from.(*unix.SockaddrNetlink); ok && kernel.Pid == 0 {
			return s.buffer[:n], nil
		}
	}
}

// Wait waits for a notification of the groups that the socket is subscribed to, at most for a time. It
// returns nil too when the time is over or notifications were lost: the caller looks at the state that
// it waits for in either case.
func (s *Socket) Wait(atMost time.Duration) error {
	if err := s.setTimeout(max(atMost, time.Millisecond)); err != nil {
		return err
	}
	_, err := s.Receive()
	if errors.Is(err, os.ErrDeadlineExceeded) || IsLoss(err) {
		return nil
	}
	return err
}

// IsLoss reports whether an error of Receive says that notifications were lost, because the receive buffer was full (netlink(7), ENOBUFS) or
// one was larger than the buffer of this package (EMSGSIZE): anything may have changed.
func IsLoss(err error) bool { return errors.Is(err, unix.ENOBUFS) || errors.Is(err, unix.EMSGSIZE) }

// Notifications waits, without a limit, for the next datagram of the groups that the socket is subscribed to, and returns its messages, which
// are valid until the next call. If notifications were lost it says so instead.
func (s *Socket) Notifications() (all iter.Seq[Message], lost bool, err error) {
	for {
		datagram, err := s.Receive()
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			continue
		case IsLoss(err):
			return nil, true, nil
		case err != nil:
			return nil, false, err
		}
		return Messages(datagram), false, nil
	}
}

// setTimeout bounds the next reads. Zero would mean no bound (SO_RCVTIMEO).
func (s *Socket) setTimeout(d time.Duration) error {
	limit := unix.NsecToTimeval(max(d, time.Microsecond).Nanoseconds())
	if err := unix.SetsockoptTimeval(s.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &limit); err != nil {
		return fmt.Errorf("set read timeout of netlink socket: %w", err)
	}
	s.timeout = d
	return nil
}
