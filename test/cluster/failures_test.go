package cluster

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/patchbay-cni/patchbay/pkg/nodeproblem"
)

// pair is a lab with two hosts whose agents run, and a pod on each.
type pair struct {
	*lab
	first, second *node
	from, to      pod
}

func newPair(t *testing.T) pair {
	t.Helper()
	l := newLab(t, 2)
	p := pair{lab: l, first: l.nodes[0], second: l.nodes[1]}
	for _, n := range l.nodes {
		n.startAgent()
	}
	for _, n := range l.nodes {
		n.awaitOthers()
		eventually(t, "conflist", func() error {
			if n.status().Conflist == "" {
				return fmt.Errorf("status: %s", n.read(statusFile))
			}
			return nil
		})
	}
	p.from, p.to = p.first.addPod("pod"), p.second.addPod("pod")
	mesh(t, []pod{p.from, p.to})
	return p
}

// other is a Node object without a host: node-N at 192.0.2.1NN with 10.244.1NN.0/24.
func other(number int) nodeObject {
	return nodeObject{
		name: fmt.Sprintf("node-%d", number), cidrs: []string{fmt.Sprintf("10.244.%d.0/24", number), fmt.Sprintf("fd00:10:244:%x::/64", number)},
		addresses: []string{fmt.Sprintf("192.0.2.%d", number), fmt.Sprintf("2001:db8:0:1::%d", number)},
	}
}

func (o nodeObject) route(family int) string { return o.cidrs[family] + " via " + o.addresses[family] }

// routesWith returns the routes of the first host with those of more nodes, whose numbers are higher than 2.
func (p pair) routesWith(more ...nodeObject) (want []string) {
	for family := range 2 {
		want = append(want, p.second.route(family))
		for _, o := range more {
			want = append(want, o.route(family))
		}
	}
	return want
}

// TestAgentKilled: the agent is killed 100 times, at random moments of its start and of its passes, while a node moves to and fro.
//
// Claim: patchbay-agent that is killed 100 times, or restarted while the API server is down, loses no packet between pods
func TestAgentKilled(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	moving := other(101)
	p.api.create(moving)
	p.first.awaitRoutes(p.routesWith(moving)...)
	running := ping(p.from, p.to.addresses)
	for i := range 100 {
		p.first.stopAgent()
		p.first.startAgent()
		moving.addresses = []string{fmt.Sprintf("192.0.2.%d", 110+i%2), fmt.Sprintf("2001:db8:0:1::%d", 110+i%2)}
		p.api.setAddresses(moving)
		time.Sleep(time.Duration(rand.IntN(300)) * time.Millisecond)
	}
	p.first.awaitRoutes(p.routesWith(moving)...)
	running.stop(p.first)
	if text := p.first.read(conflist); text == "" || text == p.second.read(conflist) {
		t.Errorf("conflist: %q", text)
	}
	for _, name := range p.first.files("/etc/cni/net.d") {
		if name != "10-patchbay.conflist" && name[0] != '.' {
			t.Errorf("%s in the directory of configurations", name)
		}
	}
}

// TestAPIDown: without the API server everything stays, also over a restart of the agents; afterwards they catch up.
//
// Claim: patchbay-agent that is killed 100 times, or restarted while the API server is down, loses no packet between pods
func TestAPIDown(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	gone := other(101)
	p.api.create(gone)
	p.first.awaitRoutes(p.routesWith(gone)...)
	running, text := ping(p.from, p.to.addresses), p.first.read(conflist)
	p.api.Stop()
	for _, n := range p.nodes {
		n.stopAgent()
		n.startAgent()
	}
	eventually(t, "the status says that the API server does not answer", func() error {
		if s := p.first.status(); s.APIError == "" || s.Synced {
			return fmt.Errorf("status: %s", p.first.read(statusFile))
		}
		return nil
	})
	if got := p.first.routes(); !slices.Equal(got, p.routesWith(gone)) || p.first.read(conflist) != text {
		t.Errorf("without the API server: routes %q, conflist %s", got, p.first.read(conflist))
	}
	p.api.Resume()
	came := other(102)
	p.api.remove(gone.name)
	p.api.create(came)
	p.first.awaitRoutes(p.routesWith(came)...)
	eventually(t, "the API server answers", func() error {
		if s := p.first.status(); s.APIError != "" || !s.Synced {
			return fmt.Errorf("status: %s", p.first.read(statusFile))
		}
		return nil
	})
	running.stop(p.first)
}

