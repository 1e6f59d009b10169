package load

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/containernetworking/cni/pkg/types"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
)

// storm is the number of containers that are attached at once.
const storm = 300

// TestStorm attaches 300 containers at once in a /23: no error, no duplicate address, nothing left after DEL. It logs the rates of the reference
// plugins under the same load.
//
// Claim: 300 concurrent ADDs have no error, no duplicate address and nothing left behind; beyond the pool the code is 11 and no other
func TestStorm(t *testing.T) {
	h := nettest.Host(t)
	c := newBatch(t, h, storm, network("net", "cni0", cni.DefaultGateway(), cni.Pool("10.1.0.0/23")))
	reports := []report{c.all(t, "ADD")}
	reports[0].allOK(t)
	c.compareResults(t, netip.MustParsePrefix("10.1.0.0/23"))
	for _, verb := range []string{"CHECK", "DEL"} {
		r := c.all(t, verb)
		r.allOK(t)
		reports = append(reports, r)
	}
	h.NoLeaks(t)
	readState(t, h, c.containers()).equal(t, newState())
	reference := stormOfReference(t)
	for i, r := range reports {
		t.Logf("patchbay:  %s", r)
		t.Logf("reference: %s", reference[i])
	}
}

// TestStormOnNoRuleset: 300 concurrent ADDs find no table; one of them creates it, once, and it has the elements of all.
//
// Claim: 300 ADDs that race to create the first table create one table
func TestStormOnNoRuleset(t *testing.T) {
	h := nettest.Host(t)
	nettest.Need(t, nettest.Tool("nft"))
	c := newBatch(t, h, storm, network("net", "cni0", cni.DefaultGateway(), cni.Masquerade(), cni.Pool("10.1.0.0/23", "2001:db8::/64")))
	add := c.all(t, "ADD")
	add.allOK(t)
	rules := h.Run(t, "nft", "list", "table", "inet", "patchbay")
	for text, want := range map[string]int{
		"chain schema_": 1, "chain masq_": 1, "chain invalid_": 1, "vmap @masq4": 1, "vmap @invalid6": 1, "masquerade\n": 1,
		": jump masq_": 2 * storm, ": jump invalid_": 2 * storm,
	} {
		if got := strings.Count(rules, text); got != want {
			t.Errorf("%q occurs %d times in the table, want %d", text, got, want)
		}
	}
	c.all(t, "CHECK").allOK(t)
	del := c.all(t, "DEL")
	del.allOK(t)
	h.NoLeaks(t)
	t.Logf("patchbay:  %s\npatchbay:  %s", add, del)
}

// compareResults compares the host with the results of the successful ADDs: no two containers have the same address.
func (c *batch) compareResults(t *testing.T, subnet netip.Prefix) {
	t.Helper()
	want, owner := newState(), map[string]string{}
	for _, m := range c.members {
		if m.prev == nil {
			continue
		}
		k := key{"net", m.ID(), "eth0"}
		addresses := addressesOf(t, m.prev)
		want.add(k, "cni0", addresses)
		for _, text := range addresses {
			p, err := netip.ParsePrefix(text)
			if err != nil || p.Masked() != subnet {
				t.Errorf("%s has %s (%v), want an address of %s", m.Name(), text, err, subnet)
			}
			if owner[text] != "" {
				t.Errorf("%s and %[3]s both have %[2]s", m.Name(), text, owner[text])
			}
			owner[text] = m.Name()
		}
	}
	readState(t, c.h, c.containers()).equal(t, want)
}

func (c *batch) containers() []*nettest.Container {
	out := make([]*nettest.Container, len(c.members))
	for i, m := range c.members {
		out[i] = m.Container
	}
	return out
}

// stormOfReference runs the same calls with the reference plugins, for their rates. It asserts nothing.
func stormOfReference(t *testing.T) []report {
	t.Helper()
	bridge := nettest.Program(t, "bridge")
	h := nettest.Host(t)
	h.NoOracle("what the reference plugins leave behind is not checked")
	config := network("net", "cni0", cni.DefaultGateway(), cni.Conf{"type": "bridge", "ipam": cni.Conf{"type": "host-local", "ranges": cni.Ranges("10.1.0.0/23")}})
	c := newBatch(t, h, storm, config)
	c.plugin = bridge
	return []report{c.all(t, "ADD"), c.all(t, "CHECK"), c.all(t, "DEL")}
}

// TestStormBeyondThePool: a /24 has 253 addresses beside its gateway. Each ADD without an address fails with code 11 and leaves nothing behind.
//
// Claim: 300 concurrent ADDs have no error, no duplicate address and nothing left behind; beyond the pool the code is 11 and no other
func TestStormBeyondThePool(t *testing.T) {
	const addresses = 253
	h := nettest.Host(t)
	c := newBatch(t, h, storm, network("net", "cni0", cni.DefaultGateway(), cni.Pool("10.1.0.0/24")))
	r := c.all(t, "ADD")
	if r.ok() != addresses {
		t.Errorf("%d ADDs succeeded, the pool has %d addresses", r.ok(), addresses)
	}
	for _, a := range r.answers {
		if a.Exit != 0 {
			refused(t, a, types.ErrTryAgainLater)
		}
	}
	c.compareResults(t, netip.MustParsePrefix("10.1.0.0/24"))
	c.all(t, "DEL").allOK(t) // a runtime calls DEL after a failed ADD too
	h.NoLeaks(t)
	readState(t, h, c.containers()).equal(t, newState())
}

func refused(t *testing.T, a nettest.Answer, code uint) {
	t.Helper()
	if e := a.Error(t); e.Code != code || len(a.Stderr) > 0 {
		t.Errorf("code %d, want %d: %s", e.Code, code, a)
	}
}
