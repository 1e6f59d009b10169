package firewall

import (
	"encoding/binary"
	"errors"
	"os"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// form is a rule as it is written: its expressions but for the counter, which comes before the verdict.
type form []step

// fromBridge is `-i BRIDGE -m comment --comment patchbay:BRIDGE -j ACCEPT`.
func fromBridge(bridge string) form {
	return append(linkIs(unix.NFT_META_IIFNAME, bridge), comment(mark+bridge), decided(verdict{kind: accept}))
}

// toBridge is `-o BRIDGE -m conntrack --ctstate RELATED,ESTABLISHED,DNAT -m comment ... -j ACCEPT`.
func toBridge(bridge string) form {
	return append(linkIs(unix.NFT_META_OIFNAME, bridge), xtMatch("conntrack", 3, admitted()), comment(mark+bridge), decided(verdict{kind: accept}))
}

// linkIs loads a link's name and compares it up to its end, as iptables does.
func linkIs(key uint32, name string) form { return form{meta(key), compared(cstring(name), false)} }

// comment is struct xt_comment_info: 256 bytes with an end.
func comment(text string) step {
	info := make([]byte, 256)
	copy(info[:255], text)
	return xtMatch("comment", 0, info)
}

// admitted is struct xt_conntrack_mtinfo3 with a mask of states.
func admitted() []byte {
	const related = 1 << 2
	info := make([]byte, 168)
	binary.NativeEndian.PutUint16(info[ctFlagsAt:], ctByState)
	binary.NativeEndian.PutUint16(info[ctStateAt:], related|stateEstablished|ctStateDNAT)
	return info
}

func counter() step {
	zero := make([]byte, 8)
	return step{"counter", encoded(attribute(unix.NFTA_COUNTER_BYTES, zero), attribute(unix.NFTA_COUNTER_PACKETS, zero))}
}

// request is one message of a transaction.
type request struct {
	kind  uint16
	flags netlink.HeaderFlags
	in    place
	about []netlink.Attribute
}

// insertion puts a rule at the head of a chain.
func insertion(p place, w form) request {
	var list []netlink.Attribute
	for i, s := range w {
		if i == len(w)-1 {
			list = append(list, element(counter()))
		}
		list = append(list, element(s))
	}
	return request{unix.NFT_MSG_NEWRULE, netlink.Create, p, []netlink.Attribute{nest(unix.NFTA_RULE_EXPRESSIONS, list...)}}
}

func element(s step) netlink.Attribute {
	return nest(unix.NFTA_LIST_ELEM, attribute(unix.NFTA_EXPR_NAME, cstring(s.name)), netlink.Attribute{Type: unix.NLA_F_NESTED | unix.NFTA_EXPR_DATA, Data: s.data})
}

func deletion(p place, handle uint64) request {
	return request{unix.NFT_MSG_DELRULE, 0, p, []netlink.Attribute{attribute(unix.NFTA_RULE_HANDLE, binary.BigEndian.AppendUint64(nil, handle))}}
}

func appendMessage(to []netlink.Message, r request) ([]netlink.Message, error) {
	names := []netlink.Attribute{attribute(unix.NFTA_RULE_TABLE, cstring(r.in.table)), attribute(unix.NFTA_RULE_CHAIN, cstring(r.in.name))}
	body, err := netlink.MarshalAttributes(append(names, r.about...))
	if err != nil {
		return nil, err
	}
	return append(to, message(r.kind, netlink.Acknowledge|r.flags, append(header(r.in.family), body...))), nil
}

// commit makes the changes of all messages, or none: the first error is returned.
func (f *Filters) commit(messages []netlink.Message) error {
	begin := netlink.Message{
		Header: netlink.Header{Type: unix.NFNL_MSG_BATCH_BEGIN, Flags: netlink.Request},
		Data:   []byte{unix.AF_UNSPEC, unix.NFNETLINK_V0, 0, unix.NFNL_SUBSYS_NFTABLES},
	}
	end := begin
	end.Header.Type = unix.NFNL_MSG_BATCH_END
	if err := f.conn.SetDeadline(f.deadline); err != nil {
		return err
	}
	if _, err := f.conn.SendMessages(append(append([]netlink.Message{begin}, messages...), end)); err != nil {
		return err
	}
	var first error
	for range messages {
		_, err := f.conn.Receive()
		if first == nil {
			first = err
		}
		if errors.Is(err, os.ErrPermission) || errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, os.ErrDeadlineExceeded) {
			break // it stands for the transaction, and nothing more comes
		}
	}
	return first
}
