package cluster

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// overlayConfig is a cluster of both families in a mode.
func overlayConfig(mode string) string {
	return strings.TrimSuffix(clusterOfTests, "}") + `, "mode": "` + mode + `"}`
}

// overlayHost is node-1 with its addresses; those in direct need no router.
func overlayHost(direct ...string) Host {
	h := host()
	h.Local = []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")}
	h.Direct = map[netip.Addr]bool{}
	for _, text := range direct {
		h.Direct[netip.MustParseAddr(text)] = true
	}
	return h
}

func onlyLocal(addr string) Host {
	h := overlayHost()
	h.Local = []netip.Addr{netip.MustParseAddr(addr)}
	return h
}

// withDevices returns the lines of described, and one for each device and its entries.
func withDevices(p Plan) []string {
	lines := described(p)
	for _, d := range p.Devices {
		lines = append(lines, fmt.Sprintf("%s local %s address %s mtu %d has %s", d.Name, d.Local, d.MAC, d.MTU, d.Addresses))
		for _, f := range d.Forwards {
			lines = append(lines, fmt.Sprintf("  %s to %s", f.MAC, f.To))
		}
		for _, n := range d.Neighbours {
			lines = append(lines, fmt.Sprintf("  %s is %s", n.Addr, n.MAC))
		}
	}
	return lines
}

// Lines of the devices of node-1, and of the entries for node-2 in them. Their MACs are what
// `printf 'patchbay vtep 192.0.2.1' | sha256sum` begins with.
const (
	device4  = "patchbay.vx local 192.0.2.1 address 02:4e:33:0d:d5:1c mtu 1450 has [10.244.1.0/32 fd00:10:244:1::/128]"
	device6  = "patchbay.vx6 local 2001:db8::1 address 02:51:86:41:b9:f1 mtu 1430 has [10.244.1.0/32 fd00:10:244:1::/128]"
	mac2     = "02:52:d8:d5:81:99"
	mac2on6  = "02:49:d4:f8:5b:95"
	gateway2 = "fe80::52:d8ff:fed5:8199"
	gateway6 = "fe80::49:d4ff:fef8:5b95"
)

