package nat

import (
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
)

// gc calls GC with these valid attachments.
func gc(t *testing.T, h *nettest.Node, config cni.Conf, valid []cni.Conf) {
	t.Helper()
	h.CNI(t, nettest.Call{Command: "GC", Config: config.With(cni.Conf{"cni.dev/valid-attachments": valid}).JSON(t)}).OK(t)
}

// TestGCTakesElements: GC removes elements of invalid attachments, with a record and without.
//
// Claim: GC removes elements of invalid attachments, with or without a record, and chains of settings that no longer exist; never those of
// another network
func TestGCTakesElements(t *testing.T) {
	h := nettest.Host(t)
	config := gatewayNetwork("nat", cni.Masquerade(), cni.Pool(subnet4, subnet6))
	kept, gone, lost := h.Container("kept"), h.Container("gone"), h.Container("lost")
	for _, c := range []*nettest.Container{lost, gone, kept} {
		add(t, h, c, config)
	}
	lost.Run(t, "ip", "link", "del", "eth0")
	remove(t, h, "/run/patchbay/nat/"+lost.ID()+"@eth0.json")
	remove(t, h, "/run/patchbay/ipam/nat/10.88.0.2")
	remove(t, h, "/run/patchbay/ipam/nat/fd00:88::2")
	gc(t, h, config, []cni.Conf{{"containerID": kept.ID(), "ifname": "eth0"}})
	rules := h.Run(t, "nft", "list", "ruleset")
	if strings.Contains(rules, lost.ID()) || strings.Contains(rules, gone.ID()) || strings.Count(rules, kept.ID()) != 4 {
		t.Errorf("want the four elements of %s alone:\n%s", kept.ID(), rules)
	}
	gc(t, h, gatewayNetwork("other", cni.Masquerade(), cni.Pool("10.77.0.0/16")), nil) // must change nothing
	if got := h.Run(t, "nft", "list", "ruleset"); got != rules {
		t.Errorf("GC of another network changed\n%s\nto\n%s", rules, got)
	}
	cni.Del(t, h, kept, config)
}

// TestGCSweepsChains: GC removes the chains of settings that no attachment of the network uses; chains in use stay.
//
// Claim: GC removes elements of invalid attachments, with or without a record, and chains of settings that no longer exist; never those of
// another network
func TestGCSweepsChains(t *testing.T) {
	h := nettest.Host(t)
	before := gatewayNetwork("nat", cni.Masquerade(), cni.Conf{"masqExclude": []string{"192.0.2.0/24"}}, cni.Pool(subnet4))
	after := gatewayNetwork("nat", cni.Masquerade(), cni.Pool(subnet4))
	neighbour := gatewayNetwork("nat_b", cni.Conf{"bridge": "cni1"}, cni.Masquerade(), cni.Pool("10.89.0.0/16")) // its chains have the same name prefix
	a, b, c := h.Container("a"), h.Container("b"), h.Container("c")
	add(t, h, a, before)
	add(t, h, b, after)
	add(t, h, c, neighbour)
	cni.Del(t, h, c, neighbour)
	chains := func() int {
		return strings.Count(h.Run(t, "nft", "list", "table", "inet", "patchbay"), "chain masq_nat_")
	}
	keep := []cni.Conf{{"containerID": a.ID(), "ifname": "eth0"}, {"containerID": b.ID(), "ifname": "eth0"}}
	gc(t, h, after, keep)
	if n := chains(); n != 3 {
		t.Errorf("%d chains, want 3: two in use, one of another network", n)
	}
	cni.Del(t, h, a, before)
	gc(t, h, after, keep)
	rules := h.Run(t, "nft", "list", "ruleset")
	if n := chains(); n != 2 || strings.Contains(rules, "192.0.2.0/24") {
		t.Errorf("%d chains, want 2, and none that excludes 192.0.2.0/24:\n%s", n, rules)
	}
	cni.Del(t, h, b, after)
}

// TestStatusOfTheRuleset: STATUS of a masquerading network fails if ADD cannot use the table; STATUS of other networks does not.
//
// Claim: STATUS of a masquerading network is 50 for a newer or foreign table and without nf_tables, and 51 if containers are cut off by it
func TestStatusOfTheRuleset(t *testing.T) {
	for name, tc := range map[string]struct{ table, want string }{
		"newer":   {"add table inet patchbay; add chain inet patchbay schema_99", "table built by a newer patchbay: it has version 99"},
		"foreign": {"add table inet patchbay; add chain inet patchbay mine", "table not built by patchbay"},
	} {
		t.Run(name, func(t *testing.T) {
			h := nettest.Host(t)
			config := gatewayNetwork("nat", cni.Masquerade(), cni.Pool(subnet4))
			status := nettest.Call{Command: "STATUS", Config: config.JSON(t)}
			h.CNI(t, status).OK(t)
			h.Run(t, "nft", tc.table)
			h.Baseline()
			h.Oracle(nettest.CleanHost)
			if e := h.CNI(t, status).Error(t); e.Code != 50 || !strings.Contains(e.Msg, tc.want) || e.Details == "" {
				t.Errorf("got %+v", e)
			}
			h.CNI(t, nettest.Call{Command: "STATUS", Config: gatewayNetwork("nat", cni.Pool(subnet4)).JSON(t)}).OK(t)
			if e := h.CNI(t, cni.Call(t, "ADD", h.Container("c"), config)).Error(t); e.Code != 108 || !strings.Contains(e.Msg, tc.want) {
				t.Errorf("ADD says %+v", e)
			}
			h.Oracle(nettest.Attachment)
		})
	}
}
