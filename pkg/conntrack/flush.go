package conntrack

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// ErrUnsupported is wrapped where the kernel has no connection tracking that can be asked.
var ErrUnsupported = errors.New("this kernel has no conntrack over netlink")

// longest is what the whole may take: a runtime waits for it.
const longest = time.Second

// Local reports whether an address is the host's own (link.Host.IsLocal).
type Local func(netip.Addr) (bool, error)

// FlushStale ends the flows to a host port of the mappings that do not lead to its container: they
// were begun before it was published, or lead to one that had it before. It is for an ADD whose
// elements are in the ruleset; a flow that begins after that is a right one. A flow to an address
// that is not the host's own stays: it only passes through. It takes at most one second, and goes
// on past errors.
func FlushStale(ctx context.Context, mappings []Mapping, local Local) error {
	mappings = tracked(mappings)
	return flush(ctx, mappings, stale(mappings), local)
}

// FlushOwn ends the flows to a host port of the mappings that lead to its container, and not those
// to the same host port that lead to a newer one. It is for a DEL whose elements are gone. Else as
// FlushStale.
func FlushOwn(ctx context.Context, mappings []Mapping, local Local) error {
	mappings = tracked(mappings)
	return flush(ctx, mappings, own(mappings), local)
}

func flush(ctx context.Context, mappings []Mapping, pick func(flow) bool, local Local) error {
	if len(mappings) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	t, err := open(ctx)
	if err != nil {
		return err
	}
	defer t.close()
	if any, err := t.any(); err != nil || !any {
		return err
	}
	own := remember(local)
	for _, q := range questions(mappings) {
		found, e := t.list(q)
		err = errors.Join(err, e)
		for _, f := range found {
			if pick(f) {
				err = errors.Join(err, t.endIf(f, own))
			}
		}
	}
	return err
}

// remember asks once for each address.
func remember(ask Local) Local {
	known := map[netip.Addr]bool{}
	return func(addr netip.Addr) (bool, error) {
		is, ok := known[addr]
		if ok {
			return is, nil
		}
		is, err := ask(addr)
		if err == nil {
			known[addr] = is
		}
		return is, err
	}
}

// table is the way to the flows of the network namespace the process is in.
type table struct {
	ctx  context.Context
	conn *netlink.Conn
}

func open(ctx context.Context) (*table, error) {
	conn, err := netlink.Dial(unix.NETLINK_NETFILTER, nil)
	if errors.Is(err, unix.EPROTONOSUPPORT) || errors.Is(err, unix.EAFNOSUPPORT) {
		return nil, fmt.Errorf("%w: %w", ErrUnsupported, err)
	}
	if err != nil {
		return nil, fmt.Errorf("open socket to conntrack: %w", err)
	}
	deadline, _ := ctx.Deadline()
	if err := conn.SetDeadline(deadline); err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("bound socket to conntrack: %w", err)
	}
	return &table{ctx: ctx, conn: conn}, nil
}

func (t *table) close() { _ = t.conn.Close() }

func (t *table) ask(kind uint16, flags netlink.HeaderFlags, body []byte) ([]netlink.Message, error) {
	if err := t.ctx.Err(); err != nil {
		return nil, err
	}
	return t.conn.Execute(netlink.Message{
		Header: netlink.Header{Type: netlink.HeaderType(unix.NFNL_SUBSYS_CTNETLINK<<8 | kind), Flags: netlink.Request | flags},
		Data:   body,
	})
}

// Messages of linux/netfilter/nfnetlink_conntrack.h.
const (
	msgGet, msgDelete, msgGetStats = 1, 2, 5

	statsEntries = 1 // CTA_STATS_GLOBAL_ENTRIES
)

// any reports whether there is a flow at all. It is asked first: what answers EINVAL to this is a
// kernel without conntrack, while a dump may be refused for more than one reason. The answer says that
// more will come, and only the acknowledgement does.
func (t *table) any() (bool, error) {
	answers, err := t.ask(msgGetStats, netlink.Acknowledge, header(unix.AF_UNSPEC))
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EOPNOTSUPP) {
		return false, fmt.Errorf("%w: %w", ErrUnsupported, err)
	}
	if err != nil {
		return false, fmt.Errorf("count flows of conntrack: %w", err)
	}
	for _, answer := range answers {
		if n, ok := entries(answer.Data); ok {
			return n > 0, nil
		}
	}
	return true, nil
}

// list are the flows that answer a question, and maybe others.
func (t *table) list(q question) ([]flow, error) {
	body, err := q.encode()
	if err != nil {
		return nil, fmt.Errorf("ask conntrack: %w", err)
	}
	answers, err := t.ask(msgGet, netlink.Dump, body)
	if err != nil {
		return nil, fmt.Errorf("list flows of conntrack: %w", err)
	}
	found := make([]flow, 0, len(answers))
	for _, answer := range answers {
		f, e := decodeFlow(answer.Data)
		if e != nil {
			err = errors.Join(err, fmt.Errorf("read flow of conntrack: %w", e))
			continue
		}
		found = append(found, f)
	}
	return found, err
}

// endIf ends a flow to an address of the host's own. One that ended by itself is no error.
func (t *table) endIf(f flow, local Local) error {
	is, err := local(f.to.Addr())
	if err != nil {
		return fmt.Errorf("is %s an address of this host: %w", f.to.Addr(), err)
	}
	if !is {
		return nil
	}
	body, err := f.encode()
	if err == nil {
		_, err = t.ask(msgDelete, netlink.Acknowledge, body)
	}
	if err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("end flow to %s that leads to %s: %w", f.to, f.end, err)
	}
	return nil
}
