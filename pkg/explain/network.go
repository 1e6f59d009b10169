package explain

import (
	"crypto/rand"
	"fmt"
	"net"

	"github.com/patchbay-cni/patchbay/pkg/attach"
	"github.com/patchbay-cni/patchbay/pkg/config"
	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/ruleset"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// OfNetwork returns the plan of the ADD that a preview describes, on this host as it is now.
func OfNetwork(from *attach.Preview, n Netns) (*Plan, error) {
	host, err := link.OpenHost()
	if err != nil {
		return nil, err
	}
	defer host.Close()
	p := &Plan{
		Record: from.Record, Netns: n, gateway: from.Gateways, routes: from.Routes, mtu: from.MTU, hostMAC: from.Names.HostMAC.String(),
		down: from.Config.DisableContainerInterface, delegated: from.Delegated, probes: from.Probes,
		tuning: attach.TuningOf(from.Config.Tuning, from.Record.IfName), Servers: from.Config.DNS.Nameservers,
	}
	if err := p.checkNames(); err != nil {
		return nil, err
	}
	if err := p.planBridges(host, from); err != nil {
		return nil, err
	}
	p.setup = link.Setup{
		IfName: from.Record.IfName, Addresses: p.addresses(), Routes: p.routes, DAD: from.Config.EnableDAD, NoRouters: p.bridge.ours,
	}
	if err := p.planForwarding(host); err != nil {
		return nil, err
	}
	if p.delegated != "" {
		p.omit("addresses, routes and rules of the container, which follow from the answer of the IPAM plugin %s: attach a container, and pass its name", p.delegated)
		return p, nil
	}
	if err := p.planSourceRouting(from); err != nil {
		return nil, err
	}
	if from.Config.Firewall == config.FirewallAuto {
		if p.admit, err = ruleset.AdmitCommands(p.gate.name, false); err != nil {
			return nil, err
		}
	}
	p.localnet = p.publishesLocalhost() && !link.RoutesLocalnet(p.Record.RoutedBy())
	p.rules, err = ruleset.Script(p.Record)
	return p, err
}

// omit notes a part of the state that the commands do not make.
func (p *Plan) omit(format string, args ...any) {
	p.Unprinted = append(p.Unprinted, fmt.Sprintf(format, args...))
}

func (p *Plan) publishesLocalhost() bool {
	return p.Record.Publish != nil && p.Record.Publish.Localhost
}

// planBridges describes the bridge and the interface with the gateway addresses as they are, or as ADD would make them.
func (p *Plan) planBridges(host *link.Host, from *attach.Preview) (err error) {
	cfg := from.Config
	spec := from.BridgeSpec
	p.bridge = bridge{name: cfg.Bridge, ours: true, mtu: host.FutureMTU(spec), promisc: cfg.PromiscMode, filter: spec.VLANs}
	if from.Bridge == nil {
		p.bridge.mac = newMAC().String()
		p.bridge.no6 = host.NewLinksLackIPv6()
	} else if p.bridge, err = existing(host, from.Bridge, p.bridge); err != nil {
		return err
	}
	p.gate = p.bridge
	if cfg.GatewayLink() == cfg.Bridge {
		return nil
	}
	p.gate = bridge{name: cfg.GatewayLink(), ours: true, mtu: p.bridge.mtu, mac: p.bridge.mac, vlan: cfg.VLANs.Native(), no6: host.NewLinksLackIPv6()}
	if from.Gate != nil {
		p.gate, err = existing(host, from.Gate, p.gate)
	}
	return err
}

// existing returns a bridge of the host; want says what the network needs of it.
func existing(host *link.Host, b *link.Bridge, want bridge) (bridge, error) {
	found := bridge{
		name: b.Name, exists: true, ours: b.Ours, up: b.Up, mtu: b.MTU, found: b, vlan: want.vlan,
		promisc: want.promisc && !b.Promisc, filter: want.filter && !b.VLANFiltering, no6: b.Disabled6,
	}
	if b.MAC != nil {
		found.mac = b.MAC.String()
	}
	if b.Kind != "bridge" {
		return found, nil
	}
	ports, err := host.PortNames(b)
	found.ports = len(ports) > 0
	return found, err
}

// newMAC returns a random address as EnsureBridge gives a new bridge: locally administered and unicast.
func newMAC() net.HardwareAddr {
	mac := make(net.HardwareAddr, 6)
	_, _ = rand.Read(mac) // never fails (crypto/rand, Go 1.24)
	mac[0] = 0x02
	return mac
}

// planForwarding finds out for which families forwarding has to be enabled.
func (p *Plan) planForwarding(host *link.Host) (err error) {
	p.forward, p.gate.forward = map[bool]bool{}, map[bool]bool{}
	if !p.Record.Gateway {
		return nil
	}
	for _, is4 := range []bool{true, false} {
		if !hasFamily(store.BridgeGateways(p.Record.Addresses), is4) {
			continue
		}
		p.forward[is4] = !host.Forwarding(is4)
		p.gate.forward[is4] = p.gate.ours && (!p.gate.exists || is4 && !p.gate.found.Forwards4 || !is4 && !p.gate.found.Forwards6)
	}
	if p.forward[false] {
		p.keepRA, err = host.AdvertisedLinks()
	}
	return err
}
