package power

import (
	"crypto/sha256"
	"net/netip"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/test/faults/disk"
)

// cut is a verb of a network during which the power fails.
type cut struct {
	network
	verb string
}

// The verbs. Before each but the first, a container "beside" is attached to the network.
const (
	firstAdd = "first ADD"
	add      = "ADD"
	move     = "ADD, another address"   // than the one that is remembered
	again    = "ADD after a killed ADD" // which was killed before its last fsync, and a DEL
	del      = "DEL"
	gc       = "GC"
)

func (n network) verbs() []string {
	if n.sticky {
		return []string{firstAdd, add, move, again, del, gc}
	}
	return []string{firstAdd, add, del, gc}
}

// expected is what is remembered for the container "one" before and after the verb; nil for nothing.
type expected struct{ before, after []netip.Addr }

// prepare creates the host before the verb, and returns it with the addresses that are remembered for "one".
func (c cut) prepare(t testing.TB) (h *host, remembered []netip.Addr) {
	t.Helper()
	h = newHost(t, c.network, "one", "beside")
	h.NoOracle("the host ends with a power failure")
	must := func(verb, name string) {
		t.Helper()
		if wrong := h.do(t, verb, name); wrong != "" {
			t.Fatal(wrong)
		}
	}
	if c.verb == firstAdd {
		return h, nil
	}
	must("ADD", "beside")
	if c.verb != add && c.verb != again {
		must("ADD", "one")
		if c.sticky {
			remembered = addresses(h.results["one"])
		}
	}
	if c.verb == move {
		must("DEL", "one")
	}
	return h, remembered
}

// record makes the verb, and returns its operations and what is remembered.
func (c cut) record(t testing.TB) (*trace, expected) {
	t.Helper()
	h, before := c.prepare(t)
	if c.verb == gc {
		return record(t, h.Node, h.call(t, "GC", "beside")), expected{before, before}
	}
	if c.verb == again {
		r := recordKilled(t, h.Node, h.call(t, "ADD", "one"), memory+"/net")
		r.then(record(t, h.Node, h.call(t, "DEL", "one")), record(t, h.Node, h.call(t, "ADD", "one")))
		return r, expected{nil, addresses(r.answer.Stdout)}
	}
	verb, _, _ := strings.Cut(strings.TrimPrefix(c.verb, "first "), ",")
	call := h.call(t, verb, "one")
	if c.verb == move {
		call.Args = "IP=10.1.0.4"
	}
	r := record(t, h.Node, call)
	switch {
	case verb != "ADD":
		return r, expected{before, before}
	case c.sticky:
		return r, expected{before, addresses(r.answer.Stdout)}
	}
	return r, expected{}
}

// one is a disk to boot from.
type one struct {
	disk.Disk
	number    int
	unordered bool // it is possible without any order only
}

// found is every disk of a verb, each once, and the number of disks of each model.
type found struct {
	ops    int
	disks  []one
	counts []int
}

// find computes the disks of all models.
func find(t testing.TB, r *trace) (f found) {
	t.Helper()
	f.ops = len(r.ops)
	seen := map[[sha256.Size]byte]int{}
	for _, m := range disk.Models() {
		disks, err := m.After(r.before, r.ops)
		if err != nil {
			t.Fatal(err)
		}
		f.counts = append(f.counts, len(disks))
		for _, d := range disks {
			i, known := seen[d.Key()]
			if !known {
				seen[d.Key()] = len(f.disks)
				f.disks = append(f.disks, one{d, len(f.disks), m.Name == disk.NoOrder().Name})
			} else if d.Ended && !f.disks[i].Ended {
				f.disks[i].Disk = d
			}
		}
	}
	return f
}
