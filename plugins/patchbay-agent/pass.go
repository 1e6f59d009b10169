package main

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/patchbay-cni/patchbay/pkg/agentstatus"
	"github.com/patchbay-cni/patchbay/pkg/cluster"
	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/nodeproblem"
	"github.com/patchbay-cni/patchbay/pkg/noderoute"
)

// passing is one pass.
type passing struct {
	*agent
	began    time.Time
	cluster  *cluster.Config
	problems []cluster.Problem
	failed   bool // something is to be tried again soon
	state    agentstatus.Status

	devices map[string]int  // of the overlay: name to index of those that exist
	broken  map[string]bool // those that could not be made as planned

	unreached map[netip.Prefix]string // destinations that have no route of the plan, and why
	kept      []cluster.Route         // that the plan does not have, through an overlay of which it is not known what this node is to have
}

// wait is a pass without nodes: there was no list yet. Routes and configuration of the last run stay as they are.
func (a *agent) wait() {
	p := &passing{agent: a, began: time.Now(), cluster: a.config.cluster}
	p.reportAPI()
	p.finish()
}

// pass makes routes and configuration those of the plan. It returns false if something is to be tried again soon. The order is what makes
// it safe: a route is added before another one is deleted, the entries of the overlay are there before a route needs them and as long as one
// does, and the configuration, with which kubelet makes the node Ready, is written when the pods of all other nodes can be reached. After a
// boot that of the boot before is there from the beginning, but not the ready file that it names.
func (a *agent) pass(nodes []cluster.Node, clock cluster.Clock) bool {
	p := &passing{agent: a, began: time.Now(), cluster: a.config.cluster, broken: map[string]bool{}, unreached: map[netip.Prefix]string{}}
	p.state.Nodes = len(nodes)
	p.reportAPI()
	host, err := p.facts(nodes)
	if err != nil {
		p.fail("", nodeproblem.Kernel, err)
		return p.finish()
	}
	plan := p.planOf(nodes, host)
	p.problems = append(p.problems, plan.Problems...)
	p.state.PodCIDRs = texts(plan.PodCIDRs)
	p.overlayBefore(&plan)
	if err := p.routes(plan, clock); err != nil {
		p.fail("", nodeproblem.Kernel, err)
		return p.finish()
	}
	if err := p.overlayAfter(plan); err != nil {
		p.fail(p.options.node, nodeproblem.Overlay, err)
	}
	if plan.Conflist != nil && p.markReady() {
		p.writeConflist(plan.Conflist)
	}
	p.checkOthers(len(plan.Routes))
	p.writePeers(nodes, plan)
	return p.finish()
}

// fail reports a problem that another try may solve.
func (p *passing) fail(node string, kind nodeproblem.Kind, err error) {
	p.failed = true
	p.problems = append(p.problems, cluster.Problem{Node: node, Kind: kind, Text: err.Error()})
}

// report adds a problem of this node.
func (p *passing) report(kind nodeproblem.Kind, format string, args ...any) {
	p.problems = append(p.problems, cluster.Problem{Node: p.options.node, Kind: kind, Text: fmt.Sprintf(format, args...)})
}

// reportAPI reports that the API server cannot be reached, and a configuration that cannot be read.
func (p *passing) reportAPI() {
	p.state.Synced = p.api.synced()
	if since, err := p.api.failing(); err != nil {
		p.state.APIError, p.state.APISince = shortened(err.Error()), since.UTC().Truncate(time.Second)
		p.failed = true
	}
	if p.config.err != nil {
		p.report(nodeproblem.Config, "the configuration in use is the one from before: %v", p.config.err)
	}
}

// facts reads what a plan needs of the host: the MTU of the interfaces with the addresses of the node, and the addresses of the bridge.
func (p *passing) facts(nodes []cluster.Node) (cluster.Host, error) {
	h := cluster.Host{Name: p.options.node, Ready: agentstatus.ReadyPath(p.options.status)}
	addresses := p.options.nodeIPs
	for _, n := range nodes {
		if n.Name != h.Name {
			continue
		}
		p.state.InternalIPs = texts(n.InternalIPs)
		if addresses == nil {
			addresses = n.InternalIPs
		}
	}
	for _, addr := range addresses {
		index, err := p.table.LinkOf(addr)
		if err != nil {
			return h, err
		}
		if index == 0 {
			p.report(nodeproblem.NoUplink, "no interface has %s: start kubelet with --node-ip, or this program with --node-ip", addr)
			continue
		}
		h.Local = append(h.Local, addr)
		l, err := p.agent.host.LinkAt(index)
		if err != nil {
			return h, err
		}
		if h.MTU == 0 || l.MTU < h.MTU {
			h.MTU = l.MTU
		}
	}
	var err error
	if h.Direct, err = p.direct(nodes); err != nil {
		return h, err
	}
	h.Bridge, err = p.bridge()
	return h, err
}

