package diagram

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/printable"
	"github.com/patchbay-cni/patchbay/pkg/store"
	"github.com/patchbay-cni/patchbay/pkg/topo"
)

// containers makes a box of each network namespace, and of each attachment whose namespace is not known.
func (b *builder) containers() {
	byNetns := map[string][]*topo.Attachment{}
	for i := range b.view.Attachments {
		a := &b.view.Attachments[i]
		byNetns[a.Netns] = append(byNetns[a.Netns], a)
	}
	for i := range b.view.Namespaces {
		n := &b.view.Namespaces[i]
		b.d.Containers = append(b.d.Containers, b.container(n, byNetns[n.Path]))
		delete(byNetns, n.Path)
	}
	for i := range b.view.Attachments {
		a := &b.view.Attachments[i]
		if len(byNetns[a.Netns]) > 0 && a.HasLine() {
			c := b.box(KindContainer, "container", b.view.NameWithoutNetns(a))
			c.describe([]*topo.Attachment{a})
			c.Inside = []*Box{b.end(a)}
			b.d.Containers = append(b.d.Containers, c)
		}
	}
}

// container makes the box of a namespace: attachments in the order of the view, then the other interfaces.
func (b *builder) container(n *topo.Namespace, attached []*topo.Attachment) *Box {
	c := b.box(KindContainer, "container", n.Name)
	c.fact("network namespace", n.Path)
	c.describe(attached)
	drawn := map[int]bool{}
	for _, a := range attached {
		if a.Link != nil {
			drawn[a.Link.Index] = true
		}
		if a.Tap != nil {
			drawn[a.Tap.Index] = true
		}
		if a.HasLine() || a.Link != nil {
			c.Inside = append(c.Inside, b.end(a))
		}
	}
	for i := range n.Links {
		l := &n.Links[i]
		if !drawn[l.Index] {
			end := b.box(KindInterface, "interface", l.Name)
			end.link(l)
			end.routes(routesBy(n.Routes, l.Name), false)
			c.Inside = append(c.Inside, end)
		}
	}
	switch {
	case n.Error != "":
		c.say("(cannot look inside)")
		c.fact("error", n.Error)
	case len(c.Inside) == 0:
		c.say("(not attached)")
	}
	return c
}

// describe adds what the attachments say of their container.
func (b *Box) describe(attached []*topo.Attachment) {
	var networks []string
	for _, a := range attached {
		if a.Network != "" && !slices.Contains(networks, a.Network) {
			networks = append(networks, a.Network)
		}
		if pod := a.Pod(); pod != nil && b.Group == "" {
			b.Group = clean(pod.Namespace)
			b.fact("pod", pod.Name)
			b.fact("pod namespace", pod.Namespace)
		}
	}
	if len(networks) > 0 {
		b.Remark = clean("network " + strings.Join(networks, ", "))
	}
}

// end makes the box of the container interface of an attachment, and the line to it.
func (b *builder) end(a *topo.Attachment) *Box {
	end := b.box(KindInterface, "interface", cmp.Or(a.IfName, "interface"))
	switch {
	case a.Link != nil:
		end.Title = clean(a.Link.Name)
		end.link(a.Link)
	case a.HostLink == nil:
		end.warn("(gone)")
	default:
		end.say("(not seen)")
	}
	end.tap(a)
	end.routes(a.Routes, false)
	end.restrictions(a)
	end.attachmentFacts(a)
	end.Wrong = end.Wrong || len(a.Problems) > 0
	if port := b.ports[a]; port != nil {
		port.fact("attachment", a.Network+"/"+a.ContainerID+"/"+a.IfName)
		b.connect(port, end, lineOf(a), a.Problems)
	}
	return end
}

// tap says the tap of a virtual machine, and the addresses of the guest.
func (b *Box) tap(a *topo.Attachment) {
	if !a.HasTap() {
		return
	}
	t := a.Record.Tap
	switch {
	case a.Tap == nil:
		b.warn("tap " + t.Name + " (gone)")
	case !a.Tap.Carrier:
		b.say("tap %s, not open", t.Name)
	default:
		b.say("tap %s, open", t.Name)
	}
	for _, address := range a.Record.Addresses {
		b.say("guest %s", address.Address)
	}
	b.fact("tap", t.Name)
	if t.Owner != nil {
		b.fact("tap of user", fmt.Sprint(*t.Owner))
	}
	if t.Group != nil {
		b.fact("tap of group", fmt.Sprint(*t.Group))
	}
}

