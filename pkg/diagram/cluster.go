package diagram

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/patchbay-cni/patchbay/pkg/agentstatus"
)

// clusterBuilder makes a diagram of the nodes of a cluster.
type clusterBuilder struct {
	builder
	paths map[string]*Box // how nodes are reached
}

// OfCluster returns the diagram of a node and of the other nodes: inside of the node are the paths by which it reaches others, each with a
// route for each node; nodes to which it has no route have no line. Problems of no other node are notes. Warnings are about all of it: that
// it is of an earlier time, for example.
func OfCluster(s *agentstatus.Status, peers *agentstatus.Peers, warnings ...string) *Diagram {
	b := &clusterBuilder{builder: builder{d: &Diagram{}, count: map[string]int{}}, paths: map[string]*Box{}}
	b.own(s)
	for _, text := range warnings {
		b.d.Host.warn(text)
	}
	for i := range peers.Peers {
		b.peer(&peers.Peers[i])
	}
	if peers.Omitted > 0 {
		b.d.Notes = append(b.d.Notes, Text{Text: fmt.Sprintf("%d more nodes are not in the picture", peers.Omitted)})
	}
	for _, p := range agentstatus.Besides(s.Problems, peers.Peers) {
		b.d.Notes = append(b.d.Notes, Text{Text: clean(p.Subject() + ": " + p.Text), Wrong: true})
	}
	return b.d
}

// own makes the box of the node that has the routes.
func (b *clusterBuilder) own(s *agentstatus.Status) {
	box := b.box(KindHost, "host", "node "+s.Node)
	b.d.Host = box
	box.Remark = clean("this node, mode " + s.Mode)
	for _, addr := range s.InternalIPs {
		box.say("%s", addr)
	}
	for _, cidr := range s.PodCIDRs {
		box.say("pods %s", cidr)
	}
	box.say("%d nodes, %d routes", s.Nodes, s.Routes)
	if s.APIError != "" {
		box.warn("the API server does not answer")
		box.fact("API server", s.APIError)
	}
	box.fact("patchbay-agent", s.Version)
	box.fact("bridge", s.Bridge)
	box.fact("network configuration", s.Conflist)
}

// peer makes the box of another node, and the route to it.
func (b *clusterBuilder) peer(p *agentstatus.Peer) {
	node := b.box(KindNode, "node", p.Name)
	b.d.Containers = append(b.d.Containers, node)
	for _, addr := range p.InternalIPs {
		node.say("%s", addr)
		node.fact("InternalIP", addr)
	}
	pods := b.box(KindPods, "pods", "pods")
	node.Inside = []*Box{pods}
	for _, cidr := range p.PodCIDRs {
		pods.say("%s", cidr)
	}
	for _, text := range p.Problems {
		pods.warn(text)
		node.Wrong = true
	}
	if len(p.Routes) == 0 {
		if len(p.Problems) == 0 {
			pods.warn("no route to them")
		}
		return
	}
	kind := LineVeth
	if len(p.Problems) > 0 {
		kind = LineWrong
	}
	b.connect(b.route(p), pods, kind, p.Problems)
}

// route makes the box of the routes to a node, inside of the path that they take.
func (b *clusterBuilder) route(p *agentstatus.Peer) *Box {
	route := b.box(KindRoute, "route", "via "+p.Routes[0].Via)
	for _, r := range p.Routes {
		route.fact("route", strings.TrimSpace(fmt.Sprintf("%s via %s %s", r.Dst, r.Via, device(r.Dev))))
	}
	path := b.path(p.Reached, p.Routes[0].Dev)
	path.Inside = append(path.Inside, route)
	return route
}

func device(name string) string {
	if name == "" {
		return ""
	}
	return "dev " + name
}

// path returns the box of a path, which the first route of it makes.
func (b *clusterBuilder) path(reached, dev string) *Box {
	if box := b.paths[reached]; box != nil {
		return box
	}
	box := b.box(KindPath, "path", reached)
	switch reached {
	case agentstatus.Direct:
		box.Remark = "gateway: InternalIP of the node"
	case agentstatus.Overlay:
		box.Remark = clean("VXLAN device " + dev)
	}
	b.paths[reached] = box
	b.d.Host.Inside = append(b.d.Host.Inside, box)
	slices.SortFunc(b.d.Host.Inside, func(x, y *Box) int { return cmp.Compare(x.Title, y.Title) })
	return box
}
