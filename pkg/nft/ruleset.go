package nft

import (
	"errors"
	"fmt"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// Ruleset is the way to the host's ruleset: that of the network namespace the process is in. It is
// not safe for concurrent use.
type Ruleset struct {
	conn *socket
}

// Open opens the way. Errors wrap ErrUnsupported where the kernel has no nf_tables, else what
// socket(2) says. Close it when done.
func Open() (*Ruleset, error) {
	conn, err := dial()
	if errors.Is(err, unix.EPROTONOSUPPORT) || errors.Is(err, unix.EAFNOSUPPORT) {
		return nil, fmt.Errorf("%w: %w", ErrUnsupported, err)
	}
	if err != nil {
		return nil, fmt.Errorf("open socket to nftables: %w", err)
	}
	return &Ruleset{conn: conn}, nil
}

// Close closes the socket. After a transaction that removed something this waits until no
// processor looks at it any more, ten milliseconds and more (design section 7).
func (r *Ruleset) Close() { r.conn.close() }

// Supported asks the kernel whether it has nf_tables, and changes nothing. ErrUnsupported, or nil.
func (r *Ruleset) Supported() error {
	_, err := r.generation()
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EOPNOTSUPP) {
		return fmt.Errorf("%w: %w", ErrUnsupported, err)
	}
	return err
}

// generation is the number of the ruleset, which every transaction makes higher.
func (r *Ruleset) generation() (n uint32, err error) {
	answers, err := r.ask(unix.NFT_MSG_GETGEN, 0, []byte{unix.AF_UNSPEC, unix.NFNETLINK_V0, 0, 0})
	if err != nil {
		return 0, fmt.Errorf("ask for the generation of nftables: %w", err)
	}
	for _, answer := range answers {
		err = errors.Join(err, eachAttribute(answer.Data[min(len(answer.Data), len(header())):], func(ad *netlink.AttributeDecoder) {
			if ad.Type() == unix.NFTA_GEN_ID {
				n = ad.Uint32()
			}
		}))
	}
	return n, err
}

// steady takes a look and reports whether nobody changed the ruleset meanwhile. Several questions, and
// one list that the kernel tells in pieces, are else of different rulesets.
func (r *Ruleset) steady(look func() error) (bool, error) {
	before, err := r.generation()
	if err != nil {
		return false, err
	}
	if err := look(); err != nil {
		return false, err
	}
	after, err := r.generation()
	return after == before, err
}

func message(kind uint16, flags netlink.HeaderFlags, body []byte) netlink.Message {
	return netlink.Message{
		Header: netlink.Header{Type: netlink.HeaderType(unix.NFNL_SUBSYS_NFTABLES<<8 | kind), Flags: netlink.Request | flags},
		Data:   body,
	}
}

// ask sends a question; flags tell one that has one answer (0) from one that has a list of them
// (netlink.Dump).
func (r *Ruleset) ask(kind uint16, flags netlink.HeaderFlags, body []byte) ([]netlink.Message, error) {
	return r.conn.execute(message(kind, flags, body))
}

// commit makes the changes of all messages, or none: the first error is returned. Only the last one
// is acknowledged; errors are told of each. What is told of the begin is of the whole.
func (r *Ruleset) commit(messages []netlink.Message) error {
	begin := netlink.Message{
		Header: netlink.Header{Type: unix.NFNL_MSG_BATCH_BEGIN, Flags: netlink.Request},
		Data:   []byte{unix.AF_UNSPEC, unix.NFNETLINK_V0, 0, unix.NFNL_SUBSYS_NFTABLES},
	}
	end := begin
	end.Header.Type = unix.NFNL_MSG_BATCH_END
	all := make([]netlink.Message, 0, len(messages)+2)
	all = append(append(append(all, begin), messages...), end)
	for i := range all {
		all[i].Header.Flags &^= netlink.Acknowledge
	}
	all[len(messages)].Header.Flags |= netlink.Acknowledge
	first, err := r.conn.send(all)
	if err != nil {
		return fmt.Errorf("send transaction: %w", err)
	}
	err = r.committed(first, uint32(len(messages)))
	if errors.Is(err, unix.EOPNOTSUPP) {
		return fmt.Errorf("%w: %w", ErrUnsupported, err)
	}
	return err
}

// committed waits for what the kernel says of a transaction of so many messages, whose begin has a
// sequence number.
func (r *Ruleset) committed(begin, count uint32) (first error) {
	for {
		datagram, err := r.conn.receive()
		if err != nil {
			return err
		}
		for m := range messagesOf(datagram) {
			at := m.Header.Sequence - begin
			if m.Header.Type != netlink.Error || at > count {
				continue // to a question that was given up
			}
			if err := verdictOf(m); err != nil && first == nil {
				first = err
			}
			if at == 0 || at == count {
				return first
			}
		}
	}
}
