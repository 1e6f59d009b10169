package link

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// answerTimeout is how long a socket waits for the kernel. It answers within the call that
// asks, so only a lost answer is ever waited for.
const answerTimeout = 10 * time.Second

// bufferSize holds the longest message rtnetlink sends: it never makes one of more than 32 KiB.
const bufferSize = 32 << 10

// socket is a netlink socket on the way of an ADD. The library's asks the runtime's poller for
// every read and takes 64 KiB of fresh memory for every answer, which together cost an ADD as
// much as what the kernel does for it; this one blocks, and has one buffer for all answers.
// It is not safe for concurrent use.
type socket struct {
	fd     int
	seq    uint32
	limit  time.Duration // of a read
	buffer []byte
}

// openSocket opens a socket in the network namespace that the way leads to. Groups are those whose
// events it hears (RTNLGRP_*, at most 32).
func openSocket(to way, groups ...uint) (*socket, error) {
	return openNetlink(to, unix.NETLINK_ROUTE, groups...)
}

// openNetlink opens one of a netlink protocol (NETLINK_*).
func openNetlink(to way, protocol int, groups ...uint) (*socket, error) {
	fd, err := to.socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, protocol)
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
	// The kernel's own words for an error (4.12), and dumps that are filtered where they are
	// made (4.20): both are only better where they are there.
	_ = unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_EXT_ACK, 1)
	_ = unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_GET_STRICT_CHK, 1)
	s := &socket{fd: fd, buffer: make([]byte, bufferSize)}
	if err := s.waitAtMost(answerTimeout); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *socket) close() { unix.Close(s.fd) }

// waitAtMost bounds every read from now on.
func (s *socket) waitAtMost(d time.Duration) error {
	limit := unix.NsecToTimeval(d.Nanoseconds())
	if err := unix.SetsockoptTimeval(s.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &limit); err != nil {
		return fmt.Errorf("bound reads of netlink socket: %w", err)
	}
	s.limit = d
	return nil
}

// receive reads one datagram into the buffer, where it stays until the next call.
func (s *socket) receive() ([]byte, error) {
	for began := time.Now(); ; {
		n, from, err := unix.Recvfrom(s.fd, s.buffer, unix.MSG_TRUNC)
		if errors.Is(err, unix.EINTR) && time.Since(began) < s.limit { // the kernel begins to count anew
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read netlink socket: %w", err)
		}
		if n > len(s.buffer) {
			return nil, fmt.Errorf("read netlink socket: %d bytes are too long: %w", n, unix.EMSGSIZE)
		}
		if kernel, ok := from.(*unix.SockaddrNetlink); ok && kernel.Pid == 0 {
			return s.buffer[:n], nil
		}
	}
}

// execute sends a request and calls answer for the body of each message that comes back; nil
// where none is wanted. Errors wrap the kernel's errno, with its own words if it has any, or are
// netlink.ErrDumpInterrupted after a dump that may have holes.
func (s *socket) execute(req *nl.NetlinkRequest, answer func(body []byte)) error {
	s.seq++
	req.Seq = s.seq
	if err := unix.Sendto(s.fd, req.Serialize(), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return fmt.Errorf("write netlink socket: %w", err)
	}
	interrupted := false
	for {
		datagram, err := s.receive()
		if err != nil {
			return err
		}
		for m := range messages(datagram) {
			if m.seq != s.seq {
				continue // the answer to a request that was given up
			}
			interrupted = interrupted || m.flags&unix.NLM_F_DUMP_INTR != 0
			if m.kind == unix.NLMSG_ERROR || m.kind == unix.NLMSG_DONE {
				return m.verdict(interrupted)
			}
			if answer != nil {
				answer(m.body)
			}
			if m.flags&unix.NLM_F_MULTI == 0 && req.Flags&unix.NLM_F_ACK == 0 {
				return nil
			}
		}
	}
}

// message is one netlink message of a datagram (struct nlmsghdr, linux/netlink.h).
type message struct {
	kind, flags uint16
	seq         uint32
	body        []byte
}

// messages are those of a datagram; what is cut off at its end is left out.
func messages(datagram []byte) iter.Seq[message] {
	return func(yield func(message) bool) {
		for len(datagram) >= unix.NLMSG_HDRLEN {
			length := int(binary.NativeEndian.Uint32(datagram))
			if length < unix.NLMSG_HDRLEN || length > len(datagram) {
				return
			}
			m := message{
				kind:  binary.NativeEndian.Uint16(datagram[4:]),
				flags: binary.NativeEndian.Uint16(datagram[6:]),
				seq:   binary.NativeEndian.Uint32(datagram[8:]),
				body:  datagram[unix.NLMSG_HDRLEN:length],
			}
			if !yield(m) {
				return
			}
			datagram = datagram[min(align(length), len(datagram)):]
		}
	}
}

// verdict reads an acknowledgement, an error, or the end of a dump: a negative errno first.
func (m message) verdict(interrupted bool) error {
	if len(m.body) >= 4 {
		if errno := int32(binary.NativeEndian.Uint32(m.body)); errno != 0 {
			return m.inWords(syscall.Errno(-errno))
		}
	}
	if interrupted {
		return netlink.ErrDumpInterrupted
	}
	return nil
}

// inWords adds what the kernel says of an error: attribute 1, behind the request that it repeats
// unless a dump ends with it.
func (m message) inWords(errno syscall.Errno) error {
	const nlmFAckTLVs, errnoSize, attrMessage = 0x200, 4, 1 // linux/netlink.h
	if m.flags&nlmFAckTLVs == 0 || len(m.body) < errnoSize+unix.NLMSG_HDRLEN {
		return errno
	}
	repeated := 0
	if m.kind == unix.NLMSG_ERROR {
		repeated = align(int(binary.NativeEndian.Uint32(m.body[errnoSize:])))
	}
	if errnoSize+repeated > len(m.body) {
		return errno
	}
	for kind, value := range attributes(m.body[errnoSize+repeated:]) {
		if kind == attrMessage {
			return fmt.Errorf("%w: %s", errno, unix.ByteSliceToString(value))
		}
	}
	return errno
}

// attributes are the routing attributes (struct rtattr, linux/rtnetlink.h) in a part of a message, type and value.
func attributes(data []byte) iter.Seq2[int, []byte] {
	return func(yield func(int, []byte) bool) {
		for len(data) >= unix.SizeofRtAttr {
			length := int(binary.NativeEndian.Uint16(data))
			if length < unix.SizeofRtAttr || length > len(data) {
				return
			}
			kind := int(binary.NativeEndian.Uint16(data[2:]) &^ (unix.NLA_F_NESTED | unix.NLA_F_NET_BYTEORDER))
			if !yield(kind, data[unix.SizeofRtAttr:length]) {
				return
			}
			data = data[min(align(length), len(data)):]
		}
	}
}

// align rounds up to the four bytes that messages and attributes begin at.
func align(length int) int { return (length + 3) &^ 3 }
