package cluster

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// TestNodes: three nodes of both families. Each gets the routes to the others and a configuration with which pods of all nodes reach each
// other by their own addresses; a fourth node comes, moves and goes.
//
// Claim: With patchbay-agent pods of all nodes reach each other in both families, with no other right than listing and watching nodes and no other capability than NET_ADMIN
// Claim: Pods of other nodes see the address of a pod, and hosts outside of the cluster see that of its node
// Claim: patchbay-agent writes the network configuration, with which a node becomes Ready, after its routes
// Claim: `patchbay-agent --clean` leaves no route and no file
func TestNodes(t *testing.T) {
	t.Parallel()
	l := newLab(t, 3)
	for _, n := range l.nodes {
		n.startAgent()
	}
	var pods []pod
	for _, n := range l.nodes {
		n.awaitOthers()
		eventually(t, "conflist", func() error {
			if s := n.status(); s.Conflist != conflist || !slices.Equal(s.PodCIDRs, n.object.cidrs) || len(s.Problems) > 0 {
				return fmt.Errorf("status: %s", n.read(statusFile))
			}
			return nil
		})
		pods = append(pods, n.addPod("pod"))
	}
	mesh(t, pods)
	for family, outside := range []string{nettest.LANOutside4, nettest.LANOutside6} {
		sees(t, pods[0], pods[1].Netns, pods[1].addresses[family], pods[0].addresses[family])
		sees(t, pods[0], l.lan.Outside, netip.MustParseAddr(outside), netip.MustParseAddr(l.nodes[0].object.addresses[family]))
	}
	checkConflist(t, l.nodes[0].read(conflist))
	checkOrder(t, l.nodes[0])

	fourth := nodeObject{name: "node-4", cidrs: []string{"10.244.4.0/24", "fd00:10:244:4::/64"}, addresses: []string{"192.0.2.24", "2001:db8:0:1::24"}}
	before := l.nodes[0].routes()
	l.api.create(fourth)
	l.nodes[0].awaitRoutes(slices.Concat(before[:2], []string{"10.244.4.0/24 via 192.0.2.24"}, before[2:], []string{"fd00:10:244:4::/64 via 2001:db8:0:1::24"})...)
	fourth.addresses = []string{"192.0.2.34", "2001:db8:0:1::34"}
	l.api.setAddresses(fourth)
	l.nodes[0].awaitRoutes(slices.Concat(before[:2], []string{"10.244.4.0/24 via 192.0.2.34"}, before[2:], []string{"fd00:10:244:4::/64 via 2001:db8:0:1::34"})...)
	l.api.remove("node-4")
	l.nodes[0].awaitRoutes(before...)
	mesh(t, pods)
}

// mesh pings each pod from each other one, by all addresses.
func mesh(t *testing.T, pods []pod) {
	t.Helper()
	for _, from := range pods {
		for _, to := range pods {
			for _, addr := range to.addresses {
				if err := from.PingOnce(addr); err != nil {
					t.Errorf("%s to %s: %v", from.addresses[0], addr, err)
				}
			}
		}
	}
}

// sees requires that a machine sees the echo requests of a pod with this address as their sender, and with no other.
func sees(t *testing.T, from pod, at *nettest.Netns, to, as netip.Addr) {
	t.Helper()
	capture := at.Capture(t, "eth0")
	if err := from.PingOnce(to); err != nil {
		t.Error(err)
	}
	requests := capture.Stop(t).Where(func(f nettest.Frame) bool { return !f.Outgoing && f.Dst == to && f.Kind == nettest.EchoRequest })
	if len(requests) == 0 {
		t.Errorf("%s sees nothing of %s", to, from.addresses[0])
	}
	for _, f := range requests {
		if f.Src != as {
			t.Errorf("%s sees %s as sender, want %s", to, f.Src, as)
		}
	}
}

// checkOrder: with the configuration kubelet makes the node Ready, so the routes come first.
func checkOrder(t *testing.T, n *node) {
	t.Helper()
	log, err := os.ReadFile(n.logFile())
	if err != nil {
		t.Fatal(err)
	}
	route, written := strings.LastIndex(string(log), "route added"), strings.Index(string(log), "network configuration written")
	if route < 0 || written < route {
		t.Errorf("the configuration was not written after the routes:\n%s", log)
	}
}

// checkConflist: what the configuration of the first host has of its node and of the cluster.
func checkConflist(t *testing.T, text string) {
	t.Helper()
	var list struct {
		Plugins []struct {
			MTU         int
			MasqExclude []string
			IPAM        struct {
				Ranges [][]struct{ Subnet netip.Prefix }
			}
		}
	}
	if err := json.Unmarshal([]byte(text), &list); err != nil || len(list.Plugins) != 1 {
		t.Fatalf("%v: %s", err, text)
	}
	p := list.Plugins[0]
	if p.MTU != 1500 || !slices.Equal(p.MasqExclude, []string{"10.244.0.0/16", "fd00:10:244::/48"}) || len(p.IPAM.Ranges) != 2 ||
		p.IPAM.Ranges[0][0].Subnet.String() != "10.244.1.0/24" || p.IPAM.Ranges[1][0].Subnet.String() != "fd00:10:244:1::/64" {
		t.Errorf("conflist: %s", text)
	}
}
