package attach

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"

	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// plug makes the bridge what the network needs and the cable that leads to it. What it does
// to the bridge is scaffolding, shared by all attachments, and is not undone.
func (a *adding) plug(context.Context) (err error) {
	if err := a.ensureBridge(); err != nil {
		return err
	}
	if err := a.noteBridge(); err != nil {
		return err
	}
	if err := a.beGateway(); err != nil {
		return err
	}
	if a.chained != nil {
		err = a.plugChained()
	} else {
		err = a.plugVeth()
	}
	if err != nil {
		return err
	}
	return a.routeHosts()
}

// routeHosts leads the host to single addresses, which are in no subnet of the bridge.
func (a *adding) routeHosts() error {
	for _, addr := range a.record.HostRoutes {
		a.undo.push(func() error { return a.host.RemoveHostRoute(a.bridge.Name, addr) })
		if err := a.host.AddHostRoute(a.bridge, addr); err != nil {
			return err
		}
	}
	return nil
}

// ensureBridge looks at the bridge again: it may have changed while this ADD waited for a lock.
func (a *adding) ensureBridge() (err error) {
	a.bridge, err = a.host.EnsureBridge(link.BridgeSpec{Name: a.cfg.Bridge, MTU: a.cfg.MTU, Promisc: a.cfg.PromiscMode})
	if err == nil && a.cfg.IsGateway {
		a.on, err = a.host.Addresses(a.bridge.Index)
	}
	return err
}

// noteBridge puts the MAC of a bridge that was only just made into the record, from which it can
// be made again.
func (a *adding) noteBridge() error {
	mac := bridgeMAC(a.bridge)
	if mac == a.record.BridgeMAC {
		return nil
	}
	a.record.BridgeMAC = mac
	return a.state.Save(a.record)
}

func (a *adding) plugVeth() error {
	mac, err := net.ParseMAC(a.record.MAC)
	if err != nil {
		return fmt.Errorf("read MAC of record: %w", err)
	}
	v := link.Veth{
		HostName: a.names.hostLink, HostMAC: a.names.hostMAC, Alias: a.names.alias,
		IfName: a.req.IfName, MAC: mac, MTU: a.mtu(), Hairpin: a.record.Hairpin,
	}
	// Before the cable is made: an error may be that of a lost answer, and the cable be there.
	a.undo.push(func() error { return a.host.Unplug(a.names.hostLink, a.names.mark) })
	return a.host.Plug(a.sandbox, a.bridge, v)
}

// mtu is that of both ends, in bytes.
func (a *adding) mtu() int {
	if a.cfg.MTU != 0 {
		return a.cfg.MTU
	}
	return a.bridge.MTU
}

// beGateway gives the bridge the gateway addresses and makes the host a router, if asked.
func (a *adding) beGateway() error {
	if !a.cfg.IsGateway {
		return nil
	}
	gateways := gatewaysOf(a.record.Addresses)
	plan, err := a.addressPlan(gateways)
	if err != nil {
		return err
	}
	if err := a.host.SetAddresses(a.bridge, plan); err != nil {
		return err
	}
	for _, is4 := range []bool{true, false} {
		needed := slices.ContainsFunc(gateways, func(p netip.Prefix) bool { return p.Addr().Is4() == is4 })
		if !needed {
			continue
		}
		if err := a.host.EnableForwarding(is4); err != nil {
			return err
		}
	}
	return nil
}

// addressPlan is what the bridge's addresses need; link.ErrClash if they do not go together.
func (a *adding) addressPlan(gateways []netip.Prefix) (link.AddressPlan, error) {
	if len(gateways) == 0 {
		return link.AddressPlan{}, nil
	}
	// Another range of this network may have a gateway of its own on the bridge already.
	own := a.gatewaysOfPool()
	has := slices.DeleteFunc(slices.Clone(a.on), func(p netip.Prefix) bool { return slices.Contains(own, p) && !slices.Contains(gateways, p) })
	plan, err := link.PlanAddresses(has, gateways, a.cfg.ForceAddress)
	if err != nil {
		return plan, fmt.Errorf("bridge %s %w", a.bridge.Name, err)
	}
	return plan, a.spareNeighbours(plan.Remove)
}

// spareNeighbours refuses to remove, with forceAddress, an address that containers of another
// network use as their gateway.
func (a *adding) spareNeighbours(remove []netip.Prefix) error {
	if len(remove) == 0 {
		return nil
	}
	entries, err := store.List(a.cfg.StateDir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Record == nil || e.Record.Bridge != a.bridge.Name || e.Record.Network == a.cfg.Name {
			continue
		}
		for _, gateway := range gatewaysOf(e.Record.Addresses) {
			if slices.Contains(remove, gateway) {
				return fmt.Errorf("bridge %s %w: %s is the gateway of container %s on network %s", a.bridge.Name, link.ErrClash, gateway, e.Record.ContainerID, e.Record.Network)
			}
		}
	}
	return nil
}

// gatewaysOfPool are the gateways that addresses of this network can have.
func (a *adding) gatewaysOfPool() []netip.Prefix {
	if !a.cfg.IsGateway || a.cfg.IPAM == nil {
		return nil
	}
	var addresses []store.Address
	for _, r := range slices.Concat(a.cfg.IPAM.Pool.Sets...) {
		addresses = append(addresses, store.Address{Address: netip.PrefixFrom(r.Start, r.Subnet.Bits()), Gateway: r.Gateway})
	}
	overrideGateways(addresses, a.cfg.IPAM.Gateways)
	return gatewaysOf(addresses)
}

// up configures the container's end, waits until the bridge hears it, and says who is there.
func (a *adding) up(context.Context) error {
	if a.chained != nil {
		return a.upChained()
	}
	if a.cfg.DisableContainerInterface {
		return nil
	}
	set := link.Setup{IfName: a.req.IfName, Addresses: prefixes(a.record.Addresses), Routes: a.routes, DAD: a.cfg.EnableDAD}
	applied, err := a.sandbox.Up(set)
	if err != nil {
		return err
	}
	a.routes = applied.Routes
	if err := a.host.WaitPort(a.names.hostLink, a.bridge); err != nil {
		return err
	}
	return a.sandbox.Announce(applied.Link, set.Addresses)
}

// print ends the ADD. The record keeps what was printed, for those who ask later.
func (a *adding) print(out io.Writer) error {
	a.endFlush()
	return printResult(out, a.result(), a.cfg.CNIVersion)
}
