package stepper

import (
	"encoding/binary"
	"syscall"

	"golang.org/x/sys/unix"
)

// noSuchRequest is a message type that rtnetlink has no use for: it answers EOPNOTSUPP.
const noSuchRequest = 0x7ff0

// refuse spoils the type of each message, so that the kernel answers with an error and does
// nothing. The error's number is changed when the answer comes, the type put back at once.
func (t *tracer) refuse(in *inCall, act Act) error {
	data, err := t.read(in.call.buf)
	if err != nil {
		return err
	}
	original := append([]byte(nil), data...)
	all := messages(data)
	for _, m := range all {
		binary.NativeEndian.PutUint16(m.raw[4:], noSuchRequest)
	}
	if err := t.write(in.call.buf.addr, data); err != nil {
		return err
	}
	in.undo = func() { _ = t.write(in.call.buf.addr, original) }
	t.faults[in.call.socket] = &answerFault{act: act, left: len(all)}
	return nil
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
		if m.kind == unix.NLMSG_ERROR && len(m.body) >= 4 && int32(binary.NativeEndian.Uint32(m.body)) == -int32(syscall.EOPNOTSUPP) {
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
