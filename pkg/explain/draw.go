package explain

import (
	"net/netip"
	"path/filepath"
	"slices"

	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/topo"
)

// Views returns what topo.Draw draws after each of the steps. before is the host as it is; of that, the bridge of the attachment is drawn, with
// the attachments on it. An attachment that exists begins with a host that has nothing of it.
func (p *Plan) Views(before *topo.View, steps []Step) []*topo.View {
	base := p.begin(before)
	views := make([]*topo.View, len(steps))
	for i := range steps {
		v := copyOf(base)
		for _, s := range steps[:i+1] {
			p.apply(v, s.Name)
		}
		views[i] = v
	}
	return views
}

// begin returns the view before the first step.
func (p *Plan) begin(before *topo.View) *topo.View {
	v := copyOf(before)
	v.Problems, v.Unseen = nil, nil
	v.Attachments = slices.DeleteFunc(v.Attachments, func(a topo.Attachment) bool {
		return a.Bridge != p.bridge.name || a.Network == p.Record.Network && a.ContainerID == p.Record.ContainerID && a.IfName == p.Record.IfName
	})
	v.Bridges = slices.DeleteFunc(v.Bridges, func(b topo.Bridge) bool {
		return b.Name != p.bridge.name || !p.bridge.exists && len(v.Attachments) == 0
	})
	if !p.gate.exists && len(v.Attachments) == 0 {
		v.Host.Links = slices.DeleteFunc(v.Host.Links, p.isGate)
	}
	v.Namespaces = slices.DeleteFunc(v.Namespaces, func(n topo.Namespace) bool {
		used := slices.ContainsFunc(v.Attachments, func(a topo.Attachment) bool { return a.Netns == n.Path })
		return !used && (p.Netns.Make || n.Path != p.netnsPath())
	})
	if p.Exists { // the interface is in it
		for i := range v.Namespaces {
			v.Namespaces[i].Links = slices.DeleteFunc(slices.Clone(v.Namespaces[i].Links), func(l link.SurveyLink) bool {
				return v.Namespaces[i].Path == p.netnsPath() && (l.Name == p.Record.IfName || p.Record.Tap != nil && l.Name == p.Record.Tap.Name)
			})
		}
	}
	return v
}

// isGate reports whether a link is the bridge's interface of a VLAN.
func (p *Plan) isGate(l link.SurveyLink) bool { return l.Name == p.gate.name }

// copyOf returns a copy whose lists can be changed.
func copyOf(v *topo.View) *topo.View {
	c := *v
	c.Host.Links, c.Bridges = slices.Clone(v.Host.Links), slices.Clone(v.Bridges)
	c.Attachments, c.Namespaces = slices.Clone(v.Attachments), slices.Clone(v.Namespaces)
	return &c
}

// netnsPath returns the path of the network namespace.
func (p *Plan) netnsPath() string {
	if filepath.IsAbs(p.Netns.Word) {
		return p.Netns.Word
	}
	return filepath.Join("/run/netns", p.Netns.Word)
}

// apply changes a view as the commands of a step change the host.
func (p *Plan) apply(v *topo.View, step string) {
	switch step {
	case stepNetns:
		v.Namespaces = append(v.Namespaces, topo.Namespace{Name: filepath.Base(p.Netns.Word), Path: p.netnsPath()})
	case stepPlug:
		p.drawBridge(v)
		if p.Record.IPAMType == "" {
			p.drawGateways(v)
		}
		p.drawVeth(v)
	case stepAsk:
		p.drawGateways(v)
	case stepPublish:
		v.Attachments[len(v.Attachments)-1].Record = p.Record
	case stepUp:
		if !p.down && p.delegated == "" {
			p.drawUp(v)
		}
	}
}

func (p *Plan) drawBridge(v *topo.View) {
	if slices.ContainsFunc(v.Bridges, func(b topo.Bridge) bool { return b.Name == p.bridge.name }) {
		return
	}
	v.Bridges = append(v.Bridges, topo.Bridge{
		Ours:       p.bridge.ours,
		SurveyLink: link.SurveyLink{Name: p.bridge.name, Kind: "bridge", MAC: p.bridge.mac, MTU: p.bridge.mtu, Up: true, Carrier: true, PeerNetns: -1},
	})
}

func (p *Plan) drawGateways(v *topo.View) {
	gateways := surveyed(p.gateway.Add)
	if p.gate.name == p.bridge.name {
		b := &v.Bridges[slices.IndexFunc(v.Bridges, func(b topo.Bridge) bool { return b.Name == p.bridge.name })]
		missing := slices.DeleteFunc(gateways, func(g link.SurveyAddress) bool {
			return slices.ContainsFunc(b.Addresses, func(has link.SurveyAddress) bool { return has.Prefix == g.Prefix })
		})
		b.Addresses = slices.Concat(b.Addresses, missing)
	} else if !slices.ContainsFunc(v.Host.Links, p.isGate) {
		v.Host.Links = append(v.Host.Links, link.SurveyLink{Name: p.gate.name, Kind: "vlan", MTU: p.gate.mtu, Up: true, Carrier: true, PeerNetns: -1, Addresses: gateways})
	}
	v.Host.Forward4, v.Host.Forward6 = v.Host.Forward4 || p.forward[true], v.Host.Forward6 || p.forward[false]
}

// drawVeth draws the veth pair. What the ruleset has of the attachment is not there yet.
func (p *Plan) drawVeth(v *topo.View) {
	r := *p.Record
	r.Masquerade, r.Publish, r.Policy, r.Egress, r.SpoofCheck, r.Addresses = nil, nil, "", nil, nil, nil
	v.Attachments = append(v.Attachments, topo.Attachment{
		Network: r.Network, ContainerID: r.ContainerID, IfName: r.IfName, Ours: true, Bridge: p.bridge.name, Netns: p.netnsPath(), Record: &r,
		HostLink: &link.SurveyLink{Name: r.HostLink, Kind: "veth", MAC: p.hostMAC, MTU: p.mtu, Up: true, Carrier: false},
		Link:     &link.SurveyLink{Name: r.IfName, Kind: "veth", MAC: r.MAC, MTU: p.mtu},
	})
}

// drawUp draws the container interface with its addresses and default routes.
func (p *Plan) drawUp(v *topo.View) {
	a := &v.Attachments[len(v.Attachments)-1]
	host, inside := *a.HostLink, *a.Link
	host.Carrier, inside.Carrier, inside.Up, inside.Addresses = true, true, true, surveyed(p.setup.Addresses)
	if t := p.Record.Tap; t != nil {
		inside.Addresses = nil
		a.Tap = &link.SurveyLink{Name: t.Name, Kind: "tun", Alias: p.Record.Alias, MTU: p.mtu, Up: true}
	}
	a.HostLink, a.Link, a.Record = &host, &inside, p.Record
	for _, r := range p.inMain() {
		if r.Dst.Bits() == 0 && p.Record.Tap == nil && r.Table == 0 {
			a.Routes = append(a.Routes, link.SurveyRoute{IPv6: !r.Dst.Addr().Is4(), Gateway: r.GW, Link: p.Record.IfName, Metric: r.Priority})
		}
	}
}

func surveyed(prefixes []netip.Prefix) (all []link.SurveyAddress) {
	for _, prefix := range prefixes {
		all = append(all, link.SurveyAddress{Prefix: prefix, Permanent: true})
	}
	return all
}
