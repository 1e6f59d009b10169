package conntrack

import (
	"context"
	"errors"
	"net/netip"
	"time"
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
	return job{mappings: mappings, pick: stale(mappings)}.run(ctx, local)
}

// FlushOwn ends the flows to a host port of the mappings that lead to its container, and not those
// to the same host port that lead to a newer one. It is for a DEL whose elements are gone. Else as
// FlushStale.
func FlushOwn(ctx context.Context, mappings []Mapping, local Local) error {
	mappings = tracked(mappings)
	return job{mappings: mappings, pick: own(mappings), translated: true}.run(ctx, local)
}

// job is what a flush is about.
type job struct {
	mappings   []Mapping
	pick       func(flow) bool
	translated bool // only what goes elsewhere than it was sent to can be picked
}

func (j job) run(ctx context.Context, local Local) error {
	if len(j.mappings) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, longest)
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
	local = remember(local)
	for _, q := range j.questions(int(flows)) {
		picked, e := t.list(q, j.pick)
		err = errors.Join(err, e)
		for _, f := range picked {
			err = errors.Join(err, t.endIf(f, local))
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
