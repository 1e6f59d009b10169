package nfnl

import (
	"strings"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/nlsock"
)

// headerSize is the size in bytes of struct nfgenmsg.
const headerSize = 4

// Header says what a message of nfnetlink is about.
type Header struct {
	Subsystem uint16 // unix.NFNL_SUBSYS_*
	Kind      uint16 // of the subsystem's messages, for example unix.NFT_MSG_GETTABLE
	Flags     uint16 // those beside NLM_F_REQUEST
	Family    byte   // unix.NFPROTO_*, or unix.AF_UNSPEC for every family
}

// Request returns a message with encoded attributes.
func Request(h Header, attributes []byte) nlsock.Message {
	return nlsock.Message{
		Type:  h.Subsystem<<8 | h.Kind,
		Flags: unix.NLM_F_REQUEST | h.Flags,
		Data:  append([]byte{h.Family, unix.NFNETLINK_V0, 0, 0}, attributes...), // struct nfgenmsg; no resource
	}
}

// NftablesRequest returns a message of nftables: kind (unix.NFT_MSG_*), flags and address family as in Header.
func NftablesRequest(kind, flags uint16, family byte, attributes []byte) nlsock.Message {
	return Request(Header{Subsystem: unix.NFNL_SUBSYS_NFTABLES, Kind: kind, Flags: flags, Family: family}, attributes)
}

// Family returns the address family of a message, AF_UNSPEC if it has no header.
func Family(m nlsock.Message) byte {
	if len(m.Data) == 0 {
		return unix.AF_UNSPEC
	}
	return m.Data[0]
}

// Attributes returns the encoded attributes of a message.
func Attributes(m nlsock.Message) []byte { return m.Data[min(len(m.Data), headerSize):] }

// Comment returns the comment in the user data of a rule or an element: type, length and value, one
// after the other; a comment has type 0 (libnftnl/udata.h). The kernel stores what any program gave
// it, so the lengths may be wrong; google/nftables (userdata.GetString) panics then.
func Comment(userData []byte) string {
	for len(userData) >= 2 && len(userData)-2 >= int(userData[1]) {
		value := userData[2 : 2+int(userData[1])]
		if userData[0] == 0 {
			return strings.TrimSuffix(string(value), "\x00")
		}
		userData = userData[2+len(value):]
	}
	return ""
}
