package firewall

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/nfnl"
)

// questionTimeout bounds each exported method as a whole. The kernel waits for the
// transactions of other processes, and a ruleset can be large: kube-proxy adds a
// chain for each service.
const questionTimeout = 10 * time.Second

// ErrBusy is wrapped if the ruleset changed during every attempt to read it.
var ErrBusy = errors.New("ruleset of nftables changed during each read")

// Filters is a connection to the packet filters of one network namespace. It is not
// safe for concurrent use.
type Filters struct {
	conn     *nfnl.Conn // nil without nf_tables: only the tables of iptables-legacy are read
	deadline time.Time  // of lockXtables too
}

// Open connects to the packet filters of the calling thread's network namespace. A
// kernel without nf_tables is no error. Close it when done.
func Open() (*Filters, error) {
	conn, err := nfnl.Open()
	if nfnl.IsUnsupported(err) {
		return &Filters{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("open nftables socket: %w", err)
	}
	return &Filters{conn: conn}, nil
}

// Close closes the socket. After Disallow it blocks for an RCU grace period, 10 ms
// and more.
func (f *Filters) Close() {
	if f.conn != nil {
		f.conn.Close()
	}
}

// begin starts the time limit of one exported method.
func (f *Filters) begin() {
	f.deadline = time.Now().Add(questionTimeout)
	if f.conn != nil {
		f.conn.SetDeadline(f.deadline)
	}
}

// ask sends one request about an address family and returns its answers; none without nf_tables.
func (f *Filters) ask(kind, flags uint16, family byte, about []netlink.Attribute) ([]attributes, error) {
	if f.conn == nil {
		return nil, nil
	}
	body, err := netlink.MarshalAttributes(about)
	if err != nil {
		return nil, err
	}
	answers, err := f.conn.Ask(nfnl.NftablesRequest(kind, flags, family, body))
	if err != nil {
		return nil, err
	}
	all := make([]attributes, 0, len(answers))
	for _, answer := range answers {
		parsed, err := parse(nfnl.Attributes(answer))
		if err != nil {
			return nil, err
		}
		parsed.family = nfnl.Family(answer)
		all = append(all, parsed)
	}
	return all, nil
}

// readConsistently calls read until the ruleset did not change during a call, or until two calls in a
// row found the same: on a host with many ADDs and DELs the generation may change during each read,
// although no filter does. If neither happens the error wraps ErrBusy, and that of the last read: a
// chain or set of one answer may be gone at the next request, for which ENOENT is the usual error.
func (f *Filters) readConsistently(read func() ([]Drop, error)) (found []Drop, err error) {
	if f.conn == nil {
		return read()
	}
	if _, err := f.conn.Generation(); nfnl.IsUnsupported(err) {
		return read() // nfnetlink without nf_tables: iptables-legacy may be in use
	}
	var last []Drop
	var failed error
	isFirst := true
	consistent, err := f.conn.ReadConsistently(func() (final bool, err error) {
		found, err = read()
		final = !isFirst && slices.Equal(last, found)
		last, isFirst, failed = found, err != nil, err
		return final, err
	})
	if !consistent && errors.Is(err, failed) { // not an error of the generation, which is no result of the changes
		return nil, errors.Join(ErrBusy, err)
	}
	return found, err
}

// chain is a chain of another program's table.
type chain struct {
	isLegacy    bool // of iptables-legacy
	family      byte
	table, name string
	hook        hook // of a base chain of type filter or nat, else elsewhere
	isNAT       bool // a chain of type nat
	priority    int32
	isDrop      bool // its policy
}

// place identifies a chain.
type place struct {
	isLegacy    bool
	family      byte
	table, name string
}

func (c chain) place() place { return place{c.isLegacy, c.family, c.table, c.name} }

// chains lists the chains of all tables of IPv4, IPv6 and inet, base chains of a hook
// in the order in which a packet passes them. Our own table is left out.
func (f *Filters) chains() ([]chain, error) {
	answers, err := f.ask(unix.NFT_MSG_GETCHAIN, unix.NLM_F_DUMP, unix.AF_UNSPEC, nil)
	if nfnl.IsUnsupported(err) {
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
			c.hook, c.isNAT = hookOf(hook.number(unix.NFTA_HOOK_HOOKNUM), a.text(unix.NFTA_CHAIN_TYPE))
			c.priority = int32(hook.number(unix.NFTA_HOOK_PRIORITY))
			c.isDrop = a.has(unix.NFTA_CHAIN_POLICY) && a.number(unix.NFTA_CHAIN_POLICY) == 0
		}
		all = append(all, c)
	}
	slices.SortStableFunc(all, func(a, b chain) int { return int(a.priority) - int(b.priority) })
	return all, nil
}

// hook is a hook of netfilter, of those that this package evaluates.
type hook int

const (
	elsewhere hook = iota
	prerouting
	input
	forward
)

// String returns the name that nft(8) has for the hook.
func (h hook) String() string {
	return [...]string{"", "prerouting", "input", "forward"}[h]
}

// hookOf returns the hook of a base chain by its number, and whether the chain is of type nat. Chains of other types
// are not evaluated, and those of type nat only at prerouting: they decide about no packet.
func hookOf(number uint32, kind string) (h hook, isNAT bool) {
	switch {
	case number == unix.NF_INET_FORWARD && kind == "filter":
		return forward, false
	case number == unix.NF_INET_LOCAL_IN && kind == "filter":
		return input, false
	case number == unix.NF_INET_PRE_ROUTING && (kind == "filter" || kind == "nat"):
		return prerouting, kind == "nat"
	}
	return elsewhere, false
}
