package conntrack

import (
	"context"
	"errors"
	"net/netip"
	"time"
)

// ErrUnsupported is wrapped if the kernel has no connection tracking, or no netlink
// interface to it (nf_conntrack_netlink).
var ErrUnsupported = errors.New("no ctnetlink in this kernel")

// timeout bounds a flush as a whole: the runtime waits for the verb.
const timeout = time.Second

// Local reports whether an address is one of the host's (link.Host.IsLocal).
type Local func(netip.Addr) (bool, error)

// FlushStale deletes the flows to a host port of the mappings that do not lead to its
// container: they began before the port was published, or lead to a container that
// had the port before. ADD calls it after its elements are in the ruleset, so that
// flows which begin later are correct. Flows to addresses that are not the host's are
// kept: these packets are only routed. It takes at most one second and continues
// after errors.
func FlushStale(ctx context.Context, mappings []Mapping, local Local) error {
	mappings = tracked(mappings)
	return job{mappings: mappings, pick: stale(mappings)}.run(ctx, local)
}

// FlushOwn deletes the flows to a host port of the mappings that lead to its
// container, and keeps those to the same host port that lead to a newer one. DEL
// calls it after its elements are removed. Otherwise it is like FlushStale.
func FlushOwn(ctx context.Context, mappings []Mapping, local Local) error {
	mappings = tracked(mappings)
	return job{mappings: mappings, pick: own(mappings), dnatOnly: true}.run(ctx, local)
}

// job describes a flush.
type job struct {
	mappings []Mapping
	pick     func(flow) bool
	dnatOnly bool // only what goes elsewhere than it was sent to can be picked
}

// run deletes the flows that the job picks.
func (j job) run(ctx context.Context, local Local) error {
	if len(j.mappings) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	t, err := open(ctx)
	if err != nil {
		return err
	}
	defer t.close()
	flows, err := t.count()
	if err != nil || flows == 0 {
		return err
	}
	local = cached(local)
	for _, q := range j.queries(int(flows)) {
		picked, e := t.list(q, j.pick)
		err = errors.Join(err, e)
		for _, f := range picked {
			err = errors.Join(err, t.deleteIfLocal(f, local))
		}
	}
	return err
}

// cached returns a Local that asks once for each address.
func cached(ask Local) Local {
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
