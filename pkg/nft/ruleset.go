package nft

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// answerTimeout bounds every wait for the kernel. A transaction waits for those of others.
const answerTimeout = 10 * time.Second

// Ruleset is the way to the host's ruleset: that of the network namespace the process is in. It is
// not safe for concurrent use.
type Ruleset struct {
	conn *netlink.Conn
}

// Open opens the way. Errors wrap ErrUnsupported where the kernel has no nf_tables, else what
// socket(2) says. Close it when done.
func Open() (*Ruleset, error) {
	conn, err := netlink.Dial(unix.NETLINK_NETFILTER, nil)
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
func (r *Ruleset) Close() { _ = r.conn.Close() }

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
	if err := r.conn.SetDeadline(time.Now().Add(answerTimeout)); err != nil {
		return nil, err
	}
	return r.conn.Execute(message(kind, flags, body))
}

// commit makes the changes of all messages, or none: the first error is returned. Each message is
// acknowledged, so that there are as many answers; a kernel that refuses the whole sends one.
func (r *Ruleset) commit(messages []netlink.Message) error {
	begin := netlink.Message{
		Header: netlink.Header{Type: unix.NFNL_MSG_BATCH_BEGIN, Flags: netlink.Request},
		Data:   []byte{unix.AF_UNSPEC, unix.NFNETLINK_V0, 0, unix.NFNL_SUBSYS_NFTABLES},
	}
	end := begin
	end.Header.Type = unix.NFNL_MSG_BATCH_END
	all := append([]netlink.Message{begin}, messages...)
	if err := r.conn.SetDeadline(time.Now().Add(answerTimeout)); err != nil {
		return err
	}
	if _, err := r.conn.SendMessages(append(all, end)); err != nil {
		return fmt.Errorf("send transaction: %w", err)
	}
	var first error
	for range messages {
		_, err := r.conn.Receive()
		if err != nil && first == nil {
			first = err
		}
		if refusedWhole(err) {
			break
		}
	}
	if errors.Is(first, unix.EOPNOTSUPP) {
		return fmt.Errorf("%w: %w", ErrUnsupported, first)
	}
	return first
}

// refusedWhole reports whether an error stands for the transaction: the kernel stops at it
// (nfnetlink_rcv_batch), and nothing more will come.
func refusedWhole(err error) bool {
	return errors.Is(err, os.ErrPermission) || errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOMEM) ||
		errors.Is(err, unix.ENOBUFS) || errors.Is(err, os.ErrDeadlineExceeded)
}
