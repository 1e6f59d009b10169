package main

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/patchbay-cni/patchbay/pkg/agentstatus"
	"github.com/patchbay-cni/patchbay/pkg/cluster"
	"github.com/patchbay-cni/patchbay/pkg/safefile"
)

// finish logs which problems are new and which are solved, and writes the status. It returns false if something is to be tried again soon.
func (p *passing) finish() bool {
	now := make(map[cluster.Problem]bool, len(p.problems))
	logged := 0
	for _, problem := range p.problems {
		if !now[problem] && !p.reported[problem] {
			if logged++; logged <= detailed {
				p.log.Warn(problem.Text, "node", problem.Node, "kind", string(problem.Kind))
			}
		}
		now[problem] = true
	}
	if logged > detailed {
		p.log.Warn("more problems: see the status", "all", logged, "status", p.options.status)
	}
	solved := 0
	for problem := range p.reported {
		if !now[problem] {
			if solved++; solved <= detailed {
				p.log.Info("no longer: "+problem.Text, "node", problem.Node, "kind", string(problem.Kind))
			}
		}
	}
	p.agent.reported = now
	if err := p.writeStatus(); err != nil {
		p.failed = true
		p.log.Warn("write status", "error", err)
	}
	return !p.failed
}

// writeStatus writes the file of the state, and takes the lock by which others know that this program runs.
func (p *passing) writeStatus() error {
	p.agent.passes++
	s := &p.state
	p.readConflist()
	s.Passes, s.Node, s.Version, s.Mode, s.Bridge = p.agent.passes, p.options.node, version, p.cluster.Mode, p.cluster.Bridge
	s.LastPass, s.Interval = time.Now().UTC().Truncate(time.Second), int(idle/time.Second)
	s.PassMs = float64(time.Since(p.began).Microseconds()) / 1000
	s.Problems = make([]agentstatus.Problem, 0, len(p.problems))
	for _, problem := range p.problems {
		s.Problems = append(s.Problems, agentstatus.Problem{Node: problem.Node, Kind: problem.Kind, Text: shortened(problem.Text)})
	}
	text, err := s.Encode()
	if err != nil {
		return err
	}
	if _, err := writeFile(p.options.status, text); err != nil {
		return err
	}
	return p.agent.lock.Hold(p.options.status)
}

// readConflist adds the network configuration to the state if this program has written the file at an earlier time, and no plan says what it
// is to be: without a list of nodes, or without the Node object of this node. Without a list it also has the pod CIDRs.
func (p *passing) readConflist() {
	if p.state.Conflist != "" {
		return
	}
	text, err := safefile.Read(p.options.conflist, safefile.Rules{})
	if err != nil {
		return // a file that cannot be written either is a problem of a pass with a plan
	}
	cidrs, ok := p.cluster.ReadConflist(text)
	if !ok {
		return
	}
	p.state.Conflist = p.options.conflist
	if !p.state.Synced {
		p.state.PodCIDRs = texts(cidrs)
	}
}

// countRoutes counts the destinations of routes.
func countRoutes(lists ...[]cluster.Route) int {
	all := map[netip.Prefix]bool{}
	for _, routes := range lists {
		for _, r := range routes {
			all[r.Dst] = true
		}
	}
	return len(all)
}

// peersOf returns how a node reaches each other one: by the routes of the plan, without those that could not be made, for which unreached
// has the reason, and by those that stay although the plan does not have them.
func (p *passing) peersOf(nodes []cluster.Node, plan cluster.Plan) agentstatus.Peers {
	all := agentstatus.Peers{Node: p.options.node, Peers: []agentstatus.Peer{}}
	routes := make(map[netip.Prefix]cluster.Route, len(plan.Routes))
	for _, r := range plan.Routes {
		if p.unreached[r.Dst] == "" {
			routes[r.Dst] = r
		}
	}
	for _, r := range p.kept {
		routes[r.Dst] = r
	}
	problems := map[string][]string{}
	for _, problem := range plan.Problems {
		problems[problem.Node] = append(problems[problem.Node], shortened(problem.Text))
	}
	for _, n := range nodes {
		if n.Name == p.options.node {
			continue
		}
		peer := agentstatus.Peer{Name: n.Name, InternalIPs: texts(n.InternalIPs), PodCIDRs: texts(n.PodCIDRs), Reached: agentstatus.None, Routes: []agentstatus.Route{}, Problems: problems[n.Name]}
		for _, cidr := range n.PodCIDRs {
			if plan.Owners[cidr] != n.Name { // of several nodes with one CIDR one has it
				continue
			}
			if why := p.unreached[cidr]; why != "" {
				peer.Problems = append(slices.Clip(peer.Problems), shortened(why))
			}
			r, is := routes[cidr]
			if !is {
				continue
			}
			peer.Reached = agentstatus.Direct
			if r.Device != "" {
				peer.Reached = agentstatus.Overlay
			}
			peer.Routes = append(peer.Routes, agentstatus.Route{Dst: cidr.String(), Via: r.Via.String(), Dev: r.Device})
		}
		all.Peers = append(all.Peers, peer)
	}
	slices.SortFunc(all.Peers, func(a, b agentstatus.Peer) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// shortened returns a text of which no part can make the files grow without bound: a Node object may have any text as a CIDR.
func shortened(text string) string {
	const most = 500 // bytes
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}

// texts returns values as text; never nil.
func texts[T interface{ String() string }](values []T) []string {
	all := make([]string, 0, len(values))
	for _, v := range values {
		all = append(all, v.String())
	}
	return all
}
