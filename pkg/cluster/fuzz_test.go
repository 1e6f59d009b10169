package cluster

import (
	"encoding/json"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/patchbay-cni/patchbay/pkg/nodeproblem"
)

// FuzzPlan makes nodes of lines "name uid second cidrs ips", and checks what holds for every plan.
func FuzzPlan(f *testing.F) {
	f.Add("node-1 u1 1 10.244.1.0/24,fd00:10:244:1::/64 192.0.2.1,2001:db8::1\nnode-2 u2 2 10.244.2.0/24 192.0.2.2\nnode-3 u3 2 10.244.2.0/24 192.0.2.3", "10.244.9.1/24")
	f.Add("node-2 u 0 10.244.0.0/16 10.244.0.1\nnode-2 u 0 fd00:10:244::/48 ::", "fe80::1/64")
	f.Add("node-1 u 1 10.244.1.7/24,10.244.1.0/25 192.0.2.1\nnode-2 u 1 ::ffff:10.244.1.0/120 fe80::1%eth0", "")
	configs := []*Config{parseConfig(f, clusterOfTests), parseConfig(f, overlayConfig("auto")), parseConfig(f, overlayConfig("vxlan"))}
	f.Fuzz(func(t *testing.T, text, bridge string) {
		var nodes []Node
		for line := range strings.Lines(text) {
			fields := append(strings.Fields(line), "", "", "", "", "")
			second, _ := time.ParseDuration(fields[2] + "s")
			o := Object{Name: fields[0], UID: fields[1], Created: time.Unix(0, 0).Add(second), PodCIDRs: strings.Split(fields[3], ","), InternalIPs: strings.Split(fields[4], ",")}
			nodes = append(nodes, o.Node())
		}
		config, h := configs[len(text)%3], overlayHost("192.0.2.2", "2001:db8::2")
		if p, err := netip.ParsePrefix(bridge); err == nil {
			h.Bridge = append(h.Bridge, p)
		}
		plan := config.Plan(nodes, h)
		checkPlan(t, config, h, plan)
		slices.Reverse(nodes)
		if again := config.Plan(nodes, h); !slices.Equal(plan.Routes, again.Routes) && unique(nodes) {
			t.Errorf("another order of nodes has other routes: %v, %v", plan.Routes, again.Routes)
		}
	})
}

// unique reports whether name and uid identify each node, as in a cluster.
func unique(nodes []Node) bool {
	seen := map[string]bool{}
	for _, n := range nodes {
		if seen[n.Name] || seen["uid "+n.UID] {
			return false
		}
		seen[n.Name], seen["uid "+n.UID] = true, true
	}
	return true
}

func checkPlan(t *testing.T, config *Config, h Host, plan Plan) {
	t.Helper()
	for i, r := range plan.Routes {
		if !config.contains(r.Dst) || r.Dst != r.Dst.Masked() || r.Via.Is4() != r.Dst.Addr().Is4() ||
			r.Device == "" && (!r.Via.IsGlobalUnicast() || r.Dst.Contains(r.Via)) || r.Device != "" && !resolved(plan, r) {
			t.Errorf("route %s via %s", r.Dst, r.Via)
		}
		for _, other := range plan.Routes[:i] {
			if other.Dst.Overlaps(r.Dst) {
				t.Errorf("routes to %s and %s", r.Dst, other.Dst)
			}
		}
		for _, own := range slices.Concat(plan.PodCIDRs, h.Bridge) {
			if own.Overlaps(r.Dst) {
				t.Errorf("route to %s, and %s is here", r.Dst, own)
			}
		}
	}
	for _, problem := range plan.Problems {
		if problem.Kind.Known() != problem.Kind || problem.Kind == nodeproblem.Other || problem.Text == "" {
			t.Errorf("a problem of kind %q: %+v", problem.Kind, problem)
		}
	}
	if plan.Conflist != nil && (!json.Valid(plan.Conflist) || len(plan.PodCIDRs) == 0 || len(plan.PodCIDRs) > 2) {
		t.Errorf("CIDRs %v, conflist\n%s", plan.PodCIDRs, plan.Conflist)
	}
	if changes := Compare(plan.Routes, plan.Routes); len(changes.Add)+len(changes.Move)+len(changes.Replaced)+len(changes.Gone) > 0 {
		t.Errorf("a plan that is carried out still has changes: %v", changes)
	}
}

// resolved reports whether the device of a route has the entries for it, each once.
func resolved(plan Plan, r Route) bool {
	found := 0
	for _, d := range plan.Devices {
		for _, n := range d.Neighbours {
			for _, f := range d.Forwards {
				if d.Name == r.Device && n.Addr == r.Via && n.MAC == f.MAC && f.To.Is4() == d.Local.Is4() && f.MAC == MACOf(f.To) && f.MAC != d.MAC {
					found++
				}
			}
		}
	}
	return found == 1
}

// FuzzParseConfig: every input is rejected, or yields a configuration whose conflist is valid JSON.
func FuzzParseConfig(f *testing.F) {
	f.Add(clusterOfTests)
	f.Add(`{"clusterCIDRs": ["10.244.0.0/16"], "mtu": 1400, "conflist": {"name": "n", "plugins": [{"type": "patchbay", "ipam": null}]}}`)
	f.Add(`{"clusterCIDRs": ["10.244.0.0/16"], "conflist": null}`)
	f.Fuzz(func(t *testing.T, text string) {
		c, err := ParseConfig([]byte(text))
		if err != nil {
			return
		}
		own := node(1)
		own.PodCIDRs = []netip.Prefix{netip.PrefixFrom(c.ClusterCIDRs[0].Addr(), c.ClusterCIDRs[0].Addr().BitLen())}
		plan := c.Plan([]Node{own}, Host{Name: "node-1", MTU: 1500})
		if !json.Valid(plan.Conflist) {
			t.Errorf("conflist %q", plan.Conflist)
		}
	})
}
