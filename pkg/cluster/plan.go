package cluster

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"github.com/patchbay-cni/patchbay/pkg/nodeproblem"
)

// Host is what a plan needs to know of the host besides the Node objects.
type Host struct {
	Name   string         // of its Node object
	MTU    int            // bytes, of the interface with the InternalIP; 0: no interface has it
	Bridge []netip.Prefix // addresses of the bridge, with their length
	Local  []netip.Addr   // addresses of the node that an interface of this host has
	Ready  string         // path of the file without which containers are not attached, the key readyFile of the conflist; "": none

	// Direct has the addresses that this host sends packets to without a router. Only ModeAuto asks for it, for InternalIPs of other nodes.
	Direct map[netip.Addr]bool
}

// Route is a route to the pods of another node, in the main table.
type Route struct {
	Dst    netip.Prefix
	Via    netip.Addr // InternalIP of the node; through the overlay an address that only the neighbour table of the device has
	Device string     // of the overlay; "" for a direct route
}

// Plan is what a host is to have.
type Plan struct {
	Conflist []byte                  // nil: it cannot be said yet; an existing file stays
	PodCIDRs []netip.Prefix          // of this node, those of the conflist
	Routes   []Route                 // one for a destination, sorted by it
	Owners   map[netip.Prefix]string // of the pod CIDRs of other nodes, also of those without a route: the name of the node that has it
	Devices  []Device                // of the overlay: at most one for each family of the packets that it sends
	Problems []Problem               // sorted

	// KeepOverlay says that it is not known what this node is to have of the overlay: devices, and routes through them, stay.
	KeepOverlay bool
}

// Problem is something about the nodes that keeps pods from reaching each other.
type Problem struct {
	Node string           // its name; "" if the problem is not about one
	Kind nodeproblem.Kind // never ""
	Text string           // what is the matter and the remedy
}

// planning is a plan in the making.
type planning struct {
	config *Config
	host   Host
	self   *Node
	nodes  []*Node // oldest first
	claims *claims
	plan   Plan

	overlays overlays
}

// Plan makes the plan for a host from all nodes of the cluster, its own included.
func (c *Config) Plan(nodes []Node, host Host) Plan {
	p := &planning{config: c, host: host, nodes: make([]*Node, 0, len(nodes))}
	for i := range nodes {
		p.nodes = append(p.nodes, &nodes[i])
	}
	slices.SortFunc(p.nodes, oldestFirst)
	if at := slices.IndexFunc(p.nodes, func(n *Node) bool { return n.Name == host.Name }); at >= 0 {
		p.self = p.nodes[at]
	}
	p.plan.Owners, p.plan.Routes = make(map[netip.Prefix]string, 2*len(nodes)), make([]Route, 0, 2*len(nodes))
	p.claims = newClaims(p.nodes, host.Bridge)
	p.own()
	p.prepareOverlays()
	p.others()
	p.finishOverlays()
	slices.SortFunc(p.plan.Routes, func(a, b Route) int { return a.Dst.Compare(b.Dst) })
	slices.SortFunc(p.plan.Problems, Problem.compare)
	p.plan.Problems = slices.Compact(p.plan.Problems)
	return p.plan
}

func (p Problem) compare(q Problem) int {
	if c := strings.Compare(p.Node, q.Node); c != 0 {
		return c
	}
	return cmp.Or(strings.Compare(p.Text, q.Text), strings.Compare(string(p.Kind), string(q.Kind)))
}

// report adds a problem; its text is made of parts.
func (p *planning) report(node string, kind nodeproblem.Kind, parts ...string) {
	p.plan.Problems = append(p.plan.Problems, Problem{node, kind, strings.Join(parts, "")})
}

// own plans for the node itself: its CIDRs, which no other node gets a route for here, and the conflist. The addresses of the bridge count
// too: a route to them would take the packets of pods that are there, from before the node got another CIDR.
func (p *planning) own() {
	if p.self == nil {
		p.report(p.host.Name, nodeproblem.NoNode, "the cluster has no Node object of this name; nothing is removed and the network configuration stays: ",
			"check --node, or restart kubelet, which creates the object")
	} else {
		p.plan.PodCIDRs = p.usable(p.self)
		p.missingFamilies()
	}
	for _, cidr := range p.plan.PodCIDRs {
		p.claims.claim(cidr, p.host.Name)
	}
	for _, prefix := range p.host.Bridge {
		p.claims.claim(prefix.Masked(), "the bridge "+p.config.Bridge)
	}
	if len(p.plan.PodCIDRs) == 0 {
		return
	}
	if mtu := p.podMTU(); mtu != 0 {
		p.plan.Conflist = p.config.renderConflist(p.plan.PodCIDRs, mtu, p.host.Ready)
	}
}

// usable returns the first CIDR of each family of a node that is within the cluster's, and reports the others.
func (p *planning) usable(n *Node) (cidrs []netip.Prefix) {
	if len(n.Unreadable) > 0 {
		p.report(n.Name, nodeproblem.Unreadable, "not a CIDR or an address: ", strings.Join(n.Unreadable, ", "))
	}
	if len(n.PodCIDRs) == 0 {
		p.report(n.Name, nodeproblem.NoPodCIDR, "the node has no podCIDR: run kube-controller-manager with --allocate-node-cidrs; ",
			"if it does, its range is full (event CIDRNotAvailable)")
	}
	var has [2]bool
	for _, cidr := range n.PodCIDRs {
		switch at := family(cidr.Addr()); {
		case !p.config.contains(cidr):
			p.report(n.Name, nodeproblem.OutsideClusterCIDRs, "podCIDR ", cidr.String(), " is not within clusterCIDRs: correct clusterCIDRs")
		case has[at]:
			p.report(n.Name, nodeproblem.SecondCIDR, "podCIDR ", cidr.String(), " is the second one of its family and is not used")
		default:
			has[at] = true
			cidrs = append(cidrs, cidr)
		}
	}
	return cidrs
}

// missingFamilies reports a family of the cluster that this node has no CIDR of.
func (p *planning) missingFamilies() {
	if len(p.self.PodCIDRs) == 0 {
		return
	}
	for _, f := range []struct {
		is4  bool
		name string
	}{{true, "IPv4"}, {false, "IPv6"}} {
		has := slices.ContainsFunc(p.plan.PodCIDRs, func(c netip.Prefix) bool { return c.Addr().Is4() == f.is4 })
		if p.config.hasFamily(f.is4) && !has {
			p.report(p.host.Name, nodeproblem.MissingFamily, "the node has no usable podCIDR of ", f.name, ", which clusterCIDRs has: its pods get no address of that family")
		}
	}
}
