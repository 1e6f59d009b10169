package load

import (
	"net/netip"
	"os"
	"slices"
	"testing"

	"github.com/containernetworking/cni/pkg/types"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// TestDrainAndRefill: a /28 has 13 addresses beside its gateway, and has them all again however often it was emptied: one after
// the other in round robin, some at once, all at once with one too many.
func TestDrainAndRefill(t *testing.T) {
	h := nettest.Host(t)
	subnet := netip.MustParsePrefix("10.1.0.0/28")
	c := gather(t, h, 14, network("net", "cni0", gateway, pool(subnet.String())))
	for round := range int(setting(t, "PATCHBAY_LOAD_ROUNDS", 4)) {
		c.refillInOrder(t, round)
		c.judge(t, subnet)
		c.exchange(t, func(i int) bool { return i%3 == round%3 })
		c.judge(t, subnet)
		c.detachAll(t)
		c.refillAtOnce(t)
		c.judge(t, subnet)
		c.detachAll(t)
		h.NoLeaks(t)
		if t.Failed() {
			t.Fatalf("in round %d", round)
		}
	}
}

// refillInOrder takes every address, each the one after that which was given last, and then finds none.
func (c *crowd) refillInOrder(t *testing.T, round int) {
	t.Helper()
	last := netip.MustParseAddr("10.1.0.14") // so that the first one is the first
	if round > 0 {
		last = c.cursor(t)
	}
	for _, m := range c.members[:13] {
		a := c.h.CNI(t, c.call(m, "ADD")).OK(t)
		m.prev = a.Stdout
		if last = after(last); !slices.Equal(addressesIn(m.prev), []string{last.String() + "/28"}) {
			t.Errorf("%s got %v, it was the turn of %s", m.Name(), addressesIn(m.prev), last)
		}
	}
	refused(t, c.h.CNI(t, c.call(c.members[13], "ADD")), types.ErrTryAgainLater)
}

// cursor is the address that was given last.
func (c *crowd) cursor(t *testing.T) (last netip.Addr) {
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

// after is the next address of the /28 that a container can have.
func after(addr netip.Addr) netip.Addr {
	if addr == netip.MustParseAddr("10.1.0.14") {
		return netip.MustParseAddr("10.1.0.2")
	}
	return addr.Next()
}

// exchange takes some attachments away, all at once, and makes them again, all at once: the addresses are the same, whoever has
// which.
func (c *crowd) exchange(t *testing.T, choose func(int) bool) {
	t.Helper()
	i := -1
	chosen := c.some(attached).some(func(*member) bool { i++; return choose(i) })
	freed := chosen.addresses()
	chosen.all(t, "DEL").allOK(t)
	chosen.all(t, "ADD").allOK(t)
	if again := chosen.addresses(); !slices.Equal(again, freed) {
		t.Errorf("free were %v, given were %v", freed, again)
	}
}

func (c *crowd) addresses() []string {
	var out []string
	for _, m := range c.members {
		out = append(out, addressesIn(m.prev)...)
	}
	return sorted(out)
}

// refillAtOnce: one of the fourteen gets nothing.
func (c *crowd) refillAtOnce(t *testing.T) {
	t.Helper()
	r := c.all(t, "ADD")
	if r.ok() != 13 {
		t.Errorf("%d ADDs succeeded, there are 13 addresses", r.ok())
	}
	for _, a := range r.answers {
		if a.Exit != 0 {
			refused(t, a, types.ErrTryAgainLater)
		}
	}
}
