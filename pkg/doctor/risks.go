package doctor

import (
	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/nodeconf"
	"github.com/patchbay-cni/patchbay/pkg/printable"
)

// risks returns what other programs of the host will undo, from their configuration.
func (x *examination) risks() (all []Risk) {
	h := nodeconf.Host{}
	for _, b := range x.bridges {
		if b.link != nil && b.link.Kind == "bridge" {
			h.Bridges = append(h.Bridges, b.configured())
		}
	}
	for _, r := range nodeconf.Risks(h) {
		risk := Risk{Program: r.Program, Says: printable.Text(r.Says, maxLine), Seen: printable.Text(r.Seen, maxLine), Fix: []string{}}
		for _, line := range r.Fix {
			risk.Fix = append(risk.Fix, printable.Text(line, 0))
		}
		all = append(all, risk)
	}
	return all
}

// configured returns what is compared with the configuration of other programs.
func (b *bridge) configured() nodeconf.Bridge {
	c := nodeconf.Bridge{Name: b.name, IsOurs: b.link.Alias == link.BridgeAlias, Routed4: b.routed(true), Routed6: b.routed(false), Dropped: b.dropped}
	for _, r := range b.records {
		if r.HostLink != "" {
			c.Ports = append(c.Ports, r.HostLink)
		}
		c.HostRoutes += len(r.HostRoutes)
	}
	return c
}
