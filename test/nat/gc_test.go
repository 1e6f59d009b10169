package nat

import (
	"fmt"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// gc is a GC that says which attachments are valid, as JSON.
func gc(t *testing.T, h *nettest.Node, config []byte, valid string) {
	t.Helper()
	with := fmt.Appendf(nil, `%s, "cni.dev/valid-attachments": %s}`, strings.TrimSuffix(strings.TrimSpace(string(config)), "}"), valid)
	h.CNI(t, nettest.Call{Command: "GC", Config: with}).OK(t)
}

// GC takes elements of who is not valid: with a record, and of whom nothing else is left.
func TestGCTakesElements(t *testing.T) {
	h := nettest.Host(t)
	config := network("nat", "cni0", masq, subnet4, subnet6)
	kept, gone, lost := h.Container("kept"), h.Container("gone"), h.Container("lost")
	for _, c := range []*nettest.Container{lost, gone, kept} {
		add(t, h, c, config)
	}
	lost.Run(t, "ip", "link", "del", "eth0")
	remove(t, h, "/run/patchbay/nat/"+lost.ID()+"@eth0.json")
	remove(t, h, "/run/patchbay/ipam/nat/10.88.0.2")
	remove(t, h, "/run/patchbay/ipam/nat/fd00:88::2")
	gc(t, h, config, fmt.Sprintf(`[{"containerID": %q, "ifname": "eth0"}]`, kept.ID()))
	rules := h.Run(t, "nft", "list", "ruleset")
	if strings.Contains(rules, lost.ID()) || strings.Contains(rules, gone.ID()) || strings.Count(rules, kept.ID()) != 4 {
		t.Errorf("want the four elements of %s alone:\n%s", kept.ID(), rules)
	}
	gc(t, h, network("other", "cni0", masq, "10.77.0.0/16"), "null") // another network's business
	if got := h.Run(t, "nft", "list", "ruleset"); got != rules {
		t.Errorf("GC of another network changed\n%s\nto\n%s", rules, got)
	}
	del(t, h, kept, config)
}

// The chains of settings that a network no longer has go with GC; those that are in use stay.
func TestGCSweepsChains(t *testing.T) {
	h := nettest.Host(t)
	before := network("nat", "cni0", masq+`"masqExclude": ["192.0.2.0/24"],`, subnet4)
	after := network("nat", "cni0", masq, subnet4)
	neighbour := network("nat_b", "cni1", masq, "10.89.0.0/16") // whose chains are named alike
	a, b, c := h.Container("a"), h.Container("b"), h.Container("c")
	add(t, h, a, before)
	add(t, h, b, after)
	add(t, h, c, neighbour)
	del(t, h, c, neighbour)
	chains := func() int {
		return strings.Count(h.Run(t, "nft", "list", "table", "inet", "patchbay"), "chain masq_nat_")
	}
	keep := fmt.Sprintf(`[{"containerID": %q, "ifname": "eth0"}, {"containerID": %q, "ifname": "eth0"}]`, a.ID(), b.ID())
	gc(t, h, after, keep)
	if n := chains(); n != 3 {
		t.Errorf("%d chains, want 3: two in use, one of another network", n)
	}
	del(t, h, a, before)
	gc(t, h, after, keep)
	rules := h.Run(t, "nft", "list", "ruleset")
	if n := chains(); n != 2 || strings.Contains(rules, "192.0.2.0/24") {
		t.Errorf("%d chains, want 2, and none that excludes 192.0.2.0/24:\n%s", n, rules)
	}
	del(t, h, b, after)
}

// STATUS of a network that masquerades: a table that no ADD may touch is a reason, and none for others.
func TestStatusOfTheRuleset(t *testing.T) {
	for name, tc := range map[string]struct{ table, want string }{
		"newer":   {"add table inet patchbay; add chain inet patchbay schema_99", "was built by a newer patchbay: it has version 99"},
		"foreign": {"add table inet patchbay; add chain inet patchbay mine", "is not one that patchbay made"},
	} {
		t.Run(name, func(t *testing.T) {
			h := nettest.Host(t)
			config := network("nat", "cni0", masq, subnet4)
			status := nettest.Call{Command: "STATUS", Config: config}
			h.CNI(t, status).OK(t)
			h.Run(t, "nft", tc.table)
			h.Baseline()
			h.Oracle(nettest.CleanHost)
			if e := h.CNI(t, status).Error(t); e.Code != 50 || !strings.Contains(e.Msg, tc.want) || e.Details == "" {
				t.Errorf("got %+v", e)
			}
			h.CNI(t, nettest.Call{Command: "STATUS", Config: network("nat", "cni0", "", subnet4)}).OK(t)
			if e := h.CNI(t, call("ADD", h.Container("c"), config)).Error(t); e.Code != 108 || !strings.Contains(e.Msg, tc.want) {
				t.Errorf("ADD says %+v", e)
			}
			h.Oracle(nettest.Attachment)
		})
	}
}
