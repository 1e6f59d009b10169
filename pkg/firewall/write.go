package firewall

import (
	"encoding/binary"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/nfnl"
	"github.com/patchbay-cni/patchbay/pkg/nlsock"
)

// ruleForm is the encoded expressions of a rule without the counter, which precedes
// the verdict.
type ruleForm []step

// fromBridge is `-i BRIDGE -m comment --comment patchbay:BRIDGE -j ACCEPT`.
func fromBridge(bridge string) ruleForm {
	return append(linkIs(unix.NFT_META_IIFNAME, bridge), comment(mark+bridge), decided(verdict{kind: accept}))
}

// toBridge is `-o BRIDGE -m conntrack --ctstate RELATED,ESTABLISHED,DNAT -m comment ... -j ACCEPT`.
func toBridge(bridge string) ruleForm {
	return append(linkIs(unix.NFT_META_OIFNAME, bridge), xtMatch("conntrack", 3, conntrackInfo()), comment(mark+bridge), decided(verdict{kind: accept}))
}

// linkIs compares an interface name up to its NUL, as iptables does.
func linkIs(key uint32, name string) ruleForm {
	return ruleForm{meta(key), compared(cstring(name), false)}
}

// comment is struct xt_comment_info: 256 bytes, NUL-terminated.
func comment(text string) step {
	info := make([]byte, 256)
	copy(info[:255], text)
	return xtMatch("comment", 0, info)
}

// conntrackInfo is struct xt_conntrack_mtinfo3 with a mask of states.
func conntrackInfo() []byte {
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

// change is one message of a transaction.
type change struct {
	kind  uint16
	flags uint16
	in    place
	about []netlink.Attribute
}

// insertion inserts a rule at the start of a chain.
func insertion(p place, w ruleForm) change {
	var list []netlink.Attribute
	for i, s := range w {
		if i == len(w)-1 {
			list = append(list, element(counter()))
		}
		list = append(list, element(s))
	}
	return change{unix.NFT_MSG_NEWRULE, unix.NLM_F_CREATE, p, []netlink.Attribute{nest(unix.NFTA_RULE_EXPRESSIONS, list...)}}
}

func element(s step) netlink.Attribute {
	return nest(unix.NFTA_LIST_ELEM, attribute(unix.NFTA_EXPR_NAME, cstring(s.name)), netlink.Attribute{Type: unix.NLA_F_NESTED | unix.NFTA_EXPR_DATA, Data: s.data})
}

func deletion(p place, handle uint64) change {
	return change{unix.NFT_MSG_DELRULE, 0, p, []netlink.Attribute{attribute(unix.NFTA_RULE_HANDLE, binary.BigEndian.AppendUint64(nil, handle))}}
}

func appendMessage(to []nlsock.Message, c change) ([]nlsock.Message, error) {
	names := []netlink.Attribute{attribute(unix.NFTA_RULE_TABLE, cstring(c.in.table)), attribute(unix.NFTA_RULE_CHAIN, cstring(c.in.name))}
	body, err := netlink.MarshalAttributes(append(names, c.about...))
	if err != nil {
		return nil, err
	}
	return append(to, nfnl.NftablesRequest(c.kind, c.flags, c.in.family, body)), nil
}
