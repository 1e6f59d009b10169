package nft

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"os"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// answerTimeout bounds every wait for the kernel. A transaction waits for those of others.
const answerTimeout = 10 * time.Second

// bufferSize holds the longest datagram that nfnetlink sends: a dump is told in pieces of 32 KiB at
// most (NLMSG_GOODSIZE and what a reader offers).
const bufferSize = 32 << 10

// socket is a netlink socket that blocks. The library's goes by the runtime's poller, which an ADD
// would have to set up for these few questions alone, and peeks before every read. It is not safe
// for concurrent use.
type socket struct {
	fd     int
	seq    uint32
	buffer []byte
}

// dial opens one in the network namespace of the calling thread.
func dial() (*socket, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_NETFILTER)
	if err != nil {
		return nil, err
	}
	limit := unix.NsecToTimeval(answerTimeout.Nanoseconds())
	err = errors.Join(unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &limit), unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}))
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	// A refusal repeats what it refuses, by default: those of a transaction of thousands of ports
	// would not fit into the receive buffer, and nobody would know why it was refused.
	_ = unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_CAP_ACK, 1)
	return &socket{fd: fd, buffer: make([]byte, bufferSize)}, nil
}

func (s *socket) close() { unix.Close(s.fd) }

// room makes the send buffer larger, in bytes; root of a user namespace gets what net.core allows.
func (s *socket) room(bytes int) {
	if unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, bytes) != nil {
		_ = unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_SNDBUF, bytes)
	}
}

// send writes messages as one datagram and returns the sequence number of the first; those of the
// others follow it.
func (s *socket) send(messages []netlink.Message) (first uint32, err error) {
	var datagram []byte
	first = s.seq + 1
	for _, m := range messages {
		s.seq++
		length := unix.NLMSG_HDRLEN + len(m.Data)
		datagram = binary.NativeEndian.AppendUint32(datagram, uint32(length))
		datagram = binary.NativeEndian.AppendUint16(datagram, uint16(m.Header.Type))
		datagram = binary.NativeEndian.AppendUint16(datagram, uint16(m.Header.Flags))
		datagram = binary.NativeEndian.AppendUint32(datagram, s.seq)
		datagram = binary.NativeEndian.AppendUint32(datagram, 0)
		datagram = append(datagram, m.Data...)
		datagram = append(datagram, make([]byte, -length&3)...)
	}
	for {
		err = unix.Sendto(s.fd, datagram, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
		if !errors.Is(err, unix.EINTR) {
			return first, err
		}
	}
}

// execute sends a question and returns its answers: one, or a list.
func (s *socket) execute(m netlink.Message) (answers []netlink.Message, err error) {
	seq, err := s.send([]netlink.Message{m})
	if err != nil {
		return nil, fmt.Errorf("ask nftables: %w", err)
	}
	for {
		datagram, err := s.receive()
		if err != nil {
			return nil, err
		}
		for answer := range messagesOf(datagram) {
			if answer.Header.Sequence != seq {
				continue // to a question that was given up
			}
			switch answer.Header.Type {
			case netlink.Error, netlink.Done:
				return answers, verdictOf(answer)
			}
			answer.Data = append([]byte(nil), answer.Data...)
			answers = append(answers, answer)
			if answer.Header.Flags&netlink.Multi == 0 {
				return answers, nil
			}
		}
	}
}

// receive reads one datagram into the buffer, where it stays until the next call.
func (s *socket) receive() ([]byte, error) {
	for began := time.Now(); ; {
		n, from, err := unix.Recvfrom(s.fd, s.buffer, unix.MSG_TRUNC)
		switch {
		case errors.Is(err, unix.EINTR) && time.Since(began) < answerTimeout: // the kernel begins to count anew
			continue
		case errors.Is(err, unix.EAGAIN):
			return nil, fmt.Errorf("nftables does not answer: %w", os.ErrDeadlineExceeded)
		case err != nil:
			return nil, fmt.Errorf("read answer of nftables: %w", err)
		case n > len(s.buffer):
			return nil, fmt.Errorf("read answer of nftables: %d bytes are too long: %w", n, unix.EMSGSIZE)
		}
		if kernel, ok := from.(*unix.SockaddrNetlink); ok && kernel.Pid == 0 {
			return s.buffer[:n], nil
		}
	}
}

// messagesOf are those of a datagram; what is cut off at its end is left out.
func messagesOf(datagram []byte) iter.Seq[netlink.Message] {
	return func(yield func(netlink.Message) bool) {
		for len(datagram) >= unix.NLMSG_HDRLEN {
			length := int(binary.NativeEndian.Uint32(datagram))
			if length < unix.NLMSG_HDRLEN || length > len(datagram) {
				return
			}
			m := netlink.Message{Data: datagram[unix.NLMSG_HDRLEN:length]}
			m.Header.Type = netlink.HeaderType(binary.NativeEndian.Uint16(datagram[4:]))
			m.Header.Flags = netlink.HeaderFlags(binary.NativeEndian.Uint16(datagram[6:]))
			m.Header.Sequence = binary.NativeEndian.Uint32(datagram[8:])
			if !yield(m) {
				return
			}
			datagram = datagram[min((length+3)&^3, len(datagram)):]
		}
	}
}

// verdictOf reads an acknowledgement, an error, or the end of a list: a negative errno comes first.
func verdictOf(m netlink.Message) error {
	if len(m.Data) < 4 {
		return nil
	}
	if errno := int32(binary.NativeEndian.Uint32(m.Data)); errno != 0 {
		return unix.Errno(-errno)
	}
	return nil
}
