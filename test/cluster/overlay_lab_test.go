package cluster

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

const device = "patchbay.vx"

// routed is a lab with two hosts on the LAN and one behind its router, and a pod on each. The router drops every packet that has an address of
// a pod.
type routed struct {
	*lab
	first, second, far *node
	pods               []pod
}

// newRouted makes the lab without agents and pods.
func newRouted(t *testing.T, mode string) *routed {
	t.Helper()
	nettest.Need(t, nettest.LinkKind("vxlan"), nettest.Tool("nft"), nettest.Tool("bridge"))
	l := newLab(t, 2)
	l.addRouted(3)
	ruleset := filepath.Join(t.TempDir(), "router.nft")
	err := os.WriteFile(ruleset, []byte(`
table inet filter {
	chain forward {
		type filter hook forward priority 0
		ip saddr 10.244.0.0/16 drop
		ip daddr 10.244.0.0/16 drop
		ip6 saddr fd00:10:244::/48 drop
		ip6 daddr fd00:10:244::/48 drop
	}
}`), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	l.lan.Router.Run(t, "nft", "-f", ruleset)
	for _, n := range l.nodes {
		n.write(configFile, configOf(mode))
	}
	return &routed{lab: l, first: l.nodes[0], second: l.nodes[1], far: l.nodes[2]}
}

func configOf(mode string) string {
	return strings.TrimSuffix(clusterCIDRs, "}") + fmt.Sprintf(`, "mode": %q}`, mode)
}

// addRouted makes a host behind the router of the LAN.
func (l *lab) addRouted(number int) {
	l.t.Helper()
	n := l.newHost(number)
	n.object.addresses = []string{fmt.Sprintf("203.0.113.%d", 20+number), fmt.Sprintf("2001:db8:0:3::%d", 20+number)}
	n.Veth("eth0", l.lan.Router, "far")
	l.lan.Router.AddAddress("far", "203.0.113.1/24", "2001:db8:0:3::1/64")
	n.AddAddress("eth0", n.object.addresses[0]+"/24", n.object.addresses[1]+"/64")
	n.AddRoute("0.0.0.0/0", "203.0.113.1")
	n.AddRoute("::/0", "2001:db8:0:3::1")
	l.add(n)
}

// startAgents starts the agents and, when each has written its configuration, adds a pod to each node.
func (r *routed) startAgents() {
	r.t.Helper()
	for _, n := range r.nodes {
		n.startAgent()
	}
	for _, n := range r.nodes {
		eventually(r.t, "conflist of "+n.object.name, func() error {
			if n.status().Conflist == "" {
				return fmt.Errorf("status: %s", n.read(statusFile))
			}
			return nil
		})
		r.pods = append(r.pods, n.addPod("pod"))
	}
}

// restart starts all agents again with another mode.
func (r *routed) restart(mode string) {
	r.t.Helper()
	for _, n := range r.nodes {
		n.stopAgent()
		n.write(configFile, configOf(mode))
		n.startAgent()
	}
}

// by returns the interface of the route of each family to the pods of another node, "" without a route of the agent.
func (n *node) by(other *node) (names [2]string) {
	for family, flag := range []string{"-4", "-6"} {
		fields := strings.Fields(n.Run(n.lab.t, "ip", flag, "route", "show", other.object.cidrs[family], "proto", "112"))
		if at := slices.Index(fields, "dev"); at >= 0 {
			names[family] = fields[at+1]
		}
	}
	return names
}

// awaitBy waits until both routes to another node are by an interface.
func (n *node) awaitBy(other *node, name string) {
	n.lab.t.Helper()
	eventually(n.lab.t, "routes to "+other.object.name, func() error {
		if got := n.by(other); got != [2]string{name, name} {
			return fmt.Errorf("by %q, want %s; status %s", got, name, n.read(statusFile))
		}
		return nil
	})
}

// awaitAuto waits until the two hosts of the LAN reach each other directly, and both and the far one through the overlay.
func (r *routed) awaitAuto() {
	r.t.Helper()
	r.first.awaitBy(r.second, "eth0")
	r.second.awaitBy(r.first, "eth0")
	for _, n := range []*node{r.first, r.second} {
		n.awaitBy(r.far, device)
		r.far.awaitBy(n, device)
	}
}

// has reports whether a host has an interface.
func (n *node) has(name string) bool {
	return n.Command("ip", "link", "show", name).Run() == nil
}

// overlay is all that a host has of the overlay, as ip(8) and bridge(8) print it.
func (n *node) overlay() string {
	var lines []string
	for _, command := range []string{
		"ip -d address show " + device, "ip neigh show dev " + device, "bridge fdb show dev " + device, "ip -4 route show dev " + device, "ip -6 route show dev " + device,
	} {
		fields := strings.Fields(command)
		out, _ := n.Command(fields[0], fields[1:]...).Output()
		var part []string
		for line := range strings.Lines(string(out)) {
			part = append(part, strings.TrimSpace(line))
		}
		if len(part) > 0 && strings.Contains(command, "address") {
			_, part[0], _ = strings.Cut(part[0], ":") // without the index
		} else {
			slices.Sort(part)
		}
		lines = append(lines, part...)
	}
	return strings.Join(lines, "\n")
}
