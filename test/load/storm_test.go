package load

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/containernetworking/cni/pkg/types"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// storm is how many containers want to be attached at once.
const storm = 300

// TestStorm: everybody at once in a /23. No error, no address twice, nothing left. Beside it the reference in the same weather.
func TestStorm(t *testing.T) {
	h := nettest.Host(t)
	c := gather(t, h, storm, network("net", "cni0", defaultGateway, pool("10.1.0.0/23")))
	reports := []report{c.all(t, "ADD")}
	reports[0].allOK(t)
	c.judge(t, netip.MustParsePrefix("10.1.0.0/23"))
	for _, verb := range []string{"CHECK", "DEL"} {
		r := c.all(t, verb)
		r.allOK(t)
		reports = append(reports, r)
	}
	h.NoLeaks(t)
	look(t, h, c.containers()).equal(t, newState())
	reference := stormOfReference(t)
	for i, r := range reports {
		t.Logf("patchbay:  %s", r)
		t.Logf("reference: %s", reference[i])
	}
}

// TestStormOnNoRuleset: everybody finds no table, and one builds it, once, with everybody's elements in it.
func TestStormOnNoRuleset(t *testing.T) {
	h := nettest.Host(t)
	nettest.Need(t, nettest.Tool("nft"))
	c := gather(t, h, storm, network("net", "cni0", defaultGateway, `"ipMasq": true`, pool("10.1.0.0/23", "2001:db8::/64")))
	add := c.all(t, "ADD")
	add.allOK(t)
	rules := h.Run(t, "nft", "list", "table", "inet", "patchbay")
	for text, want := range map[string]int{
		"chain schema_": 1, "chain masq_": 1, "chain invalid_": 1, "vmap @masq4": 1, "vmap @invalid6": 1, "masquerade\n": 1,
		": jump masq_": 2 * storm, ": jump invalid_": 2 * storm,
	} {
		if got := strings.Count(rules, text); got != want {
			t.Errorf("%q is %d times in the table, not %d", text, got, want)
		}
	}
	c.all(t, "CHECK").allOK(t)
	del := c.all(t, "DEL")
	del.allOK(t)
	h.NoLeaks(t)
	t.Logf("patchbay:  %s\npatchbay:  %s", add, del)
}

// judge compares the host with the results of those that succeeded; nobody may have another's address.
func (c *crowd) judge(t *testing.T, subnet netip.Prefix) {
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
				t.Errorf("%s has %s (%v), not of %s", m.Name(), text, err, subnet)
			}
			if owner[text] != "" {
				t.Errorf("%s has %s, and so has %s", m.Name(), text, owner[text])
			}
			owner[text] = m.Name()
		}
	}
	look(t, c.h, c.containers()).equal(t, want)
}

func (c *crowd) containers() []*nettest.Container {
	out := make([]*nettest.Container, len(c.members))
	for i, m := range c.members {
		out[i] = m.Container
	}
	return out
}

// stormOfReference is the same by the reference plugins: for the figures, not for a verdict.
func stormOfReference(t *testing.T) []report {
	t.Helper()
	bridge := nettest.Program(t, "bridge")
	h := nettest.Host(t)
	h.NoOracle("what the reference leaves is not judged here")
	config := `{"cniVersion": "1.0.0", "name": "net", "type": "bridge", "bridge": "cni0", "isDefaultGateway": true,
		"ipam": {"type": "host-local", ` + ranges("10.1.0.0/23") + `}}`
	c := gather(t, h, storm, config)
	c.plugin = bridge
	return []report{c.all(t, "ADD"), c.all(t, "CHECK"), c.all(t, "DEL")}
}

// TestStormBeyondThePool: a /24 has 253 addresses beside its gateway. Who gets none is told so with code 11, and leaves nothing.
func TestStormBeyondThePool(t *testing.T) {
	const addresses = 253
	h := nettest.Host(t)
	c := gather(t, h, storm, network("net", "cni0", defaultGateway, pool("10.1.0.0/24")))
	r := c.all(t, "ADD")
	if r.ok() != addresses {
		t.Errorf("%d ADDs succeeded, the pool has %d addresses", r.ok(), addresses)
	}
	for _, a := range r.answers {
		if a.Exit != 0 {
			refused(t, a, types.ErrTryAgainLater)
		}
	}
	c.judge(t, netip.MustParsePrefix("10.1.0.0/24"))
	c.all(t, "DEL").allOK(t) // a runtime calls DEL after a failed ADD too
	h.NoLeaks(t)
	look(t, h, c.containers()).equal(t, newState())
}

func refused(t *testing.T, a nettest.Answer, code uint) {
	t.Helper()
	if e := a.Error(t); e.Code != code || len(a.Stderr) > 0 {
		t.Errorf("code %d, want %d: %s", e.Code, code, a)
	}
}
