package cluster

import (
	"net/netip"
	"slices"

	"github.com/patchbay-cni/patchbay/pkg/nodeproblem"
)

// claimed is a CIDR of another node, which that node is the oldest to claim.
type claimed struct {
	node *Node
	dst  netip.Prefix
}

// others plans the routes to the other nodes.
func (p *planning) others() {
	var all []claimed
	for _, n := range p.nodes {
		if n == p.self || n.Name == p.host.Name {
			continue
		}
		for _, cidr := range p.usable(n) {
			if owner, ok := p.claims.claim(cidr, n.Name); !ok {
				p.report(n.Name, nodeproblem.SameCIDR, "podCIDR ", cidr.String(), " overlaps that of ", owner, ", which has it: delete the Node object that is not in use")
				continue
			}
			all = append(all, claimed{n, cidr})
			p.plan.Owners[cidr] = n.Name
		}
	}
	p.olderThanSelf()
	inside := p.nodesInside()
	for _, c := range all {
		if node, hit := inside[c.dst]; hit {
			p.report(c.node.Name, nodeproblem.InternalIPInside, "podCIDR ", c.dst.String(), " contains the InternalIP of ", node, ": give pods a network of their own")
			continue
		}
		if r, ok := p.route(c); ok {
			p.plan.Routes = append(p.plan.Routes, r)
		}
	}
	p.sameAddress()
}

// olderThanSelf reports an older node that claims a CIDR of this one: on all other nodes it has the route.
func (p *planning) olderThanSelf() {
	for _, n := range p.nodes {
		if n == p.self || p.self == nil {
			return
		}
		for _, cidr := range n.PodCIDRs {
			if slices.ContainsFunc(p.plan.PodCIDRs, cidr.Overlaps) {
				p.report(p.host.Name, nodeproblem.SameCIDR, "podCIDR ", cidr.String(), " belongs to the older node ", n.Name,
					" too, to which the other nodes send: delete the Node object that is not in use")
			}
		}
	}
}

// nodesInside returns the claimed CIDRs that contain the InternalIP of a node, with its name: a route there would cut that node off.
func (p *planning) nodesInside() map[netip.Prefix]string {
	inside := map[netip.Prefix]string{}
	for _, n := range p.nodes {
		for _, addr := range n.InternalIPs {
			if cidr, hit := p.claims.holding(addr); hit && inside[cidr] == "" {
				inside[cidr] = n.Name
			}
		}
	}
	return inside
}

// route plans the route to a CIDR: by the InternalIP of its node, or through the overlay.
func (p *planning) route(c claimed) (Route, bool) {
	via := c.node.InternalIP(c.dst.Addr().Is4())
	if p.config.Mode == ModeVXLAN || p.config.Mode == ModeAuto && !p.host.Direct[via] {
		return p.viaOverlay(c)
	}
	if !via.IsValid() {
		p.report(c.node.Name, nodeproblem.NoInternalIP, "podCIDR ", c.dst.String(), ": the node has no InternalIP of this family: start its kubelet with --node-ip=IPv4,IPv6")
		return Route{}, false
	}
	return Route{Dst: c.dst, Via: via}, p.addressOfHost(c.node, via)
}

// addressOfHost reports an InternalIP that cannot be that of another node.
func (p *planning) addressOfHost(n *Node, addr netip.Addr) bool {
	switch {
	case !addr.IsGlobalUnicast():
		p.report(n.Name, nodeproblem.BadInternalIP, "InternalIP ", addr.String(), " is not an address of a host: start its kubelet with --node-ip")
	case p.self != nil && slices.Contains(p.self.InternalIPs, addr):
		p.report(n.Name, nodeproblem.SameInternalIP, "InternalIP ", addr.String(), " is that of this node too: start kubelet with --node-ip on both, with the address of the right interface")
	default:
		return true
	}
	return false
}

// sameAddress reports nodes with one InternalIP. Each keeps its route: the older object may be what is left of a machine that was
// given another name.
func (p *planning) sameAddress() {
	first := map[netip.Addr]*Node{}
	for _, n := range p.nodes {
		for _, is4 := range []bool{true, false} {
			addr := n.InternalIP(is4)
			switch other := first[addr]; {
			case !addr.IsValid() || other == n || n == p.self || other == p.self && other != nil:
			case other != nil:
				p.report(n.Name, nodeproblem.SameInternalIP, "InternalIP ", addr.String(), " is that of ", other.Name, " too: delete the Node object that is not in use")
			default:
				first[addr] = n
			}
		}
	}
}
