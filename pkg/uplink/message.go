package uplink

import (
	"bytes"
	"encoding/binary"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/nlsock"
)

// Lengths in bytes of the fixed part of a message, before its attributes.
const (
	addressHeader = 8  // struct ifaddrmsg
	routeHeader   = 12 // struct rtmsg
	ruleHeader    = 12 // struct fib_rule_hdr
	linkHeader    = 16 // struct ifinfomsg
	neighHeader   = 12 // struct ndmsg
)

// header returns the size of the fixed part of a kind of message.
func header(kind uint16) int {
	switch kind {
	case unix.RTM_NEWADDR:
		return addressHeader
	case unix.RTM_NEWLINK:
		return linkHeader
	case unix.RTM_NEWNEIGH:
		return neighHeader
	}
	return routeHeader
}

// attribute returns the value of the first attribute of a type; nil without one.
func attribute(body []byte, size, kind int) []byte {
	if len(body) < size {
		return nil
	}
	return nlsock.Attribute(body[size:], kind)
}

// number32 returns an attribute of 32 bits; 0 if it is missing or shorter.
func number32(value []byte) uint32 {
	if len(value) < 4 {
		return 0
	}
	return binary.NativeEndian.Uint32(value)
}

func bytes32(n uint32) []byte { return binary.NativeEndian.AppendUint32(nil, n) }

// rewrite copies a message and replaces each attribute by what change returns; nil removes it. The types keep the
// flags that the kernel has set.
func rewrite(body []byte, size int, change func(kind int, value []byte) []byte) []byte {
	out := bytes.Clone(body[:size])
	for rest := body[size:]; len(rest) >= unix.SizeofNlAttr; {
		length := int(binary.NativeEndian.Uint16(rest))
		if length < unix.SizeofNlAttr || length > len(rest) {
			break
		}
		raw := binary.NativeEndian.Uint16(rest[2:])
		kind := int(raw &^ (unix.NLA_F_NESTED | unix.NLA_F_NET_BYTEORDER))
		if value := change(kind, rest[unix.SizeofNlAttr:length]); value != nil {
			out = nlsock.AppendAttribute(out, raw, value)
		}
		rest = rest[min(nlsock.Align(length), len(rest)):]
	}
	return out
}

// text returns a string attribute as the kernel wants it, with a zero byte.
func text(s string) []byte { return append([]byte(s), 0) }

// textOf returns the value of a string attribute.
func textOf(value []byte) string { return unix.ByteSliceToString(value) }
