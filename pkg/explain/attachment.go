package explain

import (
	"errors"
	"fmt"
	"slices"

	"github.com/patchbay-cni/patchbay/pkg/attach"
	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/liveness"
	"github.com/patchbay-cni/patchbay/pkg/ruleset"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// ErrOtherPlugin reports an attachment whose interface another plugin created.
var ErrOtherPlugin = errors.New("created by another plugin")

// ErrStale reports an attachment whose host interface does not exist any more.
var ErrStale = errors.New("host interface does not exist")

// OfAttachment returns the plan of an attachment that exists: its state from the record and, for what only the kernel has, from the
// kernel, as commands for a host that has nothing of it. A bridge that Patchbay created is part of it; another one must exist.
func OfAttachment(r *store.Record) (*Plan, error) {
	if r.Role != store.RolePort {
		return nil, fmt.Errorf("%s: interface %w, which explain does not know", r.Key(), ErrOtherPlugin)
	}
	host, err := link.OpenHost()
	if err != nil {
		return nil, err
	}
	defer host.Close()
	l, err := liveness.New(host).HostInterface(r)
	if errors.Is(err, link.ErrNotFound) {
		return nil, fmt.Errorf("%s: %w", r.Key(), ErrStale)
	}
	if err != nil {
		return nil, err
	}
	p := &Plan{Record: r, Exists: true, Netns: NetnsAt(r.Netns), mtu: l.MTU, hostMAC: l.MAC.String()}
	p.Netns.Make, p.Netns.Loopback = p.Netns.Word != r.Netns, r.NetnsMade
	if err := p.checkNames(); err != nil {
		return nil, err
	}
	if err := p.readBridges(host); err != nil {
		return nil, err
	}
	if err := p.readContainer(); err != nil {
		return nil, err
	}
	if r.Tuning != nil {
		p.tuning = attach.TuningOfRecord(r.Tuning.Set)
	}
	if !p.Netns.Make {
		p.omit("the network namespace, which has no name: %s leads to it on this host alone", r.Netns)
	}
	p.localnet = p.publishesLocalhost()
	if p.admit, err = ruleset.AdmitCommands(p.gate.name, true); err != nil {
		return nil, err
	}
	p.rules, err = ruleset.WholeScript(r)
	return p, err
}

// readBridges describes bridge and gateway: what Patchbay made is to be made, with the values that it has.
func (p *Plan) readBridges(host *link.Host) error {
	b, err := host.Bridge(p.Record.Bridge)
	if err != nil {
		return err
	}
	if p.bridge, err = existing(host, b, bridge{}); err != nil {
		return err
	}
	p.bridge.exists = !b.Ours
	p.bridge.promisc, p.bridge.filter, p.bridge.no6 = b.Ours && b.Promisc, b.Ours && b.VLANFiltering, false
	p.gate = p.bridge
	if name := p.Record.RoutedBy(); name != b.Name {
		found, err := host.Gate(b, name)
		if err != nil {
			return err
		}
		if p.gate, err = existing(host, found, bridge{vlan: found.VLAN}); err != nil {
			return err
		}
		p.gate.exists = !found.Ours
	}
	p.forward, p.gate.forward = map[bool]bool{}, map[bool]bool{}
	if !p.Record.Gateway {
		return nil
	}
	gateways := store.BridgeGateways(p.Record.Addresses)
	p.gateway = link.AddressPlan{Add: gateways, Want: gateways}
	if p.gate.exists { // another program's, with whatever addresses it has: only those of this attachment may be missing
		p.gateway.Add = nil
	}
	for _, is4 := range []bool{true, false} {
		p.forward[is4] = hasFamily(gateways, is4)
		p.gate.forward[is4] = p.forward[is4] && !p.gate.exists
	}
	return nil
}

// readContainer reads from the container what the record does not have: the MTU, MSS and scope of its routes, and whether duplicate
// addresses are detected.
func (p *Plan) readContainer() error {
	p.setup = link.Setup{IfName: p.Record.IfName, Addresses: p.addresses(), NoRouters: p.bridge.ours}
	s, err := link.OpenSandbox(p.Record.Netns, true)
	if err != nil {
		return err
	}
	defer s.Close()
	l, err := s.Link(p.Record.IfName)
	if err != nil {
		return err
	}
	p.down = !l.Up
	if p.setup.DAD, err = s.DetectsDuplicates(p.Record.IfName); err != nil {
		return err
	}
	has, err := s.Routes(l.Index)
	if err != nil {
		return err
	}
	p.readSourceRouting(has)
	for _, r := range p.Record.Planned {
		route := link.Route{Dst: r.Dst, GW: r.GW, Priority: r.Priority, Table: r.Table}
		i := slices.IndexFunc(has, func(k link.Route) bool {
			return k.Dst == r.Dst && k.GW == r.GW && (r.Table == 0 || r.Table == k.Table) && (r.Priority == 0 || r.Priority == k.Priority)
		})
		if i >= 0 {
			route.MTU, route.AdvMSS, route.Scope = has[i].MTU, has[i].AdvMSS, has[i].Scope
			if route.Dst.Addr().Is4() {
				route.Priority = has[i].Priority
			}
		}
		p.routes = append(p.routes, route)
	}
	p.setup.Routes = p.routes
	return nil
}
