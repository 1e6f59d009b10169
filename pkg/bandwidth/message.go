package bandwidth

import (
	"encoding/binary"
	"errors"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/nlsock"
)

// conn is an rtnetlink socket in the network namespace of the calling thread.
type conn struct{ *nlsock.Socket }

func open() (conn, error) {
	s, err := nlsock.Open(unix.NETLINK_ROUTE)
	return conn{s}, err
}

// attributes encodes attributes (struct rtattr), each padded to four bytes.
type attributes []byte

// add appends an attribute.
func (a *attributes) add(kind uint16, value []byte) { *a = nlsock.AppendAttribute(*a, kind, value) }

func (a *attributes) text(kind uint16, value string) { a.add(kind, append([]byte(value), 0)) }

func (a *attributes) uint32(kind uint16, value uint32) {
	a.add(kind, binary.NativeEndian.AppendUint32(nil, value))
}

func (a *attributes) uint64(kind uint16, value uint64) {
	a.add(kind, binary.NativeEndian.AppendUint64(nil, value))
}

// words encodes 32-bit fields of a struct in the byte order of the host.
func words(values ...uint32) (out []byte) {
	for _, v := range values {
		out = binary.NativeEndian.AppendUint32(out, v)
	}
	return out
}

// tcHeader is struct tcmsg of linux/rtnetlink.h: the object that a message of traffic control is about.
type tcHeader struct {
	index          int    // of the interface
	handle, parent uint32 // major number in the upper 16 bits, minor in the lower
	info           uint32 // of filters: priority, and protocol in network byte order
}

const tcHeaderSize = 20

func (h tcHeader) bytes() []byte {
	return words(unix.AF_UNSPEC, uint32(h.index), h.handle, h.parent, h.info)
}

// tcBody is the kind of a qdisc, class or filter, and its options; both may be left out.
type tcBody struct {
	kind    string
	options []byte
}

// tcRequest returns a message of traffic control.
func tcRequest(kind, flags uint16, h tcHeader, object tcBody) nlsock.Message {
	var a attributes
	if object.kind != "" {
		a.text(tcaKind, object.kind)
	}
	if object.options != nil {
		a.add(tcaOptions, object.options)
	}
	return nlsock.Message{Type: kind, Flags: unix.NLM_F_REQUEST | flags, Data: append(h.bytes(), a...)}
}

const (
	tcaKind    = 1 // TCA_KIND
	tcaOptions = 2 // TCA_OPTIONS
)

// do sends a request and waits for its acknowledgement.
func (c conn) do(m nlsock.Message) error {
	m.Flags |= unix.NLM_F_ACK
	for _, err := range c.Execute(m) {
		if err != nil {
			return err
		}
	}
	return nil
}

// tcObject is a qdisc, a class or a filter that the kernel listed.
type tcObject struct {
	tcHeader
	kind    string
	options []byte
}

// get returns one qdisc or class; ok is false if there is none. The kernel cannot list the qdiscs of one interface: a dump has those of
// every interface of the host. So they are asked for by parent or handle. The kernel sends the answer as a notification, of which this socket
// gets a copy only with NLM_F_ECHO.
func (c conn) get(kind uint16, h tcHeader) (o tcObject, ok bool, err error) {
	for m, err := range c.Execute(nlsock.Message{Type: kind, Flags: unix.NLM_F_REQUEST | unix.NLM_F_ACK | unix.NLM_F_ECHO, Data: h.bytes()}) {
		if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EINVAL) { // EINVAL: a built-in qdisc, which the kernel does not report
			return o, false, nil
		}
		if err != nil {
			return o, false, err
		}
		o, ok = parseObject(m.Data)
	}
	return o, ok, nil
}

// filters returns the filters of an interface below a parent.
//
// A dump that was interrupted is used as it is: the filters of one interface nearly always fit into one datagram, which is consistent
// in itself.
func (c conn) filters(h tcHeader) (all []tcObject, err error) {
	for m, err := range c.Execute(nlsock.Message{Type: unix.RTM_GETTFILTER, Flags: unix.NLM_F_REQUEST | unix.NLM_F_DUMP, Data: h.bytes()}) {
		if errors.Is(err, nlsock.ErrInterrupted) {
			break
		}
		if err != nil {
			return nil, err
		}
		if o, ok := parseObject(m.Data); ok {
			all = append(all, o)
		}
	}
	return all, nil
}

func parseObject(data []byte) (o tcObject, ok bool) {
	if len(data) < tcHeaderSize {
		return o, false
	}
	field := func(i int) uint32 { return binary.NativeEndian.Uint32(data[4*i:]) }
	o.tcHeader = tcHeader{index: int(field(1)), handle: field(2), parent: field(3), info: field(4)}
	for kind, value := range nlsock.Attributes(data[tcHeaderSize:]) {
		switch kind {
		case tcaKind:
			o.kind = unix.ByteSliceToString(value)
		case tcaOptions:
			o.options = append([]byte(nil), value...) // the datagram is reused
		}
	}
	return o, true
}

// word returns the 32-bit field with a number in a struct, 0 if the struct is shorter.
func word(data []byte, i int) uint32 {
	if len(data) < 4*i+4 {
		return 0
	}
	return binary.NativeEndian.Uint32(data[4*i:])
}