// overlayRows are about who is reached how.
func overlayRows() map[string]planRow {
	two := []Node{node(1), node(2)}
	all := []string{
		"10.244.2.0/24 via 10.244.2.0 dev patchbay.vx", "fd00:10:244:2::/64 via " + gateway2 + " dev patchbay.vx", device4,
		"  " + mac2 + " to 192.0.2.2", "  10.244.2.0 is " + mac2, "  " + gateway2 + " is " + mac2,
	}
	none := "node-2 noInternalIP: the node has no InternalIP of a family that this node has too..."
	return map[string]planRow{
		"vxlan":                     {overlayConfig("vxlan"), overlayHost("192.0.2.2", "2001:db8::2"), two, all},
		"auto, behind a router":     {overlayConfig("auto"), overlayHost(), two, all},
		"auto, on our network":      {overlayConfig("auto"), overlayHost("192.0.2.2", "2001:db8::2"), two, []string{"10.244.2.0/24 via 192.0.2.2", "fd00:10:244:2::/64 via 2001:db8::2", device4}},
		"auto, one family directly": {overlayConfig("auto"), overlayHost("192.0.2.2"), two, append([]string{"10.244.2.0/24 via 192.0.2.2", all[1], all[2], all[3]}, all[5])},
		"direct":                    {clusterOfTests, overlayHost(), two, []string{"10.244.2.0/24 via 192.0.2.2", "fd00:10:244:2::/64 via 2001:db8::2"}},
		"both families over IPv4":   {overlayConfig("auto"), overlayHost(), []Node{node(1), node(2, addresses("192.0.2.2"))}, all},
		"both families over IPv6, to one of them": {overlayConfig("vxlan"), overlayHost(), []Node{node(1), node(2, addresses("2001:db8::2"))}, []string{
			"10.244.2.0/24 via 10.244.2.0 dev patchbay.vx6", "fd00:10:244:2::/64 via " + gateway6 + " dev patchbay.vx6", device4, device6,
			"  " + mac2on6 + " to 2001:db8::2", "  10.244.2.0 is " + mac2on6, "  " + gateway6 + " is " + mac2on6,
		}},
		"this node has IPv6 alone": {overlayConfig("vxlan"), onlyLocal("2001:db8::1"), []Node{node(1, addresses("2001:db8::1")), node(2, addresses("192.0.2.2"))}, []string{none, device6}},
		"no family of both":        {overlayConfig("vxlan"), onlyLocal("192.0.2.1"), []Node{node(1, addresses("192.0.2.1")), node(2, addresses("2001:db8::2"))}, []string{none, device4}},
		"no interface has our address": {overlayConfig("vxlan"), host(), two, []string{
			"node-1 noUplink: no interface has an InternalIP of this node, so the overlay stays as it is...",
		}},
		"our Node object is gone": {overlayConfig("vxlan"), overlayHost(), []Node{node(2)}, []string{
			"node-1 noUplink: no interface has an InternalIP of this node, so the overlay stays as it is...", "node-1 noNode: the cluster has no Node object of this name...",
		}},
		"--node-ip names another address": {overlayConfig("vxlan"), onlyLocal("198.51.100.1"), []Node{node(1, addresses("192.0.2.1"))}, []string{
			strings.Replace(device4, "local 192.0.2.1", "local 198.51.100.1", 1),
		}},
		"two nodes with one InternalIP": {overlayConfig("vxlan"), overlayHost(), []Node{node(1), node(2, cidrs("10.244.2.0/24")), node(3, cidrs("10.244.3.0/24"), addresses("192.0.2.2"))}, []string{
			"10.244.2.0/24 via 10.244.2.0 dev patchbay.vx", "10.244.3.0/24 via 10.244.3.0 dev patchbay.vx", "node-3 sameInternalIP: InternalIP 192.0.2.2 is that of node-2 too...", device4,
			"  " + mac2 + " to 192.0.2.2", "  10.244.2.0 is " + mac2, "  10.244.3.0 is " + mac2,
		}},
		"our own InternalIP": {overlayConfig("vxlan"), overlayHost(), []Node{node(1), node(2, cidrs("10.244.2.0/24"), addresses("192.0.2.1"))}, []string{
			"node-2 sameInternalIP: InternalIP 192.0.2.1 is that of this node too...", device4,
		}},
	}
}