// bridge returns the addresses of the bridge; none if it does not exist.
func (p *passing) bridge() ([]netip.Prefix, error) {
	l, err := p.agent.host.Link(p.cluster.Bridge)
	if errors.Is(err, link.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return p.agent.host.Addresses(l.Index)
}

// routes makes the routes those of the plan.
func (p *passing) routes(plan cluster.Plan, clock cluster.Clock) error {
	installed, err := p.table.List()
	if err != nil {
		return err
	}
	have := make([]cluster.Route, 0, len(installed))
	for _, r := range installed {
		have = append(have, cluster.Route{Dst: r.Dst, Via: r.Via, Device: p.deviceAt(r.Link)})
	}
	changes := cluster.Compare(p.possible(plan.Routes), have)
	if plan.KeepOverlay {
		p.kept = changes.KeepOverlay()
	}
	p.each(changes.Add, "route added", func(r cluster.Route) error { return p.table.Add(p.kernelRoute(r)) })
	moved := p.each(changes.Move, "route moved", func(r cluster.Route) error { return p.table.AddBeside(p.kernelRoute(r)) })
	links := make(map[cluster.Route]int, len(changes.Replaced)+len(changes.Gone))
	if len(changes.Replaced)+len(changes.Gone) > 0 {
		for i, r := range installed {
			links[have[i]] = r.Link
		}
	}
	remove := func(r cluster.Route) error {
		return p.table.Delete(noderoute.Route{Dst: r.Dst, Via: r.Via, Link: links[r]})
	}
	var replaced []cluster.Route
	for _, r := range changes.Replaced {
		if !moved[r.Dst] { // the new gateway could not be added: the old one is better than none
			replaced = append(replaced, r)
		}
	}
	p.each(replaced, "", remove)
	if p.guard.Hold(changes.Gone, have, clock) {
		p.state.Held = len(changes.Gone)
		p.problems = append(p.problems, cluster.Problem{Kind: nodeproblem.Held, Text: fmt.Sprintf(
			"%d of %d routes have no node any more; they stay until another list of nodes, at %s, confirms it", len(changes.Gone), len(have), p.guard.ListAt().UTC().Format(time.RFC3339))})
	} else {
		p.each(changes.Gone, "route deleted", remove)
	}
	p.state.Routes = countRoutes(plan.Routes, p.kept)
	return nil
}

// detailed is how many routes of one kind of change are in the log one by one.
const detailed = 20

// each changes routes, and returns the destinations for which that failed. Without a message they are not in the log.
func (p *passing) each(routes []cluster.Route, message string, change func(cluster.Route) error) map[netip.Prefix]bool {
	failed := map[netip.Prefix]bool{}
	for i, r := range routes {
		err := change(r)
		switch {
		case errors.Is(err, noderoute.ErrTaken):
			failed[r.Dst] = true
			protocol, _ := p.table.Owner(r.Dst)
			p.report(nodeproblem.RouteTaken, "another program has a route to %s (protocol %d of ip-route(8)): delete it, or leave that destination to it", r.Dst, protocol)
		case errors.Is(err, noderoute.ErrNotDirect):
			failed[r.Dst] = true
			p.report(nodeproblem.NotDirect, "node %s is on no network of this host, so there is no route to %s: set mode to auto on all nodes, or give the router a route", r.Via, r.Dst)
		case err != nil:
			failed[r.Dst] = true
			p.fail(p.options.node, nodeproblem.Kernel, err)
		case message != "" && i < detailed:
			p.log.Info(message, "dst", r.Dst.String(), "via", r.Via.String(), "dev", r.Device)
		}
		if failed[r.Dst] && message != "" {
			p.unreached[r.Dst] = p.problems[len(p.problems)-1].Text
		}
	}
	if message != "" && len(routes) > detailed {
		p.log.Info(message, "all", len(routes))
	}
	return failed
}

// markReady creates the ready file, without which the plugin attaches no pod. It stays until the next boot, or --clean.
func (p *passing) markReady() bool {
	written, err := writeFile(agentstatus.ReadyPath(p.options.status), nil)
	if err != nil {
		p.fail(p.options.node, nodeproblem.Write, err)
		return false
	}
	if written {
		p.log.Info("pods can be attached: the routes to other nodes are written")
	}
	return true
}

// writeConflist writes the network configuration if its bytes are others. A failure leaves the old one.
func (p *passing) writeConflist(text []byte) {
	path := p.options.conflist
	if err := checkConflist(text); err != nil {
		p.report(nodeproblem.BadConflist, "the network configuration would not be valid, and is not written: %v", err)
		return
	}
	written, err := writeFile(path, text)
	if err != nil {
		p.fail(p.options.node, nodeproblem.Write, err)
		return
	}
	p.state.Conflist = path
	if written {
		p.log.Info("network configuration written", "path", path, "podCIDRs", fmt.Sprint(p.state.PodCIDRs))
	}
}
