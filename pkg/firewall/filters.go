package firewall

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// patience bounds each of the exported questions as a whole: the kernel answers at once, but for the
// transactions of others, and a ruleset can be large.
const patience = 10 * time.Second

// ErrBusy is of a ruleset that changed at every look.
var ErrBusy = errors.New("the rules of nftables change all the time")

// Filters is the way to the packet filters of the network namespace that the thread is in. It is not
// safe for concurrent use.
type Filters struct {
	conn     *netlink.Conn // nil on a kernel without nf_tables: then only the legacy tables are looked at
	deadline time.Time
}

// Open opens the way. A kernel without nf_tables is no error. Close it when done.
func Open() (*Filters, error) {
	conn, err := netlink.Dial(unix.NETLINK_NETFILTER, nil)
	if errors.Is(err, unix.EPROTONOSUPPORT) || errors.Is(err, unix.EAFNOSUPPORT) {
		return &Filters{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("open socket to nftables: %w", err)
	}
	return &Filters{conn: conn}, nil
}

// Close closes the socket; after Disallow it waits until no processor looks at what was removed,
// ten milliseconds and more.
func (f *Filters) Close() {
	if f.conn != nil {
		_ = f.conn.Close()
	}
}

// begin starts the time that one question has.
func (f *Filters) begin() { f.deadline = time.Now().Add(patience) }

// ask sends one question about a family and returns all its answers, without their headers.
func (f *Filters) ask(kind uint16, flags netlink.HeaderFlags, family byte, about []netlink.Attribute) ([]attributes, error) {
	if f.conn == nil {
		return nil, nil
	}
	body, err := netlink.MarshalAttributes(about)
	if err != nil {
		return nil, err
	}
	if err := f.conn.SetDeadline(f.deadline); err != nil {
		return nil, err
	}
	answers, err := f.conn.Execute(message(kind, flags, append(header(family), body...)))
	if err != nil {
		return nil, err
	}
	all := make([]attributes, 0, len(answers))
	for _, answer := range answers {
		parsed, err := parse(answer.Data[min(len(answer.Data), len(header(family))):])
		if err != nil {
			return nil, err
		}
		if len(answer.Data) > 0 {
			parsed.family = answer.Data[0]
		}
		all = append(all, parsed)
	}
	return all, nil
}

func message(kind uint16, flags netlink.HeaderFlags, body []byte) netlink.Message {
	return netlink.Message{
		Header: netlink.Header{Type: netlink.HeaderType(unix.NFNL_SUBSYS_NFTABLES<<8 | kind), Flags: netlink.Request | flags},
		Data:   body,
	}
}

// header is struct nfgenmsg (linux/netfilter/nfnetlink.h): family, version 0, no resource.
func header(family byte) []byte { return []byte{family, unix.NFNETLINK_V0, 0, 0} }

// steadily looks until two looks see the same, or nobody changed the ruleset during one: several
// questions, and one list that the kernel tells in pieces, are else of different rulesets, and a chain
// may go between two of them. Attachments change it too, with each ADD.
func (f *Filters) steadily(look func() ([]Drop, error)) (found []Drop, err error) {
	const looks = 10
	for i := range looks {
		before, failed := f.generation()
		if isUnsupported(failed) {
			return look()
		}
		if failed != nil {
			return nil, failed
		}
		last := found
		found, err = look()
		after, failed := f.generation()
		if failed != nil {
			return nil, failed
		}
		if before == after || err == nil && i > 0 && slices.Equal(last, found) {
			return found, err
		}
		if err != nil {
			found = []Drop{{}} // no look's
		}
	}
	return nil, errors.Join(ErrBusy, err)
}

// generation is the number of the ruleset, which every transaction makes higher.
func (f *Filters) generation() (uint32, error) {
	answers, err := f.ask(unix.NFT_MSG_GETGEN, 0, unix.AF_UNSPEC, nil)
	if err != nil {
		return 0, fmt.Errorf("ask for the generation of nftables: %w", err)
	}
	if len(answers) == 0 {
		return 0, nil
	}
	return answers[0].number(unix.NFTA_GEN_ID), nil
}

// isUnsupported is of a kernel that has netlink for its other filters, and no nf_tables.
func isUnsupported(err error) bool {
	return errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EOPNOTSUPP)
}

// chain is one of somebody's table.
type chain struct {
	isLegacy    bool // of iptables-legacy
	family      byte
	table, name string
	isForward   bool // a filter at the forward hook: where packets come in
	priority    int32
	isDrop      bool // its policy
}

// place is what names a chain.
type place struct {
	isLegacy    bool
	family      byte
	table, name string
}

func (c chain) place() place { return place{c.isLegacy, c.family, c.table, c.name} }

// chains lists the chains of all tables of IPv4, IPv6 or both; those of the forward hook come in the
// order that a packet meets them. Our own table is not among them.
func (f *Filters) chains() ([]chain, error) {
	answers, err := f.ask(unix.NFT_MSG_GETCHAIN, netlink.Dump, unix.AF_UNSPEC, nil)
	if isUnsupported(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list chains of nftables: %w", err)
	}
	var all []chain
	for _, a := range answers {
		c := chain{family: a.family, table: a.text(unix.NFTA_CHAIN_TABLE), name: a.text(unix.NFTA_CHAIN_NAME)}
		ours := c.family == unix.NFPROTO_INET && c.table == "patchbay"
		if ours || !slices.Contains([]byte{unix.NFPROTO_IPV4, unix.NFPROTO_IPV6, unix.NFPROTO_INET}, c.family) {
			continue
		}
		if hook := a.nested(unix.NFTA_CHAIN_HOOK); hook.has(unix.NFTA_HOOK_HOOKNUM) {
			c.isForward = hook.number(unix.NFTA_HOOK_HOOKNUM) == unix.NF_INET_FORWARD && a.text(unix.NFTA_CHAIN_TYPE) == "filter"
			c.priority = int32(hook.number(unix.NFTA_HOOK_PRIORITY))
			c.isDrop = a.has(unix.NFTA_CHAIN_POLICY) && a.number(unix.NFTA_CHAIN_POLICY) == 0
		}
		all = append(all, c)
	}
	slices.SortStableFunc(all, func(a, b chain) int { return int(a.priority) - int(b.priority) })
	return all, nil
}
