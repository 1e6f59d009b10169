package conntrack

import (
	"context"
	"errors"
	"fmt"
	"syscall"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// table is the way to the flows of the network namespace the process is in.
type table struct {
	ctx  context.Context
	conn *netlink.Conn
}

func open(ctx context.Context) (*table, error) {
	conn, err := netlink.Dial(unix.NETLINK_NETFILTER, nil)
	if errors.Is(err, unix.EPROTONOSUPPORT) || errors.Is(err, unix.EAFNOSUPPORT) {
		return nil, fmt.Errorf("%w: %w", ErrUnsupported, err)
	}
	if err != nil {
		return nil, fmt.Errorf("open socket to conntrack: %w", err)
	}
	deadline, _ := ctx.Deadline()
	if err := conn.SetDeadline(deadline); err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("bound socket to conntrack: %w", err)
	}
	return &table{ctx: ctx, conn: conn}, nil
}

func (t *table) close() { _ = t.conn.Close() }

// Messages of linux/netfilter/nfnetlink_conntrack.h.
const (
	msgGet, msgDelete, msgGetStats = 1, 2, 5

	statsEntries = 1 // CTA_STATS_GLOBAL_ENTRIES
)

func message(kind uint16, flags netlink.HeaderFlags, body []byte) netlink.Message {
	return netlink.Message{
		Header: netlink.Header{Type: netlink.HeaderType(unix.NFNL_SUBSYS_CTNETLINK<<8 | kind), Flags: netlink.Request | flags},
		Data:   body,
	}
}

// count is how many flows there are. It is asked first: what answers EINVAL to this is a kernel without
// conntrack, while a dump may be refused for more than one reason. The answer says that more will come,
// and only the acknowledgement does.
func (t *table) count() (uint32, error) {
	if err := t.ctx.Err(); err != nil {
		return 0, err
	}
	answers, err := t.conn.Execute(message(msgGetStats, netlink.Acknowledge, header(unix.AF_UNSPEC)))
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EOPNOTSUPP) {
		return 0, fmt.Errorf("%w: %w", ErrUnsupported, err)
	}
	if err != nil {
		return 0, fmt.Errorf("count flows of conntrack: %w", err)
	}
	for _, answer := range answers {
		if n, ok := entries(answer.Data); ok {
			return n, nil
		}
	}
	return 0, errors.New("count flows of conntrack: the answer has no number")
}

// list picks among the flows that answer a question; others may be among them.
func (t *table) list(q question, pick func(flow) bool) ([]flow, error) {
	if err := t.ctx.Err(); err != nil {
		return nil, err
	}
	body, err := q.encode()
	if err != nil {
		return nil, fmt.Errorf("ask conntrack: %w", err)
	}
	sent, err := t.conn.Send(message(msgGet, netlink.Dump, body))
	if err != nil {
		return nil, fmt.Errorf("ask conntrack: %w", err)
	}
	var picked []flow
	var unread error
	err = t.eachAnswer(sent.Header.Sequence, func(body []byte) {
		f, err := decodeFlow(body)
		if err != nil {
			unread = fmt.Errorf("read flow of conntrack: %w", err)
		} else if pick(f) {
			picked = append(picked, f)
		}
	})
	if err != nil {
		err = fmt.Errorf("list flows of conntrack: %w", err)
	}
	return picked, errors.Join(err, unread)
}

// bufferSize holds the longest message of a dump: the kernel never makes one of more than 32 KiB.
const bufferSize = 32 << 10

// eachAnswer reads a dump as it comes. The library's reading keeps all of it, two kilobytes for each
// flow, and there may be hundreds of thousands.
func (t *table) eachAnswer(seq uint32, see func(body []byte)) error {
	raw, err := t.conn.SyscallConn()
	if err != nil {
		return err
	}
	buffer := make([]byte, bufferSize)
	for {
		n, err := receive(raw, buffer)
		if err != nil {
			return err
		}
		messages, err := syscall.ParseNetlinkMessage(buffer[:n])
		if err != nil {
			return err
		}
		for _, m := range messages {
			switch {
			case m.Header.Seq != seq:
			case m.Header.Type == unix.NLMSG_DONE || m.Header.Type == unix.NLMSG_ERROR:
				return verdict(m.Data)
			default:
				see(m.Data)
			}
		}
	}
}

// receive reads one datagram of the kernel's, within the deadline of the socket.
func receive(raw syscall.RawConn, buffer []byte) (n int, err error) {
	var from unix.Sockaddr
	waited := raw.Read(func(fd uintptr) bool {
		n, from, err = unix.Recvfrom(int(fd), buffer, unix.MSG_DONTWAIT|unix.MSG_TRUNC)
		return !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR)
	})
	kernel, ok := from.(*unix.SockaddrNetlink)
	switch {
	case waited != nil:
		return 0, waited
	case err != nil:
		return 0, err
	case n > len(buffer):
		return 0, unix.EMSGSIZE
	case !ok || kernel.Pid != 0:
		return 0, nil
	}
	return n, nil
}

// endIf ends a flow to an address of the host's own. One that ended by itself is no error.
func (t *table) endIf(f flow, local Local) error {
	if err := t.ctx.Err(); err != nil {
		return err
	}
	is, err := local(f.to.Addr())
	if err != nil {
		return fmt.Errorf("is %s an address of this host: %w", f.to.Addr(), err)
	}
	if !is {
		return nil
	}
	body, err := f.encode()
	if err == nil {
		_, err = t.conn.Execute(message(msgDelete, netlink.Acknowledge, body))
	}
	if err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("end flow to %s that leads to %s: %w", f.to, f.end, err)
	}
	return nil
}
