package explain

import (
	"strconv"

	"github.com/patchbay-cni/patchbay/pkg/link"
)

// up configures the container interface.
func (p *Plan) up() (all []Command) {
	switch {
	case p.Record.Tap != nil:
		all = append(all, p.makeTap()...)
	case !p.down && p.delegated == "":
		all = append(all, p.configure()...)
	}
	return append(append(all, p.routeBySource()...), p.tune()...)
}

func (p *Plan) configure() (all []Command) {
	ifname := p.setup.IfName
	if sysctls := p.setup.Sysctls(p.mtu); len(sysctls) > 0 {
		all = append(all, Command{Why: "before the interface is up: no router configures it, and no duplicate of a reserved IPv6 address is looked for", Argv: p.setInside(sysctls)})
	}
	for _, prefix := range p.setup.Addresses {
		words := []string{"address", "add", prefix.String(), "dev", ifname}
		if prefix.Addr().Is4() || !p.setup.DAD {
			words = append(words, link.AddressFlags(prefix)...)
		}
		all = append(all, Command{Why: "an address of the container", Argv: p.inside(words...)})
	}
	all = append(all, Command{Why: "the interface is up only now: rules and addresses are in place", Argv: p.inside("link", "set", "dev", ifname, "up")})
	if len(p.setup.Addresses) > 0 {
		all = append(all, Command{
			Why: "it announces its addresses again when its link comes back", Argv: p.setInside([]link.Sysctl{sysctl("1", "ipv4", "conf", ifname, "arp_notify")}),
		})
	}
	for _, r := range p.inMain() {
		all = append(all, Command{Why: "a route of the container", Argv: p.inside(r.Words(ifname, p.setup.Addresses)...)})
	}
	if len(p.setup.Addresses) > 0 {
		all = append(all, Command{Why: "ADD then announces the addresses (gratuitous ARP, neighbour advertisement), so that no neighbour has an old MAC for them; no command for that"})
	}
	return all
}

// tune sets what the keys of tuning ask for.
func (p *Plan) tune() (all []Command) {
	const why = "a setting of the network configuration"
	for _, s := range p.tuning.Sysctls {
		all = append(all, Command{Why: why, Argv: p.setInside([]link.Sysctl{s})})
	}
	words := []string{}
	for _, flag := range []struct {
		name string
		on   *bool
	}{{"promisc", p.tuning.Promisc}, {"allmulticast", p.tuning.AllMulti}} {
		if flag.on != nil {
			words = append(words, flag.name, onOff(*flag.on))
		}
	}
	if p.tuning.TxQLen != nil {
		words = append(words, "txqueuelen", strconv.Itoa(*p.tuning.TxQLen))
	}
	if len(words) == 0 {
		return all
	}
	return append(all, Command{Why: why, Argv: p.inside(append([]string{"link", "set", "dev", p.setup.IfName}, words...)...)})
}
