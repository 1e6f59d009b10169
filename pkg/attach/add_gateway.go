package attach

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/liveness"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// beGateway adds the gateway addresses to the bridge, or to its interface of a VLAN, and enables IP forwarding, if isGateway is true.
func (a *adding) beGateway(ctx context.Context) error {
	gateways := store.BridgeGateways(a.record.Addresses)
	if !a.cfg.IsGateway || len(gateways) == 0 {
		return nil
	}
	if hasFamily(gateways, false) {
		if err := a.host.EnableIPv6(a.gate); err != nil {
			return err
		}
	}
	if err := a.setGateways(ctx, gateways); err != nil {
		return err
	}
	if err := a.host.AwaitAddresses(a.gate, gateways); err != nil {
		return err
	}
	for _, is4 := range []bool{true, false} {
		if !hasFamily(gateways, is4) {
			continue
		}
		if err := forward(a.host, a.gate, is4); err != nil {
			return err
		}
	}
	return nil
}

// setGateways adds missing gateway addresses to the bridge. If there are addresses that conflict with them, or gateways of an earlier
// configuration, it also removes those.
func (a *adding) setGateways(ctx context.Context, gateways []netip.Prefix) error {
	own, plan, err := a.addMissing(ctx, gateways)
	current := append(gatewaysOfPool(a.cfg), gateways...)
	if err != nil || len(plan.Remove) == 0 && len(without(own, current)) == 0 {
		return err
	}
	r := &retirement{host: a.host, bridge: a.bridge, gate: a.gate, network: a.cfg.Name, dirs: liveness.StateDirs(a.cfg.StateDir), but: a.state.Key, current: current, force: a.cfg.ForceAddress}
	if len(plan.Remove) == 0 && len(r.strays(own)) == 0 {
		return nil
	}
	if len(plan.Remove) > 0 {
		err = r.alone(ctx, func(all []netip.Prefix) error { return a.replaceGateways(all, gateways) })
	}
	if err == nil && a.gate.Ours {
		r.orWarn(r.run(ctx))
	}
	if err == nil {
		_, _, err = a.addMissing(ctx, gateways) // the kernel removes secondary addresses of a subnet with its primary one
	}
	return err
}

// addMissing adds gateways unless other addresses must be removed first, and returns the addresses that Patchbay added to the bridge
// earlier. With the shared lock no other process removes addresses meanwhile; later ones read the record, which names these gateways.
func (a *adding) addMissing(ctx context.Context, gateways []netip.Prefix) (own []netip.Prefix, plan link.AddressPlan, err error) {
	lock, err := store.LockDirs(ctx, true, a.cfg.StateDir)
	if err != nil {
		return nil, plan, err
	}
	defer lock.Unlock()
	all, own, err := a.host.BridgeAddresses(a.gate)
	if err == nil {
		plan, err = a.addressPlan(all, gateways)
	}
	if err == nil && len(plan.Remove) == 0 {
		err = a.host.SetAddresses(a.gate, plan)
	}
	return own, plan, err
}

// replaceGateways removes what conflicts with the gateways, and adds them.
func (a *adding) replaceGateways(all, gateways []netip.Prefix) error {
	plan, err := a.addressPlan(all, gateways)
	if err != nil {
		return err
	}
	return a.host.SetAddresses(a.gate, plan)
}

// forward enables IP forwarding of one family, for the host and for packets that arrive on the bridge.
func forward(host *link.Host, bridge *link.Bridge, is4 bool) error {
	if err := host.EnableForwarding(is4); err != nil {
		return fmt.Errorf("%w: %w", errNoRouter, err)
	}
	return host.ForwardFrom(bridge, is4)
}

// routeHosts adds routes of the host to single addresses (/32, /128), which are in no subnet of the bridge.
func (a *adding) routeHosts() error {
	for _, addr := range a.record.HostRoutes {
		a.undo.push("route of the host to "+addr.String(), func() error { return a.host.RemoveHostRoute(a.gate.Name, addr) })
		if err := a.host.AddHostRoute(a.gate, addr); err != nil {
			return err
		}
	}
	return nil
}
