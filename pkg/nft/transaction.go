package nft

import (
	"io"

	"github.com/google/nftables"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/nfnl"
	"github.com/patchbay-cni/patchbay/pkg/nlsock"
)

// transaction is encoded by google/nftables and committed by Ruleset.commit.
// Conn.Flush of the library waits for one answer to each message; if memory is short
// the kernel answers once for all, and ADD would wait until its timeout. The library
// hands over what it encoded only through its option for tests.
type transaction struct {
	*nftables.Conn
	extra  []nlsock.Message // messages that the library cannot encode; they come last
	answer error            // of the last transaction
}

// begin starts a transaction, with a send buffer for the table of a large host: the
// kernel takes a transaction only in one datagram.
func (r *Ruleset) begin() (*transaction, error) {
	r.conn.SetSendBuffer(1 << 20)
	t := &transaction{}
	send := func(batch []netlink.Message) ([]netlink.Message, error) {
		if len(batch) < 2 { // a read, for answers that Commit has read already
			return nil, io.EOF
		}
		var messages []nlsock.Message
		for _, written := range batch[1 : len(batch)-1] { // Commit adds its own begin and end
			m := nlsock.Message{
				Type:  uint16(written.Header.Type),
				Flags: uint16(written.Header.Flags &^ netlink.Echo), // Echo: the kernel repeats each new rule
				Data:  written.Data,
			}
			m.Data = append(m.Data, typeofOf(m)...)
			messages = append(messages, m)
		}
		t.answer = r.commit(append(messages, t.extra...))
		t.extra = nil
		return nil, io.EOF
	}
	var err error
	t.Conn, err = nftables.New(nftables.WithTestDial(send))
	return t, err
}

// flush commits what was encoded since the last flush: all of it, or nothing and the
// first error.
func (t *transaction) flush() error {
	t.answer = nil
	if len(t.extra) > 0 { // google/nftables sends nothing where it has encoded nothing
		t.AddTable(table())
	}
	if err := t.Flush(); err != nil {
		return err // an object could not be encoded
	}
	return t.answer
}

// typeofOf returns the attribute of a new set that google/nftables cannot encode: the
// type of a key for which nft(8) has no named type. It returns nothing for any other
// message.
func typeofOf(m nlsock.Message) []byte {
	if m.Type&0xff != unix.NFT_MSG_NEWSET {
		return nil
	}
	isTarget := false
	err := eachAttribute(nfnl.Attributes(m), func(ad *netlink.AttributeDecoder) {
		isTarget = isTarget || ad.Type() == unix.NFTA_SET_NAME && ad.String() == ownTarget6
	})
	if err != nil || !isTarget {
		return nil
	}
	attribute, _ := netlink.MarshalAttributes([]netlink.Attribute{{Type: unix.NFTA_SET_USERDATA, Data: typeofTarget()}})
	return attribute
}
