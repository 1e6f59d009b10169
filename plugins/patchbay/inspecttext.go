package main

import (
	"io"
	"net/netip"
	"strings"

	"github.com/patchbay-cni/patchbay/pkg/attach"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// print prints the object as lines.
func (i *inspected) print(out io.Writer) {
	sayLine(out, "%s", cell(i.Name))
	sayLine(out, "  state %s, by %s", i.State, cell(i.Owner))
	sayLine(out, "  %s on network %s, bridge %s", cell(i.IfName), cell(i.Network), cell(i.Bridge))
	sayLine(out, "  container ID %s", cell(i.ContainerID))
	sayLine(out, "  namespace %s", cell(i.Netns))
	if i.HostLink != nil {
		sayLine(out, "  host interface %s", cell(i.HostLink.Name))
	}
	if i.Record != nil {
		printRecord(out, i.Record)
	}
	for _, p := range i.Ports {
		sayLine(out, "  port %s -> %s", p.Where(), p.To())
	}
	for _, problem := range i.Problems {
		sayLine(out, "  problem: %s", problem)
	}
}

// printRecord prints what a record says of addresses, layer 2 and restrictions.
func printRecord(out io.Writer, r *store.Record) {
	if r.VLANs != nil {
		sayLine(out, "  %s", r.VLANs)
	}
	if r.PortIsolation {
		sayLine(out, "  bridge port isolated from other isolated ports")
	}
	for _, a := range r.Addresses {
		sayLine(out, "  address %s", a.Address)
	}
	if t := r.Tap; t != nil {
		sayLine(out, "  tap %s of %s, guest MAC %s", cell(t.Name), attach.Opens(t.Owner, t.Group), r.MAC)
	}
	if r.SourceRouting != nil {
		for _, rule := range r.SourceRouting.Rules {
			sayLine(out, "  from %s by table %d", rule.Address.Addr(), rule.Table)
		}
	}
	printOutbound(out, r.Masquerade)
	if r.Policy != "" {
		sayLine(out, "  ingressPolicy %s", r.Policy)
	}
	if r.Egress != nil {
		sayLine(out, "  egress only to %s", destinations(r.Egress))
	}
	if r.Bandwidth != nil {
		printRate(out, "received", r.Bandwidth.Ingress)
		printRate(out, "sent", r.Bandwidth.Egress)
	}
}

// printOutbound prints the source addresses that the outside sees.
func printOutbound(out io.Writer, m *store.Masquerade) {
	if m == nil {
		return
	}
	for _, address := range []netip.Addr{m.Outbound4, m.Outbound6} {
		if address.IsValid() {
			sayLine(out, "  outbound address %s", address)
		}
	}
}

// destinations returns to what an attachment may open connections, for a person.
func destinations(e *store.Egress) string {
	var list []string
	for _, p := range e.Allow {
		list = append(list, p.String())
	}
	for _, a := range e.DNS {
		list = append(list, "DNS at "+a.String())
	}
	if e.DHCP {
		list = append(list, "DHCP on its link")
	}
	if len(list) == 0 {
		return "nothing"
	}
	return strings.Join(list, ", ")
}

// printRate prints a limit; the direction is that of the container.
func printRate(out io.Writer, direction string, r *store.Rate) {
	switch {
	case r == nil:
	case r.Burst == 0:
		sayLine(out, "  %s at most %d bit/s", direction, r.Rate)
	default:
		sayLine(out, "  %s at most %d bit/s with a burst of %d bits", direction, r.Rate, r.Burst)
	}
}
