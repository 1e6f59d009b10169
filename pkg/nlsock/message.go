package nlsock

import (
	"encoding/binary"
	"fmt"
	"iter"

	"golang.org/x/sys/unix"
)

// Message is a netlink message (struct nlmsghdr and what follows it).
type Message struct {
	Type  uint16 // NLMSG_*, or a type of the protocol
	Flags uint16 // NLM_F_*
	Seq   uint32 // Send sets it
	Data  []byte // what follows the header
}

// append adds the message to a datagram, padded to four bytes.
func (m Message) append(datagram []byte) []byte {
	length := unix.NLMSG_HDRLEN + len(m.Data)
	datagram = binary.NativeEndian.AppendUint32(datagram, uint32(length))
	datagram = binary.NativeEndian.AppendUint16(datagram, m.Type)
	datagram = binary.NativeEndian.AppendUint16(datagram, m.Flags)
	datagram = binary.NativeEndian.AppendUint32(datagram, m.Seq)
	datagram = binary.NativeEndian.AppendUint32(datagram, 0) // port: the kernel sets it
	datagram = append(datagram, m.Data...)
	return append(datagram, make([]byte, Align(length)-length)...)
}

// Messages splits a datagram into its messages. A message that is cut short ends it.
func Messages(datagram []byte) iter.Seq[Message] {
	return func(yield func(Message) bool) {
		for len(datagram) >= unix.NLMSG_HDRLEN {
			length := int(binary.NativeEndian.Uint32(datagram))
			if length < unix.NLMSG_HDRLEN || length > len(datagram) {
				return
			}
			m := Message{
				Type:  binary.NativeEndian.Uint16(datagram[4:]),
				Flags: binary.NativeEndian.Uint16(datagram[6:]),
				Seq:   binary.NativeEndian.Uint32(datagram[8:]),
				Data:  datagram[unix.NLMSG_HDRLEN:length],
			}
			if !yield(m) {
				return
			}
			datagram = datagram[min(Align(length), len(datagram)):]
		}
	}
}

// IsEnd reports whether the message ends the answer to a request: an acknowledgement, an error, or the
// end of a dump.
func (m Message) IsEnd() bool { return m.Type == unix.NLMSG_ERROR || m.Type == unix.NLMSG_DONE }

// Flags of an error (linux/netlink.h).
const (
	flagCapped  = 0x100 // NLM_F_CAPPED: of the request only the header is repeated
	flagAckTLVs = 0x200 // NLM_F_ACK_TLVS: attributes follow
)

// Err returns the error that a message of IsEnd reports: nil, or the errno, with the kernel's text if
// there is one.
func (m Message) Err() error {
	if len(m.Data) < 4 {
		return nil
	}
	code := int32(binary.NativeEndian.Uint32(m.Data))
	if code == 0 {
		return nil
	}
	errno := unix.Errno(-code)
	if text := m.errorText(); text != "" {
		return fmt.Errorf("%w: %s", errno, text)
	}
	return errno
}

// errorText returns NLMSGERR_ATTR_MSG. The attributes follow the errno and, unless the message ends a
// dump, the request that caused the error or its header.
func (m Message) errorText() string {
	const errnoSize, attrMessage = 4, 1
	if m.Flags&flagAckTLVs == 0 {
		return ""
	}
	at := errnoSize
	if m.Type == unix.NLMSG_ERROR {
		if len(m.Data) < errnoSize+unix.NLMSG_HDRLEN {
			return ""
		}
		repeated := unix.NLMSG_HDRLEN
		if m.Flags&flagCapped == 0 {
			repeated = Align(int(binary.NativeEndian.Uint32(m.Data[errnoSize:])))
		}
		at += repeated
	}
	if at < 0 || at > len(m.Data) {
		return ""
	}
	return unix.ByteSliceToString(Attribute(m.Data[at:], attrMessage))
}

// Attributes splits data into attributes (struct nlattr, the same as struct rtattr): type, without the
// flags for nesting and byte order, and value. An attribute that is cut short ends them.
func Attributes(data []byte) iter.Seq2[int, []byte] {
	return func(yield func(int, []byte) bool) {
		for len(data) >= unix.SizeofNlAttr {
			length := int(binary.NativeEndian.Uint16(data))
			if length < unix.SizeofNlAttr || length > len(data) {
				return
			}
			kind := int(binary.NativeEndian.Uint16(data[2:]) &^ (unix.NLA_F_NESTED | unix.NLA_F_NET_BYTEORDER))
			if !yield(kind, data[unix.SizeofNlAttr:length]) {
				return
			}
			data = data[min(Align(length), len(data)):]
		}
	}
}

// Attribute returns the value of the first attribute of a type, of those that Attributes returns; nil without one.
func Attribute(data []byte, kind int) []byte {
	for k, value := range Attributes(data) {
		if k == kind {
			return value
		}
	}
	return nil
}

// AppendAttribute adds an attribute to data, padded to four bytes. The type may have the flags for nesting and byte
// order.
func AppendAttribute(data []byte, kind uint16, value []byte) []byte {
	data = binary.NativeEndian.AppendUint16(data, uint16(unix.SizeofNlAttr+len(value)))
	data = binary.NativeEndian.AppendUint16(data, kind)
	data = append(data, value...)
	return append(data, make([]byte, Align(len(value))-len(value))...)
}

// Align rounds a length up to a multiple of four bytes, at which messages and attributes begin.
func Align(length int) int { return (length + 3) &^ 3 }
