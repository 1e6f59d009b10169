package power

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/faults/networks"
)

// TestPowerLoss records every verb of every network, and boots from each disk that a power failure during it or after it can leave. With
// PATCHBAY_UPDATE=1 it writes the table of docs/power-loss.md; otherwise it compares it. With PATCHBAY_FAULTS it boots from a third of the disks.
//
// Claim: After a power failure during ADD, DEL or GC, on ext4, xfs and btrfs, no address is given twice, none is lost to the pool, no torn file
// blocks a verb, and GC leaves nothing
// Claim: Sticky addresses that an ADD has returned survive a power failure right after it
func TestPowerLoss(t *testing.T) {
	nettest.Root(t)
	var b table
	t.Run("all", func(t *testing.T) {
		for _, n := range kinds() {
			b.cutAll(t, n)
		}
	})
	b.compare(t)
}

// TestSample does the same for two small networks.
func TestSample(t *testing.T) {
	nettest.Root(t)
	for _, n := range kinds() {
		if n.sample {
			(&table{}).cutAll(t, n)
		}
	}
}

// cutAll cuts the power during each verb of a network.
func (b *table) cutAll(t *testing.T, n network) {
	t.Helper()
	for _, verb := range n.verbs() {
		t.Run(n.name+"/"+verb, func(t *testing.T) {
			t.Parallel()
			c := cut{n, verb}
			r, e := c.record(t)
			f := find(t, r)
			b.add(row{c, r, f, c.boot(t, f, e)})
		})
	}
}

// perHost is the number of disks from which one host boots in turn, and atOnce the number of hosts at the same time.
const perHost, atOnce = 8, 4

// boot boots from every disk and returns the number of disks after which something was wrong.
func (c cut) boot(t *testing.T, f found, e expected) int {
	t.Helper()
	var cases []networks.Case
	var failed atomic.Int64
	for i := 0; i < len(f.disks); i += perHost {
		part := f.disks[i:min(len(f.disks), i+perHost)]
		cases = append(cases, networks.Case{Name: fmt.Sprintf("disks from %d on", i+1), Run: func(t testing.TB) { c.bootEach(t, part, e, &failed) }})
	}
	broken := networks.RunCases(t, chosen(t, cases), atOnce)
	return max(int(failed.Load()), broken)
}

// bootEach boots one host from each disk in turn.
func (c cut) bootEach(t testing.TB, disks []one, e expected, failed *atomic.Int64) {
	if len(disks) == 0 {
		return
	}
	h := newHost(t, c.network)
	h.Reboot() // the boot ID is another one than that of the verb
	h.with("one", "beside", "next", "third", "fourth")
	h.Baseline()
	for i, d := range disks {
		h.reset(t, d)
		r := h.recovery(d)
		if wrong := r.run(t, h, d, e); len(wrong) > 0 {
			t.Errorf("%s, then %s:\n%s\nthe disk:\n%s", d.Why, r.name, strings.Join(wrong, "\n"), show(d.Tree))
			failed.Add(1)
			h.NoOracle("it has failed")
			c.bootEach(t, disks[i+1:], e, failed) // on a new host
			return
		}
	}
	h.reset(t, one{})
}