func lineOf(a *topo.Attachment) LineKind {
	switch {
	case a.HostLink == nil:
		return LineBroken
	case len(a.Problems) > 0:
		return LineWrong
	case !a.HostLink.Carrier:
		return LineDown
	}
	return LineVeth
}

func (b *Box) link(l *link.SurveyLink) {
	b.addresses(l)
	if !l.Up {
		b.warn("down")
	}
	b.linkFacts(l)
}

// maxPorts is the greatest number of published ports in a box; all of them are in its Facts.
const maxPorts = 8

// restrictions says what reaches the container and what it may do: masquerade, published ports, VLANs, limits and policies.
func (b *Box) restrictions(a *topo.Attachment) {
	if outside := a.OutsideSees(); outside != "" {
		b.say("%s", outside)
	}
	ports := a.Published()
	slices.SortStableFunc(ports, func(p, q topo.Published) int {
		return cmp.Compare(strconv.FormatBool(q.Lost), strconv.FormatBool(p.Lost))
	})
	for i, p := range ports {
		switch {
		case i == maxPorts:
			b.say("%d more published ports", len(ports)-maxPorts)
		case i < maxPorts && p.Lost:
			b.warn("port " + p.Text + " (lost)")
		case i < maxPorts:
			b.say("port %s", p.Text)
		}
		b.Facts = append(b.Facts, Fact{Name: "published port", Value: clean(p.Text), Wrong: p.Lost})
	}
	for _, policy := range a.Policies() {
		b.say("policy %s", policy)
	}
	r := a.Record
	if r == nil {
		return
	}
	if r.VLANs != nil {
		b.say("%s", r.VLANs)
	}
	if r.PortIsolation {
		b.say("isolated from other isolated ports")
	}
	if r.Bandwidth != nil {
		b.limit("receives", r.Bandwidth.Ingress)
		b.limit("sends", r.Bandwidth.Egress)
	}
}

func (b *Box) limit(verb string, r *store.Rate) {
	if r == nil {
		return
	}
	b.say("%s at most %s", verb, rateText(r.Rate))
	exact := fmt.Sprintf("at most %d bit/s", r.Rate)
	if r.Burst > 0 {
		exact += fmt.Sprintf(", burst %d bits", r.Burst)
	}
	b.fact(verb, exact)
}

// rateText returns a rate in bit/s with a prefix: "10 Mbit/s", "1.5 Gbit/s".
func rateText(rate uint64) string {
	const thousand = 1000
	value, unit := float64(rate), ""
	for _, next := range []string{"k", "M", "G", "T", "P"} {
		if value < thousand {
			break
		}
		value, unit = value/thousand, next
	}
	return strconv.FormatFloat(value, 'f', -1, 32) + " " + unit + "bit/s"
}

// attachmentFacts adds the details of an attachment.
func (b *Box) attachmentFacts(a *topo.Attachment) {
	b.fact("network", a.Network)
	b.fact("container ID", a.ContainerID)
	b.fact("bridge", a.Bridge)
	if a.HostLink != nil {
		b.fact("host interface", a.HostLink.Name)
	}
	b.fact("network namespace", a.Netns)
	if r := a.Record; r != nil {
		b.fact("owner", r.Owner)
		if !r.Created.IsZero() {
			b.fact("created", r.Created.Format(time.RFC3339))
		}
		if r.Egress != nil {
			for _, p := range r.Egress.Allow {
				b.fact("egress to", p.String())
			}
			for _, s := range r.Egress.DNS {
				b.fact("egress to name server", s.String())
			}
		}
	}
	for _, problem := range a.Problems {
		b.Facts = append(b.Facts, Fact{Name: "problem", Value: printable.Text(problem, 0), Wrong: true})
	}
}

// prefixes returns the addresses of an interface, without link-local IPv6 ones.
func prefixes(l *link.SurveyLink) []string {
	var all []string
	for _, a := range topo.GlobalAddresses(l) {
		all = append(all, a.Prefix.String())
	}
	return all
}
