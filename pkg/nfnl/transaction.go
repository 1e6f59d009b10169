package nfnl

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/nlsock"
)

// Commit sends messages of nftables as one transaction: the kernel makes all changes or none. It
// returns the first error. Only the last message asks for an acknowledgement, which stands for all; an
// error is reported for each message that has one, or once, for the message that begins the batch,
// where it is of the whole: EPERM, ENOMEM, EOPNOTSUPP.
func (c *Conn) Commit(messages []nlsock.Message) error {
	if len(messages) == 0 {
		return nil
	}
	batch := transaction(messages)
	batch[len(messages)].Flags |= unix.NLM_F_ACK
	first, err := c.Send(batch...)
	if err != nil {
		return fmt.Errorf("send transaction: %w", err)
	}
	return c.result(first, uint32(len(messages)))
}

// transaction returns messages between those that begin and end a transaction; none asks for an
// acknowledgement.
func transaction(messages []nlsock.Message) []nlsock.Message {
	begin := nlsock.Message{
		Type: unix.NFNL_MSG_BATCH_BEGIN, Flags: unix.NLM_F_REQUEST,
		Data: []byte{unix.AF_UNSPEC, unix.NFNETLINK_V0, 0, unix.NFNL_SUBSYS_NFTABLES},
	}
	end := begin
	end.Type = unix.NFNL_MSG_BATCH_END
	batch := make([]nlsock.Message, 0, len(messages)+2)
	batch = append(append(append(batch, begin), messages...), end)
	for i := range batch {
		batch[i].Flags &^= unix.NLM_F_ACK
	}
	return batch
}

// result reads the result of a transaction of count messages, whose begin has a sequence number.
func (c *Conn) result(begin, count uint32) (first error) {
	for {
		datagram, err := c.Receive()
		if err != nil {
			return err
		}
		for m := range nlsock.Messages(datagram) {
			at := m.Seq - begin
			if m.Type != unix.NLMSG_ERROR || at > count {
				continue // answers an earlier request, whose reader gave up
			}
			if err := m.Err(); err != nil && first == nil {
				first = err
			}
			if at == 0 || at == count {
				return first
			}
		}
	}
}
