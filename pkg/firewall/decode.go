package firewall

import (
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/nfnl"
)

// attributes are the attributes of a message or of a nested attribute, by type. Of
// several of one type the last counts; lists are read with elements.
type attributes struct {
	family byte // of a message
	values map[uint16][]byte
}

// typeMask removes the flags (nested, byte order) from an attribute's type.
const typeMask = 0x3fff

// parse decodes attributes. Data that is cut short is an error.
func parse(data []byte) (attributes, error) {
	list, err := netlink.UnmarshalAttributes(data)
	if err != nil {
		return attributes{}, fmt.Errorf("decode answer of nftables: %w", err)
	}
	a := attributes{values: map[uint16][]byte{}}
	for _, one := range list {
		a.values[one.Type&typeMask] = one.Data
	}
	return a, nil
}

func (a attributes) has(kind uint16) bool { _, has := a.values[kind]; return has }

// number returns a number in network byte order, of any width; 0 if the attribute is
// missing.
func (a attributes) number(kind uint16) (n uint32) {
	data := a.values[kind]
	for _, b := range data[:min(len(data), 4)] {
		n = n<<8 | uint32(b)
	}
	return n
}

// text returns a string up to its NUL.
func (a attributes) text(kind uint16) string {
	text, _, _ := strings.Cut(string(a.values[kind]), "\x00")
	return text
}

// nested returns the attributes within an attribute; none if it is missing or cannot
// be decoded.
func (a attributes) nested(kind uint16) attributes {
	inner, err := parse(a.values[kind])
	if err != nil {
		return attributes{}
	}
	return inner
}

// elements returns the attributes of each member of a list.
func (a attributes) elements(kind uint16) (all []attributes, err error) {
	list, err := netlink.UnmarshalAttributes(a.values[kind])
	if err != nil {
		return nil, fmt.Errorf("decode list of nftables: %w", err)
	}
	for _, one := range list {
		inner, err := parse(one.Data)
		if err != nil {
			return nil, err
		}
		all = append(all, inner)
	}
	return all, nil
}

// rule is a rule of a chain.
type rule struct {
	handle      uint64
	expressions []expression
	raw         []byte // the encoded expressions
	comment     string // that of nft(8); iptables' is an expression
}

// expression is one expression of a rule: its name in the kernel, and its attributes.
type expression struct {
	name string
	with attributes
}

// rules lists the rules of a chain.
func (f *Filters) rules(p place) ([]rule, error) {
	answers, err := f.ask(unix.NFT_MSG_GETRULE, unix.NLM_F_DUMP, p.family, []netlink.Attribute{
		{Type: unix.NFTA_RULE_TABLE, Data: cstring(p.table)}, {Type: unix.NFTA_RULE_CHAIN, Data: cstring(p.name)},
	})
	if err != nil {
		return nil, fmt.Errorf("list chain %s of table %s of nftables: %w", p.name, p.table, err)
	}
	var all []rule
	for _, a := range answers {
		r, err := ruleOf(a)
		if err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return all, nil
}

// ruleOf decodes a rule.
func ruleOf(a attributes) (rule, error) {
	r := rule{raw: a.values[unix.NFTA_RULE_EXPRESSIONS], comment: nfnl.Comment(a.values[unix.NFTA_RULE_USERDATA])}
	if handle := a.values[unix.NFTA_RULE_HANDLE]; len(handle) == 8 {
		r.handle = binary.BigEndian.Uint64(handle)
	}
	list, err := a.elements(unix.NFTA_RULE_EXPRESSIONS)
	for _, e := range list {
		r.expressions = append(r.expressions, expression{e.text(unix.NFTA_EXPR_NAME), e.nested(unix.NFTA_EXPR_DATA)})
	}
	return r, err
}

// cstring returns a string with a NUL.
func cstring(s string) []byte { return append([]byte(s), 0) }

// member is an element of a set or map.
type member struct {
	key, end  []byte // end is the last key of a range in a concatenation, else nil
	isEnd     bool   // the first key behind an interval
	isDefault bool   // what matches if nothing else does
	data      []byte
	verdict   verdict
}

// Constants of linux/netfilter/nf_tables.h that x/sys/unix lacks, of Linux 5.6 and
// 5.13.
const (
	setElemKeyEnd   = 10
	setElemCatchall = 2
)

// members lists the elements of a set.
func (f *Filters) members(p place, set string) ([]member, error) {
	answers, err := f.ask(unix.NFT_MSG_GETSETELEM, unix.NLM_F_DUMP, p.family, []netlink.Attribute{
		{Type: unix.NFTA_SET_ELEM_LIST_TABLE, Data: cstring(p.table)}, {Type: unix.NFTA_SET_ELEM_LIST_SET, Data: cstring(set)},
	})
	if err != nil {
		return nil, fmt.Errorf("list set %s of table %s of nftables: %w", set, p.table, err)
	}
	var all []member
	for _, answer := range answers {
		list, err := answer.elements(unix.NFTA_SET_ELEM_LIST_ELEMENTS)
		if err != nil {
			return nil, err
		}
		for _, e := range list {
			flags := e.number(unix.NFTA_SET_ELEM_FLAGS)
			data := e.nested(unix.NFTA_SET_ELEM_DATA)
			all = append(all, member{
				key: e.nested(unix.NFTA_SET_ELEM_KEY).values[unix.NFTA_DATA_VALUE], end: e.nested(setElemKeyEnd).values[unix.NFTA_DATA_VALUE],
				isEnd: flags&unix.NFT_SET_ELEM_INTERVAL_END != 0, isDefault: flags&setElemCatchall != 0,
				data: data.values[unix.NFTA_DATA_VALUE], verdict: verdictOf(data),
			})
		}
	}
	return all, nil
}

// verdict is what a rule decides for a packet.
type verdict struct {
	kind   kind
	target string // the chain of a jump or goto
}

type kind int

// The kinds of verdict: none continues with the rule, stop with the next rule, queue
// passes the packet to a program whose decision is unknown.
const (
	none kind = iota
	stop
	accept
	drop
	queue
	returns // return
	jump
	gotoChain // goto
	translate // to another destination, which is not Patchbay's
	untrack   // its connection, so that nothing is translated
)

// verdictOf decodes the data of an expression or an element.
func verdictOf(data attributes) verdict {
	v := data.nested(unix.NFTA_DATA_VERDICT)
	if !v.has(unix.NFTA_VERDICT_CODE) {
		return verdict{}
	}
	target := v.text(unix.NFTA_VERDICT_CHAIN)
	switch code := int32(v.number(unix.NFTA_VERDICT_CODE)); code {
	case unix.NFT_JUMP:
		return verdict{jump, target}
	case unix.NFT_GOTO:
		return verdict{gotoChain, target}
	case unix.NFT_RETURN:
		return verdict{kind: returns}
	case unix.NFT_CONTINUE:
		return verdict{}
	case unix.NFT_BREAK:
		return verdict{kind: stop}
	default:
		return standard(code & 0xff)
	}
}

// standard returns a verdict of linux/netfilter.h.
func standard(code int32) verdict {
	switch code {
	case 0:
		return verdict{kind: drop}
	case 1:
		return verdict{kind: accept}
	default:
		return verdict{kind: queue}
	}
}
