package cluster

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const clusterOfTests = `{"clusterCIDRs": ["10.244.0.0/16", "fd00:10:244::/48"]}`

func parseConfig(t testing.TB, text string) *Config {
	t.Helper()
	c, err := ParseConfig([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// node is node-N with the CIDRs and addresses of number n, created in second n.
func node(n int, change ...func(*Object)) Node {
	o := Object{
		Name: fmt.Sprintf("node-%d", n), UID: fmt.Sprintf("uid-%d", n), Created: time.Unix(int64(n), 0),
		PodCIDRs:    []string{fmt.Sprintf("10.244.%d.0/24", n), fmt.Sprintf("fd00:10:244:%x::/64", n)},
		InternalIPs: []string{fmt.Sprintf("192.0.2.%d", n), fmt.Sprintf("2001:db8::%d", n)},
	}
	for _, f := range change {
		f(&o)
	}
	return o.Node()
}

func cidrs(all ...string) func(*Object)     { return func(o *Object) { o.PodCIDRs = all } }
func addresses(all ...string) func(*Object) { return func(o *Object) { o.InternalIPs = all } }
func created(second int64) func(*Object)    { return func(o *Object) { o.Created = time.Unix(second, 0) } }
func uid(text string) func(*Object)         { return func(o *Object) { o.UID = text } }

func host(bridge ...string) Host {
	h := Host{Name: "node-1", MTU: 1500, Ready: "/run/x/ready"}
	for _, p := range bridge {
		h.Bridge = append(h.Bridge, netip.MustParsePrefix(p))
	}
	return h
}

// described returns the routes and problems of a plan as lines.
func described(p Plan) (lines []string) {
	for _, r := range p.Routes {
		line := fmt.Sprintf("%s via %s", r.Dst, r.Via)
		if r.Device != "" {
			line += " dev " + r.Device
		}
		lines = append(lines, line)
	}
	for _, problem := range p.Problems {
		lines = append(lines, fmt.Sprintf("%s %s: %s", problem.Node, problem.Kind, problem.Text))
	}
	return lines
}

const only4 = `{"clusterCIDRs": ["10.244.0.0/16"]}`

// planRow is nodes and what described prints of their plan. A line that ends in ... is the beginning of one.
type planRow struct {
	config string
	host   Host
	nodes  []Node
	want   []string
}

// claimRows are about which node has a CIDR.
func claimRows() map[string]planRow {
	return map[string]planRow{
		"both families": {clusterOfTests, host(), []Node{node(2), node(1)}, []string{"10.244.2.0/24 via 192.0.2.2", "fd00:10:244:2::/64 via 2001:db8::2"}},
		"one node":      {clusterOfTests, host(), []Node{node(1)}, nil},
		"the older of two": {only4, host(), []Node{node(1, cidrs("10.244.1.0/24")), node(3, cidrs("10.244.2.0/24")), node(2, cidrs("10.244.2.0/24"))}, []string{
			"10.244.2.0/24 via 192.0.2.2", "node-3 sameCIDR: podCIDR 10.244.2.0/24 overlaps that of node-2, which has it...",
		}},
		"of the same second, by uid": {only4, host(), []Node{
			node(1, cidrs("10.244.1.0/24")), node(2, cidrs("10.244.2.0/24"), created(7), uid("b")), node(3, cidrs("10.244.2.0/24"), created(7), uid("a")),
		}, []string{"10.244.2.0/24 via 192.0.2.3", "node-2 sameCIDR: podCIDR 10.244.2.0/24 overlaps that of node-3, which has it..."}},
		"the older has the shorter prefix": {only4, host(), []Node{node(1, cidrs("10.244.1.0/24")), node(2, cidrs("10.244.32.0/20")), node(3, cidrs("10.244.40.0/24"))}, []string{
			"10.244.32.0/20 via 192.0.2.2", "node-3 sameCIDR: podCIDR 10.244.40.0/24 overlaps that of node-2, which has it...",
		}},
		"the older has the longer prefix": {only4, host(), []Node{node(1, cidrs("10.244.1.0/24")), node(3, cidrs("10.244.32.0/20")), node(2, cidrs("10.244.40.0/24"))}, []string{
			"10.244.40.0/24 via 192.0.2.2", "node-3 sameCIDR: podCIDR 10.244.32.0/20 overlaps that of node-2, which has it...",
		}},
		"the oldest of a row, and one that overlaps only a younger one": {only4, host(), []Node{
			node(1, cidrs("10.244.1.0/24")), node(2, cidrs("10.244.32.0/24")), node(3, cidrs("10.244.32.0/20")), node(4, cidrs("10.244.40.0/24")),
		}, []string{"10.244.32.0/24 via 192.0.2.2", "10.244.40.0/24 via 192.0.2.4", "node-3 sameCIDR: podCIDR 10.244.32.0/20 overlaps that of node-2..."}},
		"our own CIDR": {only4, host(), []Node{node(1, cidrs("10.244.1.0/24")), node(2, cidrs("10.244.1.0/24"))}, []string{
			"node-2 sameCIDR: podCIDR 10.244.1.0/24 overlaps that of node-1, which has it...",
		}},
		"our own CIDR, of an older node": {only4, host(), []Node{node(1, cidrs("10.244.1.0/24")), node(0, cidrs("10.244.1.0/24"), addresses("192.0.2.9"))}, []string{
			"node-0 sameCIDR: podCIDR 10.244.1.0/24 overlaps that of node-1, which has it...",
			"node-1 sameCIDR: podCIDR 10.244.1.0/24 belongs to the older node node-0 too, to which the other nodes send...",
		}},
		"a CIDR of our bridge": {only4, host("10.244.7.1/24", "fe80::1/64"), []Node{node(1, cidrs("10.244.1.0/24")), node(7, cidrs("10.244.7.0/24"))}, []string{
			"node-7 sameCIDR: podCIDR 10.244.7.0/24 overlaps that of the bridge cni0, which has it...",
		}},
		"outside of the cluster": {only4, host(), []Node{node(1, cidrs("10.244.1.0/24")), node(2, cidrs("0.0.0.0/0")), node(3, cidrs("192.0.2.0/24")), node(4, cidrs("10.0.0.0/8"))}, []string{
			"node-2 outsideClusterCIDRs: podCIDR 0.0.0.0/0 is not within clusterCIDRs...", "node-3 outsideClusterCIDRs: podCIDR 192.0.2.0/24 is not within clusterCIDRs...",
			"node-4 outsideClusterCIDRs: podCIDR 10.0.0.0/8 is not within clusterCIDRs...",
		}},
	}
}

// nodeRows are about nodes that lack something, and their addresses.
func nodeRows() map[string]planRow {
	return map[string]planRow{
		"no CIDR yet": {only4, host(), []Node{node(1, cidrs("10.244.1.0/24")), node(2, cidrs())}, []string{"node-2 noPodCIDR: the node has no podCIDR: run kube-controller-manager with --allocate-node-cidrs..."}},
		"two of a family": {only4, host(), []Node{node(1, cidrs("10.244.1.0/24")), node(2, cidrs("10.244.2.0/24", "10.244.3.0/24"))}, []string{
			"10.244.2.0/24 via 192.0.2.2", "node-2 secondCIDR: podCIDR 10.244.3.0/24 is the second one of its family and is not used",
		}},
		"the first InternalIP of a family": {clusterOfTests, host(), []Node{node(1), node(2, addresses("2001:db8::9", "192.0.2.9", "192.0.2.8", "2001:db8::8"))}, []string{
			"10.244.2.0/24 via 192.0.2.9", "fd00:10:244:2::/64 via 2001:db8::9",
		}},
		"no InternalIP of a family": {clusterOfTests, host(), []Node{node(1), node(2, addresses("192.0.2.9"))}, []string{
			"10.244.2.0/24 via 192.0.2.9", "node-2 noInternalIP: podCIDR fd00:10:244:2::/64: the node has no InternalIP of this family...",
		}},
		"InternalIPs of no host": {only4, host(), []Node{node(1, cidrs("10.244.1.0/24")), node(2, cidrs("10.244.2.0/24"), addresses("127.0.0.1")), node(3, cidrs("10.244.3.0/24"), addresses("224.0.0.1"))}, []string{
			"node-2 badInternalIP: InternalIP 127.0.0.1 is not an address of a host...", "node-3 badInternalIP: InternalIP 224.0.0.1 is not an address of a host...",
		}},
		"our own InternalIP": {only4, host(), []Node{node(1, cidrs("10.244.1.0/24"), addresses("10.0.2.15")), node(2, cidrs("10.244.2.0/24"), addresses("10.0.2.15"))}, []string{
			"node-2 sameInternalIP: InternalIP 10.0.2.15 is that of this node too...",
		}},
		"two others with one InternalIP": {only4, host(), []Node{node(1, cidrs("10.244.1.0/24")), node(2, cidrs("10.244.2.0/24"), addresses("192.0.2.9")), node(3, cidrs("10.244.3.0/24"), addresses("192.0.2.9"))}, []string{
			"10.244.2.0/24 via 192.0.2.9", "10.244.3.0/24 via 192.0.2.9", "node-3 sameInternalIP: InternalIP 192.0.2.9 is that of node-2 too...",
		}},
		"a node within a CIDR": {only4, host(), []Node{node(1, cidrs("10.244.1.0/24")), node(2, cidrs("10.244.2.0/24")), node(3, cidrs("10.244.3.0/24"), addresses("10.244.2.3"))}, []string{
			"10.244.3.0/24 via 10.244.2.3", "node-2 internalIPInside: podCIDR 10.244.2.0/24 contains the InternalIP of node-3...",
		}},
		"text that is no CIDR or address": {only4, host(), []Node{node(1, cidrs("10.244.1.0/24")), node(2, cidrs("10.244.2.0", "10.244.2.1/24"), addresses("::ffff:192.0.2.2", "192.0.2.2"))}, []string{
			"10.244.2.0/24 via 192.0.2.2", "node-2 unreadable: not a CIDR or an address: 10.244.2.0, ::ffff:192.0.2.2",
		}},
		"our own Node object is gone": {only4, host("10.244.1.1/24"), []Node{node(2, cidrs("10.244.2.0/24")), node(9, cidrs("10.244.1.0/24"))}, []string{
			"10.244.2.0/24 via 192.0.2.2", "node-1 noNode: the cluster has no Node object of this name; nothing is removed...",
			"node-9 sameCIDR: podCIDR 10.244.1.0/24 overlaps that of the bridge cni0, which has it...",
		}},
		"one family for a node in a cluster with two": {clusterOfTests, host(), []Node{node(1, cidrs("10.244.1.0/24"))}, []string{
			"node-1 missingFamily: the node has no usable podCIDR of IPv6, which clusterCIDRs has...",
		}},
	}
}

// TestPlanRoutes has a row for each rule about routes.
//
// Claim: Of several nodes with overlapping podCIDRs the oldest one has the route, and the others are reported
// Claim: Routes to other nodes lead into clusterCIDRs only, never to a CIDR of this node or of its bridge
func TestPlanRoutes(t *testing.T) {
	rows := claimRows()
	maps.Copy(rows, nodeRows())
	for name, tt := range rows {
		t.Run(name, func(t *testing.T) {
			got := described(parseConfig(t, tt.config).Plan(tt.nodes, tt.host))
			for i := range got {
				if i < len(tt.want) && strings.HasSuffix(tt.want[i], "...") && strings.HasPrefix(got[i], strings.TrimSuffix(tt.want[i], "...")) {
					got[i] = tt.want[i]
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("plan (-want +got):\n%s", diff)
			}
		})
	}
}

// TestPlanConflist: what the template, the node and the configuration are in the file, and when there is none.
//
// Claim: masqExclude of the network configuration has the networks of the cluster, and does not change with its nodes
func TestPlanConflist(t *testing.T) {
	c := parseConfig(t, `{"clusterCIDRs": ["10.244.0.0/16", "fd00:10:244::/48"], "masqExclude": ["192.0.2.0/24", "10.244.0.0/16"],
		"conflist": {"name": "n", "plugins": [{"type": "patchbay", "bridge": "br7", "ipMasq": true, "ipam": {"routes": [{"dst": "198.51.100.0/24"}]}}, {"type": "other", "n": 12345678901234567890}]}}`)
	if c.Bridge != "br7" {
		t.Errorf("bridge %q", c.Bridge)
	}
	alone, all := c.Plan([]Node{node(1)}, host()), c.Plan([]Node{node(3), node(2), node(1)}, host())
	if !bytes.Equal(alone.Conflist, all.Conflist) {
		t.Errorf("the file depends on other nodes:\n%s%s", alone.Conflist, all.Conflist)
	}
	var got, want any
	if err := json.Unmarshal(alone.Conflist, &got); err != nil {
		t.Fatal(err)
	}
	const text = `{"name": "n", "plugins": [{"type": "patchbay", "bridge": "br7", "ipMasq": true, "mtu": 1500, "readyFile": "/run/x/ready", "masqExclude": ["10.244.0.0/16", "fd00:10:244::/48", "192.0.2.0/24"],
		"ipam": {"type": "patchbay", "routes": [{"dst": "198.51.100.0/24"}], "ranges": [[{"subnet": "10.244.1.0/24"}], [{"subnet": "fd00:10:244:1::/64"}]]}}, {"type": "other", "n": 12345678901234567890}]}`
	if err := json.Unmarshal([]byte(text), &want); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("conflist (-want +got):\n%s", diff)
	}
	if !strings.Contains(string(alone.Conflist), "12345678901234567890") {
		t.Error("a large number has changed")
	}
	unknown := host()
	unknown.MTU = 0
	for name, plan := range map[string]Plan{
		"no Node object": c.Plan([]Node{node(2)}, host()),
		"no podCIDR":     c.Plan([]Node{node(1, cidrs())}, host()),
		"outside":        c.Plan([]Node{node(1, cidrs("10.9.1.0/24"))}, host()),
		"no MTU":         c.Plan([]Node{node(1)}, unknown),
	} {
		if plan.Conflist != nil || len(plan.Problems) == 0 {
			t.Errorf("%s: problems %v, file\n%s", name, plan.Problems, plan.Conflist)
		}
	}
	fixed := parseConfig(t, `{"clusterCIDRs": ["10.244.0.0/16"], "mtu": 1400}`)
	if text := string(fixed.Plan([]Node{node(1, cidrs("10.244.1.0/24"))}, unknown).Conflist); !strings.Contains(text, `"mtu": 1400`) {
		t.Errorf("the MTU of the configuration is missing:\n%s", text)
	}
}

// TestParseConfig: each mistake is an error that names the key.
func TestParseConfig(t *testing.T) {
	const cidr = `"clusterCIDRs": ["10.244.0.0/16"]`
	for text, want := range map[string]string{
		`{}`:                                                              "clusterCIDRs: missing",
		`{"clusterCIDRs": ["10.244.0.1/16"]}`:                             "without host bits",
		`{"clusterCIDRs": ["0.0.0.0/0"]}`:                                 "is everything",
		`{"clusterCIDRs": ["10.244.0.0"]}`:                                "10.244.0.0",
		`{"clusterCIDRs": ["::ffff:10.0.0.0/104"]}`:                       "not a network",
		`{"clusterCIDRs": ["10.244.0.0/16", "10.244.8.0/24"]}`:            "overlaps another one",
		`{` + cidr + `, "masqExclude": ["192.0.2.1/24"]}`:                 "masqExclude: 192.0.2.1/24",
		`{` + cidr + `, "mode": "bgp"}`:                                   `mode: "bgp" is unknown`,
		`{` + cidr + `, "vxlanVNI": 0}`:                                   "vxlanVNI: 0 is not between 1 and 16777215",
		`{` + cidr + `, "vxlanPort": 65536}`:                              "vxlanPort: 65536 is not a port",
		`{` + cidr + `, "mtu": 60}`:                                       "mtu: 60 is not between 68 and",
		`{"clusterCIDRs": ["fd00::/48"], "mtu": 1279}`:                    "mtu: 1279 is not between 1280 and",
		`{` + cidr + `, "mtu": 70000}`:                                    "mtu: 70000",
		`{` + cidr + `, "clusterCidr": 1}`:                                "clusterCidr",
		`{` + cidr + `} {}`:                                               "text after the object",
		`[]`:                                                              "decode configuration",
		`{` + cidr + `, "conflist": []}`:                                  "conflist: ",
		`{` + cidr + `, "conflist": {"plugins": [{"type": "patchbay"}]}}`: "conflist: name: missing",
		`{` + cidr + `, "conflist": {"name": "n", "plugins": [{"type": "bridge"}]}}`:                                     `one of type "patchbay"`,
		`{` + cidr + `, "conflist": {"name": "n", "plugins": [{"type": "patchbay"}, {"type": "patchbay"}]}}`:             `one of type "patchbay"`,
		`{` + cidr + `, "conflist": {"name": "n", "plugins": [{"type": "patchbay", "mtu": 1}]}}`:                         "plugins[0]: mtu: remove it",
		`{` + cidr + `, "conflist": {"name": "n", "plugins": [{"type": "patchbay", "masqExclude": []}]}}`:                "plugins[0]: masqExclude: remove it",
		`{` + cidr + `, "conflist": {"name": "n", "plugins": [{"type": "patchbay", "readyFile": "/x"}]}}`:                "plugins[0]: readyFile: remove it",
		`{` + cidr + `, "conflist": {"name": "n", "plugins": [{"type": "patchbay", "forceAddress": true}]}}`:             "forceAddress: remove it",
		`{` + cidr + `, "conflist": {"name": "n", "plugins": [{"type": "patchbay", "bridge": 1}]}}`:                      "bridge: not a name",
		`{` + cidr + `, "conflist": {"name": "n", "plugins": [{"type": "patchbay", "ipam": {"ranges": []}}]}}`:           "ipam.ranges: remove it",
		`{` + cidr + `, "conflist": {"name": "n", "plugins": [{"type": "patchbay", "ipam": {"subnet": "10.0.0.0/8"}}]}}`: "ipam.subnet: remove it",
		`{` + cidr + `, "conflist": {"name": "n", "plugins": [{"type": "patchbay", "ipam": {"type": "host-local"}}]}}`:   "ipam.type: remove it",
		`{` + cidr + `, "conflist": {"name": "n", "plugins": [{"type": "patchbay", "ipam": 1}]}}`:                        "ipam: not an object",
	} {
		if _, err := ParseConfig([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want ... %s ...", text, err, want)
		}
	}
}

// TestPlanOrder: the order of the nodes does not change a byte.
func TestPlanOrder(t *testing.T) {
	c := parseConfig(t, clusterOfTests)
	random := rand.New(rand.NewPCG(1, 2))
	nodes := []Node{node(1), node(2, created(5)), node(3, created(5), cidrs("10.244.2.0/24")), node(4, created(5), addresses("192.0.2.2")), node(5, cidrs())}
	nodes = append(nodes, node(6, created(99)), node(7, created(98)))
	want := c.Plan(nodes, host("10.244.9.1/24"))
	if !slices.IsSortedFunc(want.Routes, func(a, b Route) int { return a.Dst.Compare(b.Dst) }) {
		t.Errorf("not sorted: %v", want.Routes)
	}
	for range 50 {
		random.Shuffle(len(nodes), func(i, j int) { nodes[i], nodes[j] = nodes[j], nodes[i] })
		if diff := cmp.Diff(want, c.Plan(slices.Clone(nodes), host("10.244.9.1/24")), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }),
			cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
			t.Fatalf("another order (-want +got):\n%s", diff)
		}
	}
}
