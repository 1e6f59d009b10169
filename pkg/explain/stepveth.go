package explain

import (
	"strconv"

	"github.com/patchbay-cni/patchbay/pkg/attach"
	"github.com/patchbay-cni/patchbay/pkg/bandwidth"
	"github.com/patchbay-cni/patchbay/pkg/link"
)

// makeVeth makes the veth pair: one end in the container, down, the other one a port of the bridge.
func (p *Plan) makeVeth() []Command {
	r, mtu := p.Record, strconv.Itoa(p.mtu)
	flags := attach.PortFlags(r)
	configure := []string{"ip", "link", "set", "dev", r.HostLink, "alias", alias(r.Alias)}
	if link.HasIPv6(p.mtu) {
		configure = append(configure, "addrgenmode", "none")
	}
	configure = append(configure, "type", "bridge_slave", "hairpin", onOff(flags.Hairpin), "guard", onOff(flags.STPGuard), "root_block", onOff(flags.STPGuard), "isolated", onOff(flags.Isolated))
	all := []Command{
		{
			Why: "a veth pair: one end is created in the container, the other one is a port of the bridge and up; one queue each is enough",
			Argv: []string{
				"ip", "link", "add", "name", r.HostLink, "address", p.hostMAC, "mtu", mtu, "numtxqueues", "1", "numrxqueues", "1", "master", p.bridge.name, "up",
				"type", "veth", "peer", "name", r.IfName, "address", r.MAC, "mtu", mtu, "numtxqueues", "1", "numrxqueues", "1", "netns", p.Netns.Word,
			},
		},
		{Why: "the alias names the attachment; the port needs no IPv6 address of its own", Argv: configure},
	}
	if flags.VLANs != nil {
		for _, words := range flags.VLANs.OfNewPort(r.HostLink, p.bridge.found) {
			all = append(all, Command{Why: "the VLANs of the port", Argv: append([]string{"bridge"}, words...)})
		}
	}
	return append(all, p.keepBridge()...)
}

// keepBridge restores what a bridge of another owner takes from its first port.
func (p *Plan) keepBridge() (all []Command) {
	b := p.bridge
	if !b.exists || b.ours {
		return nil
	}
	if !b.ports && b.mac != "" {
		all = append(all, Command{Why: "a bridge without another port would take the MAC of this one", Argv: []string{"ip", "link", "set", "dev", b.name, "address", b.mac}})
	}
	if p.mtu != b.mtu {
		all = append(all, Command{Why: "the bridge would take the MTU of the port", Argv: []string{"ip", "link", "set", "dev", b.name, "mtu", strconv.Itoa(b.mtu)}})
	}
	return all
}

// limit limits the traffic of the container.
func (p *Plan) limit() (all []Command) {
	if p.Record.Bandwidth == nil {
		return nil
	}
	for _, words := range attach.BandwidthSpec(p.Record).Commands(bandwidth.Interface{Name: p.Record.HostLink, MTU: p.mtu}, link.HasIPv6(p.mtu)) {
		all = append(all, Command{Why: "bandwidth: what the container receives waits at its host interface, what it sends at an ifb device", Argv: words})
	}
	return all
}