// TestPlanOverlay has a row for each rule about the overlay.
//
// Claim: In mode auto nodes without a router between them are reached directly, and the others by VXLAN; over IPv4 if both nodes have it, otherwise over IPv6
// Claim: The MAC of the VXLAN device of a node is derived from its InternalIP, so that no node publishes anything
func TestPlanOverlay(t *testing.T) {
	for name, tt := range overlayRows() {
		t.Run(name, func(t *testing.T) {
			got := withDevices(parseConfig(t, tt.config).Plan(tt.nodes, tt.host))
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

// TestOverlayMTU: the MTU of the pods and that of the devices.
//
// Claim: With an overlay the MTU of pods is that of the interface with the InternalIP less 50 bytes over IPv4, 70 over IPv6
func TestOverlayMTU(t *testing.T) {
	only6 := []Node{node(1, addresses("2001:db8::1")), node(2, addresses("2001:db8::2"))}
	small := overlayHost()
	small.MTU = 1300
	for name, tt := range map[string]struct {
		config       string
		host         Host
		nodes        []Node
		pods, device int
	}{
		"IPv4":             {overlayConfig("auto"), overlayHost(), []Node{node(1)}, 1450, 1450},
		"IPv6":             {overlayConfig("vxlan"), onlyLocal("2001:db8::1"), only6, 1430, 1430},
		"less, by the key": {strings.TrimSuffix(overlayConfig("vxlan"), "}") + `, "mtu": 1400}`, overlayHost(), []Node{node(1)}, 1400, 1400},
		"more, by the key": {strings.TrimSuffix(overlayConfig("vxlan"), "}") + `, "mtu": 9000}`, overlayHost(), []Node{node(1)}, 9000, 1450},
		"direct":           {clusterOfTests, overlayHost(), []Node{node(1)}, 1500, 0},
		"too small":        {overlayConfig("vxlan"), small, []Node{node(1)}, 0, 1250},
	} {
		plan := parseConfig(t, tt.config).Plan(tt.nodes, tt.host)
		if tt.pods == 0 && (plan.Conflist != nil || !strings.Contains(fmt.Sprint(plan.Problems), "leaves 1250 bytes")) ||
			tt.pods != 0 && !strings.Contains(string(plan.Conflist), fmt.Sprintf(`"mtu": %d`, tt.pods)) {
			t.Errorf("%s: want %d for pods: %s %v", name, tt.pods, plan.Conflist, plan.Problems)
		}
		if len(plan.Devices) == 0 && tt.device != 0 || len(plan.Devices) > 0 && plan.Devices[0].MTU != tt.device {
			t.Errorf("%s: want %d for the device: %+v", name, tt.device, plan.Devices)
		}
	}
}

// TestSameMAC: of two addresses with one derived MAC the older node has it.
func TestSameMAC(t *testing.T) {
	const first, second = "10.15.169.30", "10.15.243.98"
	if a, b := MACOf(netip.MustParseAddr(first)), MACOf(netip.MustParseAddr(second)); a != b {
		t.Fatalf("%s has %s and %s has %s", first, a, second, b)
	}
	plan := parseConfig(t, overlayConfig("vxlan")).Plan([]Node{node(1), node(3, addresses(second)), node(2, addresses(first))}, overlayHost())
	want := "node-3 sameMAC: InternalIP " + second + " has the same derived MAC as " + first + ": give the node another address"
	if got := described(plan); len(plan.Routes) != 2 || !slices.Contains(got, want) {
		t.Errorf("plan %q", got)
	}
}

// TestCompareEntries: what is set and what is deleted.
func TestCompareEntries(t *testing.T) {
	a, b, c := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2"), netip.MustParseAddr("192.0.2.3")
	forward := func(node netip.Addr) Forward { return Forward{MACOf(node), node} }
	neighbour := func(gateway string, node netip.Addr) Neighbour {
		return Neighbour{netip.MustParseAddr(gateway), MACOf(node)}
	}
	of := func(node netip.Addr, gateways ...string) (e Entries) {
		e.Forwards = []Forward{forward(node)}
		for _, g := range gateways {
			e.Neighbours = append(e.Neighbours, neighbour(g, node))
		}
		return e
	}
	x, y := "10.244.2.0", "10.244.3.0"
	for name, tt := range map[string]struct {
		want, have Entries
		stay       []Route
		changes    EntryChanges
	}{
		"nothing": {},
		"same":    {of(a, x), of(a, x), nil, EntryChanges{}},
		"new":     {of(a, x, y), Entries{}, nil, EntryChanges{Forwards: of(a).Forwards, Neighbours: of(a, x, y).Neighbours}},
		"the node has another address": {of(b, x), of(a, x), nil, EntryChanges{
			Forwards: of(b).Forwards, Neighbours: of(b, x).Neighbours,
		}},
		"and its neighbour entry leads to the new one": {of(b, x), Entries{Forwards: []Forward{forward(a), forward(b)}, Neighbours: of(b, x).Neighbours}, nil, EntryChanges{GoneForwards: of(a).Forwards}},
		"gone": {of(a, x), Entries{Forwards: []Forward{forward(a), forward(c)}, Neighbours: []Neighbour{neighbour(x, a), neighbour(y, c)}}, nil, EntryChanges{
			GoneNeighbours: of(c, y).Neighbours, GoneForwards: of(c).Forwards,
		}},
		"gone, and the route stays":     {Entries{}, of(c, y), []Route{route("10.244.3.0/24", y).by(Overlay4)}, EntryChanges{}},
		"gone, one of two of a node":    {Entries{}, of(c, x, y), []Route{route("10.244.3.0/24", y).by(Overlay4)}, EntryChanges{GoneNeighbours: of(c, x).Neighbours}},
		"another program's destination": {of(a, x), Entries{Forwards: []Forward{{MACOf(a), b}}, Neighbours: of(a, x).Neighbours}, nil, EntryChanges{Forwards: of(a).Forwards}},
	} {
		t.Run(name, func(t *testing.T) {
			text := cmp.Transformer("text", func(n netip.Addr) string { return n.String() })
			if diff := cmp.Diff(tt.changes, CompareEntries(tt.want, tt.have, tt.stay), text); diff != "" {
				t.Errorf("changes (-want +got):\n%s", diff)
			}
		})
	}
}
