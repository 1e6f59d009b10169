package stepper

import (
	"encoding/binary"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	noSuchRequest   = 0x7ff0                              // a message type that rtnetlink has no use for: it answers EOPNOTSUPP, and sock_diag EINVAL
	noSuchRule      = unix.NFNL_SUBSYS_NFTABLES<<8 | 0xff // one that nftables has no use for: it answers EINVAL
	noSuchSubsystem = 0xffff                              // what no transaction can be for: EINVAL is the one answer
)

// refuse spoils the type of each message, so that the kernel answers with an error and does
// nothing. The error's number is changed when the answer comes, the type put back at once.
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

// spoil changes messages so that the kernel refuses them, and says how it will tell.
func spoil(protocol int, all []netlinkMessage, act Act) *answerFault {
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
	return &answerFault{act: act, left: len(all), as: as}
}

// spoilRules is spoil for nftables and conntrack. Of a transaction ENOMEM is told once and is the only answer
// (nfnetlink_rcv_batch of the kernel), and any other error is that of one message, here the first:
// the others have their own answers, and nothing is done.
func spoilRules(all []netlinkMessage, act Act) *answerFault {
	first := all[0]
	switch {
	case first.kind != unix.NFNL_MSG_BATCH_BEGIN || len(all) < 2:
		binary.NativeEndian.PutUint16(first.raw[4:], noSuchRule)
	case act.errno == syscall.ENOMEM:
		binary.NativeEndian.PutUint16(first.body[2:], noSuchSubsystem)
	default:
		binary.NativeEndian.PutUint16(all[1].raw[4:], noSuchRule)
	}
	return &answerFault{act: act, left: 1, as: syscall.EINVAL}
}

// beforeAnswer interrupts a receive, if that was asked for.
func (t *tracer) beforeAnswer(tid int, in *inCall) error {
	fault := t.faults[in.call.socket]
	if fault == nil || fault.act.what != interrupt {
		return nil
	}
	delete(t.faults, in.call.socket)
	return skip(tid, in, fault.act.errno)
}

// afterAnswer loses an answer or changes its error. A receive that found nothing is none.
func (t *tracer) afterAnswer(tid int, in *inCall, result int) error {
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

// changeError puts the wanted error into the answers to what refuse has spoilt.
func (t *tracer) changeError(call *Call, fault *answerFault, length int) error {
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