// TestNodeObjects: what happens to Node objects, one after the other.
//
// Claim: A node without a podCIDR is reported and gets its routes when it has one; patchbay-agent never ends because of it
// Claim: The routes of a node that was deleted while patchbay-agent was down are deleted at its next start
// Claim: A podCIDR that another node has by then is moved to it, also if patchbay-agent was down
// Claim: If the node's own Node object is deleted, its routes and its network configuration stay
func TestNodeObjects(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	n := p.first

	late := other(101)
	late.cidrs = nil
	p.api.create(late)
	n.awaitProblem(nodeproblem.NoPodCIDR, "has no podCIDR")
	late = other(101)
	p.api.must("PATCH", "/api/v1/nodes/"+late.name, object{"spec": object{"podCIDR": late.cidrs[0], "podCIDRs": late.cidrs}}, nil)
	n.awaitRoutes(p.routesWith(late)...)
	n.awaitNoProblem("has no podCIDR")

	n.stopAgent()
	p.api.remove(late.name)
	again := other(102)
	again.cidrs = other(103).cidrs
	p.api.create(again)
	n.startAgent()
	n.awaitRoutes(p.routesWith(again)...)

	n.stopAgent()
	p.api.remove(again.name)
	heir := other(104)
	heir.cidrs = again.cidrs
	p.api.create(heir)
	n.startAgent()
	n.awaitRoutes(p.routesWith(heir)...)

	text := n.read(conflist)
	p.api.remove(n.object.name)
	n.awaitProblem(nodeproblem.NoNode, "no Node object of this name")
	p.second.awaitRoutes(heir.route(0), heir.route(1))
	if got := n.routes(); !slices.Equal(got, p.routesWith(heir)) || n.read(conflist) != text {
		t.Errorf("without its own Node object: routes %q, conflist %s", got, n.read(conflist))
	}
	p.api.create(n.object)
	n.awaitNoProblem("no Node object of this name")
	p.second.awaitRoutes(n.route(0), heir.route(0), n.route(1), heir.route(1))
	mesh(t, []pod{p.from, p.to})
}

// TestOwnCIDR: a node comes back with another pod CIDR, and its old one is given to another node, while a pod has the old one.
//
// Claim: A node that comes back with another podCIDR attaches new pods with it, without a hand
func TestOwnCIDR(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	n, old := p.first, p.first.object
	p.api.remove(old.name)
	n.awaitProblem(nodeproblem.NoNode, "no Node object of this name")
	n.object.cidrs = other(50).cidrs
	p.api.create(n.object)
	p.second.awaitOthers()
	eventually(t, "the configuration has the new CIDR", func() error {
		if text := n.read(conflist); !strings.Contains(text, n.object.cidrs[0]) {
			return fmt.Errorf("conflist: %s", text)
		}
		return nil
	})
	mesh(t, []pod{n.addPod("later"), p.to})
	heir := other(101)
	heir.cidrs = old.cidrs
	p.api.create(heir)
	p.second.awaitRoutes(heir.route(0), n.route(0), heir.route(1), n.route(1))
	n.awaitProblem(nodeproblem.SameCIDR, "podCIDR 10.244.1.0/24 overlaps that of the bridge cni0")
	n.awaitRoutes(p.routesWith()...)
	if err := p.from.PingOnce(netip.MustParseAddr("10.244.1.1")); err != nil {
		t.Errorf("the pod from before has lost its gateway: %v", err)
	}
}

// TestSameCIDR: a younger node that claims the CIDR of another one comes and goes 100 times.
//
// Claim: A second node with the podCIDR of another one that comes and goes loses no packet to the first
func TestSameCIDR(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	young := other(101)
	young.cidrs = p.second.object.cidrs
	p.api.awaitLaterThan(p.second.object.name)
	running := ping(p.from, p.to.addresses)
	for range 100 {
		p.api.create(young)
		p.first.awaitProblem(nodeproblem.SameCIDR, "overlaps that of node-2")
		p.api.remove(young.name)
		p.first.awaitNoProblem("overlaps that of node-2")
	}
	p.first.awaitRoutes(p.routesWith()...)
	running.stop(p.first)
}

// TestMostNodesGone: a list without most of the nodes, as after an API server was restored from an old backup, is believed a minute later. Until
// then, also while the second list cannot be had, routes that are lost come back.
//
// Claim: If more than half of the nodes disappear at once, their routes stay until a second list, a minute later, confirms it
func TestMostNodesGone(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	var many []nodeObject
	for i := range 12 {
		many = append(many, other(101+i))
		p.api.create(many[i])
	}
	p.first.awaitRoutes(p.routesWith(many...)...)
	p.first.stopAgent()
	for _, o := range many {
		p.api.remove(o.name)
	}
	began := time.Now()
	p.first.startAgent()
	p.first.awaitProblem(nodeproblem.Held, "they stay until another list of nodes")
	if got := p.first.routes(); !slices.Equal(got, p.routesWith(many...)) {
		t.Errorf("routes: %q", got)
	}
	p.api.Stop()
	eventually(t, "the second list is due, and nothing answers", func() error {
		if s := p.first.status(); s.APIError == "" || time.Since(began) < 62*time.Second {
			return fmt.Errorf("status: %s", p.first.read(statusFile))
		}
		return nil
	})
	p.first.Run(t, "ip", "-4", "route", "flush", "proto", "112")
	p.first.awaitRoutes(append([]string{p.second.route(0)}, p.routesWith(many...)[1+len(many):]...)...)
	p.api.Resume()
	p.first.awaitRoutes(p.routesWith()...)
	p.first.awaitNoProblem("they stay until another list of nodes")
}
