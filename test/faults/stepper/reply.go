package stepper

import (
	"encoding/binary"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	noSuchRequest   = 0x7ff0                              // an unknown message type: rtnetlink replies EOPNOTSUPP, sock_diag EINVAL
	noSuchRule      = unix.NFNL_SUBSYS_NFTABLES<<8 | 0xff // an unknown message type: nftables replies EINVAL
	noSuchSubsystem = 0xffff                              // an unknown subsystem of a transaction: EINVAL is the only reply
)

// refuse replaces the type of each message by an unknown one, so that the kernel replies with an error and does nothing. The type is restored
// after the call, and the error number is replaced when the program receives the reply.
func (t *tracer) refuse(in *inCall, act Act) error {
	data, err := t.read(in.call.buf)
	if err != nil {
		return err
	}
	original := append([]byte(nil), data...)
	fault := spoil(in.call.protocol, messages(data), act)
	if err := t.write(in.call.buf.addr, data); err != nil {
		return err
	}
	in.undo = func() { _ = t.write(in.call.buf.addr, original) }
	t.faults[in.call.socket] = fault
	return nil
}

// spoil changes messages so that the kernel refuses them, and returns the reply to expect.
func spoil(protocol int, all []netlinkMessage, act Act) *replyFault {
	as := syscall.EOPNOTSUPP
	switch protocol {
	case unix.NETLINK_NETFILTER:
		return spoilRules(all, act)
	case unix.NETLINK_SOCK_DIAG:
		as = syscall.EINVAL
	}
	for _, m := range all {
		binary.NativeEndian.PutUint16(m.raw[4:], noSuchRequest)
	}
	return &replyFault{act: act, left: len(all), as: as}
}

// spoilRules is spoil for nftables and conntrack. ENOMEM is the only reply to a whole transaction (nfnetlink_rcv_batch in the kernel); any
// other error belongs to one message, here the first: the others have their own replies, and the transaction is aborted.
func spoilRules(all []netlinkMessage, act Act) *replyFault {
	first := all[0]
	switch {
	case first.kind != unix.NFNL_MSG_BATCH_BEGIN || len(all) < 2:
		binary.NativeEndian.PutUint16(first.raw[4:], noSuchRule)
	case act.errno == syscall.ENOMEM:
		binary.NativeEndian.PutUint16(first.body[2:], noSuchSubsystem)
	default:
		binary.NativeEndian.PutUint16(all[1].raw[4:], noSuchRule)
	}
	return &replyFault{act: act, left: 1, as: syscall.EINVAL}
}

// beforeReply interrupts a receive if InterruptReply was requested.
func (t *tracer) beforeReply(tid int, in *inCall) error {
	fault := t.faults[in.call.socket]
	if fault == nil || fault.act.what != interrupt {
		return nil
	}
	delete(t.faults, in.call.socket)
	return skip(tid, in, fault.act.errno)
}

// afterReply loses a reply or replaces its error. A receive without data is ignored.
func (t *tracer) afterReply(tid int, in *inCall, result int) error {
	if in.forced != nil {
		return setReturn(tid, *in.forced)
	}
	fault := t.faults[in.call.socket]
	if fault == nil || result <= 0 {
		return nil
	}
	if fault.act.what == lose {
		if in.call.peek {
			return nil
		}
		delete(t.faults, in.call.socket)
		return setReturn(tid, -int(fault.act.errno))
	}
	return t.changeError(in.call, fault, result)
}

// changeError puts the requested error into the replies to the messages that refuse changed.
func (t *tracer) changeError(call *Call, fault *replyFault, length int) error {
	at := call.buf
	at.size = min(at.size, length)
	data, err := t.read(at)
	if err != nil {
		return err
	}
	left := fault.left
	for _, m := range messages(data) {
		if m.kind == unix.NLMSG_ERROR && len(m.body) >= 4 && int32(binary.NativeEndian.Uint32(m.body)) == -int32(fault.as) {
			binary.NativeEndian.PutUint32(m.body, uint32(-int32(fault.act.errno)))
			left--
		}
	}
	if !call.peek {
		fault.left = left
	}
	if fault.left <= 0 {
		delete(t.faults, call.socket)
	}
	return t.write(at.addr, data)
}
