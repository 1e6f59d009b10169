package diagram

import (
	"fmt"
	"strings"

	"github.com/patchbay-cni/patchbay/pkg/topo"
)

// host makes the box of the host, with its bridges, and of what their ports lead to.
func (b *builder) host() {
	v := b.view
	host := b.box(KindHost, "host", "host "+v.Host.Name)
	b.d.Host = host
	for i := range v.Host.Links {
		l := &v.Host.Links[i]
		host.say("%s  %s", l.Name, strings.Join(prefixes(l), ", "))
		if !l.Up {
			host.warn(l.Name + " is down")
		}
	}
	host.routes(v.Host.Routes, true)
	host.say("forwarding %s", forwarding(&v.Host))
	known := map[string]*Box{}
	for i := range v.Bridges {
		known[v.Bridges[i].Name] = b.bridge(&v.Bridges[i])
		host.Inside = append(host.Inside, known[v.Bridges[i].Name])
	}
	for i := range v.Attachments {
		a := &v.Attachments[i]
		if !a.HasLine() {
			continue
		}
		inside := host
		if bridge := known[a.Bridge]; bridge != nil {
			inside = bridge
			bridge.policies(a)
		}
		port := b.hostInterface(a)
		b.ports[a] = port
		inside.Inside = append(inside.Inside, port)
	}
}

func forwarding(h *topo.Host) string {
	switch {
	case h.Forward4 && h.Forward6:
		return "IPv4 and IPv6"
	case h.Forward4:
		return "IPv4"
	case h.Forward6:
		return "IPv6"
	}
	return "off"
}

// bridge makes the box of a bridge with the ports that are no attachments.
func (b *builder) bridge(br *topo.Bridge) *Box {
	box := b.box(KindBridge, "bridge", br.Name)
	box.Remark = fmt.Sprintf("bridge, mtu %d", br.MTU)
	box.addresses(&br.SurveyLink)
	if !br.Up {
		box.warn("down")
	}
	if br.Ours {
		box.fact("created by", "patchbay")
	}
	box.linkFacts(&br.SurveyLink)
	for i := range br.Ports {
		p := &br.Ports[i]
		kind, line := KindPort, LineVeth
		if p.Uplink {
			kind, line = KindUplink, LineUplink
		}
		port := b.box(kind, "port", p.Name)
		port.linkFacts(&p.SurveyLink)
		if port.Wrong = !p.Up || !p.Carrier; port.Wrong {
			line = LineDown
		}
		box.Inside = append(box.Inside, port)
		far := b.box(KindOutside, "outside", b.view.FarEnd(br, p))
		b.d.Outside = append(b.d.Outside, far)
		b.connect(port, far, line, nil)
	}
	return box
}

// policies says the policies of the network of an attachment, once for all of its attachments.
func (b *Box) policies(a *topo.Attachment) {
	for _, policy := range a.Policies() {
		text := clean("network " + a.Network + ": " + policy)
		said := false
		for _, t := range b.Text {
			said = said || t.Text == text
		}
		if !said {
			b.say("%s", text)
		}
	}
}

// hostInterface makes the box of the host interface of an attachment.
func (b *builder) hostInterface(a *topo.Attachment) *Box {
	if a.HostLink == nil {
		port := b.box(KindPort, "port", a.Record.HostLink)
		port.Wrong = true
		port.fact("state", "does not exist")
		return port
	}
	port := b.box(KindPort, "port", a.HostLink.Name)
	port.Wrong = !a.HostLink.Up
	port.linkFacts(a.HostLink)
	return port
}
