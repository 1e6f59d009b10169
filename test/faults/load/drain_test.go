package load

import (
	"net/netip"
	"os"
	"slices"
	"testing"

	"github.com/containernetworking/cni/pkg/types"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
)

// TestDrainAndRefill: a /28 has 13 addresses beside its gateway. All are given again in every round: one after the other in round-robin
// order, some concurrently, and all concurrently with one request too many.
//
// Claim: No address is lost, however often a pool is exhausted and filled
func TestDrainAndRefill(t *testing.T) {
	h := nettest.Host(t)
	subnet := netip.MustParsePrefix("10.1.0.0/28")
	c := newBatch(t, h, 14, network("net", "cni0", cni.Gateway(), cni.Pool(subnet.String())))
	for round := range int(setting(t, "PATCHBAY_LOAD_ROUNDS", 4)) {
		c.refillInOrder(t, round)
		c.compareResults(t, subnet)
		c.reattach(t, func(i int) bool { return i%3 == round%3 })
		c.compareResults(t, subnet)
		c.detachAll(t)
		c.refillAtOnce(t)
		c.compareResults(t, subnet)
		c.detachAll(t)
		h.NoLeaks(t)
		if t.Failed() {
			t.Fatalf("in round %d", round)
		}
	}
}

// refillInOrder allocates every address, in round-robin order, and then finds the pool full.
func (c *batch) refillInOrder(t *testing.T, round int) {
	t.Helper()
	last := netip.MustParseAddr("10.1.0.14") // so that the first one is the first
	if round > 0 {
		last = c.cursor(t)
	}
	for _, m := range c.members[:13] {
		a := c.h.CNI(t, c.call(t, m, "ADD")).OK(t)
		m.prev = a.Stdout
		if last = after(last); !slices.Equal(addressesIn(m.prev), []string{last.String() + "/28"}) {
			t.Errorf("%s got %v, want %s", m.Name(), addressesIn(m.prev), last)
		}
	}
	refused(t, c.h.CNI(t, c.call(t, c.members[13], "ADD")), types.ErrTryAgainLater)
}

// cursor returns the address that was allocated last.
func (c *batch) cursor(t *testing.T) (last netip.Addr) {
	t.Helper()
	c.h.Do(func() {
		text, err := os.ReadFile(stateDir + "/ipam/net/last_reserved_ip.0")
		if err == nil {
			last, err = netip.ParseAddr(string(text))
		}
		if err != nil {
			t.Fatal(err)
		}
	})
	return last
}

// after returns the next address of the /28 that is not the gateway.
func after(addr netip.Addr) netip.Addr {
	if addr == netip.MustParseAddr("10.1.0.14") {
		return netip.MustParseAddr("10.1.0.2")
	}
	return addr.Next()
}

// reattach deletes some attachments concurrently and adds them again concurrently: as a set, the addresses are the same.
func (c *batch) reattach(t *testing.T, choose func(int) bool) {
	t.Helper()
	i := -1
	chosen := c.some(attached).some(func(*member) bool { i++; return choose(i) })
	freed := chosen.addresses()
	chosen.all(t, "DEL").allOK(t)
	chosen.all(t, "ADD").allOK(t)
	if again := chosen.addresses(); !slices.Equal(again, freed) {
		t.Errorf("addresses released: %v, allocated: %v", freed, again)
	}
}

func (c *batch) addresses() []string {
	var out []string
	for _, m := range c.members {
		out = append(out, addressesIn(m.prev)...)
	}
	return sorted(out)
}

// refillAtOnce attaches all fourteen concurrently: one ADD finds the pool full.
func (c *batch) refillAtOnce(t *testing.T) {
	t.Helper()
	r := c.all(t, "ADD")
	if r.ok() != 13 {
		t.Errorf("%d ADDs succeeded, the pool has 13 addresses", r.ok())
	}
	for _, a := range r.answers {
		if a.Exit != 0 {
			refused(t, a, types.ErrTryAgainLater)
		}
	}
}
