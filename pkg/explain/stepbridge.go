package explain

import (
	"net/netip"
	"strconv"

	"github.com/patchbay-cni/patchbay/pkg/link"
)

// makeBridge makes the bridge, or configures one that exists.
func (p *Plan) makeBridge() (all []Command) {
	b := p.bridge
	if !b.exists {
		return p.createBridge()
	}
	if !b.up {
		all = append(all, Command{Why: "the bridge is down", Argv: []string{"ip", "link", "set", "dev", b.name, "up"}})
	}
	if b.filter {
		all = append(all, Command{Why: "the bridge keeps VLANs apart", Argv: []string{"ip", "link", "set", "dev", b.name, "type", "bridge", "vlan_filtering", "1"}})
	}
	return append(all, p.promiscuous()...)
}

func (p *Plan) createBridge() (all []Command) {
	b := p.bridge
	create := []string{"ip", "link", "add", "name", b.name, "address", b.mac, "mtu", strconv.Itoa(link.InitialMTU(b.mtu)), "type", "bridge"}
	if b.filter {
		create = append(create, "vlan_filtering", "1")
	}
	all = append(all, Command{Why: "the bridge, with a MAC of its own instead of that of a port; its MTU is set below, because Linux keeps only an MTU that was changed", Argv: create})
	if sysctls := link.NewLinkSysctls(b.name, b.mtu); len(sysctls) > 0 {
		all = append(all, Command{Why: "before it is up: no router advertisements of containers, no wait for duplicate addresses", Argv: set(sysctls)})
	}
	all = append(all, Command{
		Why: "the alias says that Patchbay created it; it is set up last", Argv: []string{"ip", "link", "set", "dev", b.name, "mtu", strconv.Itoa(b.mtu), "alias", link.BridgeAlias, "up"},
	})
	return append(all, p.promiscuous()...)
}

func (p *Plan) promiscuous() []Command {
	if !p.bridge.promisc {
		return nil
	}
	return []Command{{Why: "promiscMode: the bridge takes frames to every MAC", Argv: []string{"ip", "link", "set", "dev", p.bridge.name, "promisc", "on"}}}
}

// makeGate makes the bridge's interface of a VLAN, which has the gateway addresses.
func (p *Plan) makeGate() (all []Command) {
	g := p.gate
	if g.vlan == 0 || g.name == p.bridge.name {
		return nil
	}
	id := strconv.Itoa(g.vlan)
	if !g.exists {
		all = append(all, Command{Why: "the host's interface in VLAN " + id, Argv: []string{"ip", "link", "add", "link", p.bridge.name, "name", g.name, "type", "vlan", "id", id}})
		if sysctls := link.NewLinkSysctls(g.name, g.mtu); len(sysctls) > 0 {
			all = append(all, Command{Why: "as for the bridge", Argv: set(sysctls)})
		}
		all = append(all, Command{Why: "the alias says that Patchbay created it", Argv: []string{"ip", "link", "set", "dev", g.name, "alias", link.VLANAlias, "up"}})
	}
	return append(all, Command{Why: "the bridge itself is in the VLAN, with a tag", Argv: []string{"bridge", "vlan", "add", "dev", p.bridge.name, "vid", id, "self"}})
}

// beGateway gives the bridge the gateway addresses, and makes the host a router.
func (p *Plan) beGateway() (all []Command) {
	if !p.Record.Gateway || len(p.gateway.Want) == 0 {
		return nil
	}
	g := p.gate
	if g.no6 && hasFamily(p.gateway.Want, false) {
		all = append(all, Command{Why: "IPv6 is disabled on new interfaces of this host", Argv: set([]link.Sysctl{sysctl("0", "ipv6", "conf", g.name, "disable_ipv6")})})
	}
	for _, prefix := range p.gateway.Remove {
		all = append(all, Command{Why: "forceAddress: an address that conflicts with the gateway", Argv: []string{"ip", "address", "del", prefix.String(), "dev", g.name}})
	}
	for _, prefix := range p.gateway.Add {
		all = append(all, Command{Why: "the gateway of the containers", Argv: addAddress(prefix, g.name)})
	}
	for _, is4 := range []bool{true, false} {
		all = append(all, p.enableForwarding(is4)...)
	}
	return all
}

func addAddress(prefix netip.Prefix, ifname string) []string {
	return append([]string{"ip", "address", "add", prefix.String(), "dev", ifname}, link.AddressFlags(prefix)...)
}

func (p *Plan) enableForwarding(is4 bool) (all []Command) {
	family, global := "ipv6", sysctl("1", "ipv6", "conf", "all", "forwarding")
	if is4 {
		family, global = "ipv4", sysctl("1", "ipv4", "ip_forward")
	}
	if p.forward[is4] {
		for _, name := range p.keepRA {
			if !is4 {
				all = append(all, Command{Why: "a router would lose its default route by router advertisement", Argv: set([]link.Sysctl{sysctl("2", "ipv6", "conf", name, "accept_ra")})})
			}
		}
		all = append(all, Command{Why: "the host routes packets", Argv: set([]link.Sysctl{global})})
	}
	if p.gate.forward[is4] {
		all = append(all, Command{Why: "also those that arrive on the bridge, whatever the default for new interfaces is", Argv: set([]link.Sysctl{sysctl("1", family, "conf", p.gate.name, "forwarding")})})
	}
	return all
}

// routeHosts adds the routes of the host to single addresses.
func (p *Plan) routeHosts() (all []Command) {
	for _, addr := range p.Record.HostRoutes {
		all = append(all, Command{Why: "a single address is in no subnet of the bridge", Argv: append([]string{"ip"}, link.HostRouteWords(p.gate.name, addr)...)})
	}
	return all
}
