package attach

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

	types100 "github.com/containernetworking/cni/pkg/types/100"

	"github.com/patchbay-cni/patchbay/pkg/config"
	"github.com/patchbay-cni/patchbay/pkg/delegate"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// ask gets the addresses from the delegated IPAM plugin. It runs after plug, because the reference dhcp sends its requests through the
// container interface.
func (a *adding) ask(ctx context.Context) error {
	if !a.ipam.delegates() {
		return nil
	}
	result, err := a.askPlugin(ctx)
	if err != nil {
		return err
	}
	if err := a.accept(result); err != nil {
		return err
	}
	if err := a.beGateway(ctx); err != nil { // no addresses were known when the bridge was made
		return err
	}
	return a.routeHosts()
}

// askPlugin calls the delegated IPAM plugin and decodes its result. If that is this program as static, nothing is started.
func (a *adding) askPlugin(ctx context.Context) (*types100.Result, error) {
	if a.ipam.static != nil {
		return staticResult(a.ipam.static), nil
	}
	out, err := within(ctx, a.ipam.plugin).Call(ctx, "ADD", a.req.Config)
	a.ipam.asked, a.ipam.refused = ran(err), errors.Is(err, delegate.ErrRefused)
	if errors.Is(err, delegate.ErrInterrupted) {
		err = fmt.Errorf("%w: %w", errInterrupted, err)
	}
	if err != nil {
		return nil, err
	}
	result, err := config.DecodeResult(out, a.cfg.CNIVersion)
	if err != nil {
		err = a.ipam.plugin.Garbled(err)
	}
	return result, err
}

// delegatedIPAM is the delegated IPAM plugin of an ADD, and how its call ended.
type delegatedIPAM struct {
	plugin  *delegate.Plugin // nil for none
	static  *config.Static   // this program is the plugin, static; then plugin is nil
	asked   bool             // it was started: it may have reserved addresses, whatever it printed
	refused bool             // it printed a CNI error
}

// delegates reports whether the addresses come from a delegated IPAM plugin.
func (d *delegatedIPAM) delegates() bool { return d.plugin != nil || d.static != nil }

// String names the plugin, for errors.
func (d *delegatedIPAM) String() string {
	if d.static != nil {
		return "IPAM plugin " + d.static.IPAMType
	}
	return d.plugin.String()
}

// accept checks the result of the delegated IPAM plugin and saves it in the record and in a.cfg.IPAM: later steps do not distinguish it
// from that of the built-in IPAM.
func (a *adding) accept(result *types100.Result) (err error) {
	if a.on, err = a.host.Addresses(a.gate.Index); err != nil {
		return err
	}
	addresses, err := a.acceptAddresses(result.IPs)
	if err != nil {
		return fmt.Errorf("%s %w: %w", &a.ipam, errUnusable, err)
	}
	routes, err := acceptRoutes(result)
	if err == nil {
		err = a.refuseReserved(addresses, routes)
	}
	if err != nil {
		return fmt.Errorf("%s %w: %w", &a.ipam, errUnusable, err)
	}
	a.cfg.IPAM = &config.IPAM{Routes: routes}
	if err := a.routesNear(routesOf(a.cfg, addresses), addresses); err != nil {
		return fmt.Errorf("%s %w: %w", &a.ipam, errUnusable, err)
	}
	if a.cfg.DNS.IsEmpty() {
		a.cfg.DNS = result.DNS
	}
	a.record.Addresses, a.record.IPAM = addresses, store.IPAMDone
	if err := a.state.Save(a.record); err != nil {
		return err
	}
	if err := a.complete(); err != nil {
		return err
	}
	return a.state.Save(a.record)
}

// acceptAddresses returns the addresses of a result, or an error for addresses that the built-in IPAM never assigns. No address at all
// is an error, as in the reference bridge.
func (a *adding) acceptAddresses(ips []*types100.IPConfig) ([]store.Address, error) {
	if len(ips) == 0 {
		return nil, errors.New("it contains no IP address")
	}
	seen := map[netip.Addr]bool{}
	var addresses []store.Address
	for _, ip := range ips {
		address, err := acceptAddress(ip)
		if err != nil {
			return nil, err
		}
		if a.cfg.IsGateway {
			if address, err = a.asGateway(address); err != nil {
				return nil, err
			}
		}
		if seen[address.Address.Addr()] {
			return nil, fmt.Errorf("IP address %s occurs twice", address.Address.Addr())
		}
		const minMTU6 = 1280 // RFC 8200 section 5; below it the kernel disables IPv6 on a link
		if address.Address.Addr().Is6() && a.mtu() < minMTU6 {
			return nil, fmt.Errorf("IPv6 address %s needs an MTU of at least %d, and the interface has %d", address.Address.Addr(), minMTU6, a.mtu())
		}
		seen[address.Address.Addr()] = true
		addresses = append(addresses, address)
	}
	return addresses, nil
}

// AddressOf returns an address of a result; false if it is no unicast address with a prefix length.
func AddressOf(ip *types100.IPConfig) (store.Address, bool) {
	address, err := acceptAddress(ip)
	return address, err == nil
}

func acceptAddress(ip *types100.IPConfig) (store.Address, error) {
	prefix, ok := prefixOf(ip.Address)
	if !ok {
		return store.Address{}, fmt.Errorf("%q is not an IP address with a prefix length", ip.Address.String())
	}
	if !isUnicast(prefix.Addr()) {
		return store.Address{}, fmt.Errorf("%s is not a unicast address", prefix.Addr())
	}
	address := store.Address{Address: prefix}
	if len(ip.Gateway) == 0 {
		return address, nil
	}
	gateway, ok := netip.AddrFromSlice(ip.Gateway)
	address.Gateway = gateway.Unmap()
	if !ok || !isUnicast(address.Gateway) || address.Gateway.Is4() != prefix.Addr().Is4() {
		return address, fmt.Errorf("gateway %[2]s of %[1]s is not a unicast address of the same family", prefix, ip.Gateway)
	}
	return address, nil
}

// asGateway adds the gateway to an address of a network with isGateway. Like the reference bridge it takes the first address of the
// subnet if IPAM returns none. A gateway outside of the subnet is an error, because isGateway puts it on the bridge (see config). The
// gateway that one container requests (GATEWAY of CNI_ARGS, which the reference static returns) does not change a bridge that
// already has an address in the subnet.
func (a *adding) asGateway(address store.Address) (store.Address, error) {
	subnet, own := address.Address.Masked(), a.bridgeIn(address.Address)
	switch {
	case !address.Gateway.IsValid() && own.IsValid() && a.gate.Ours:
		address.Gateway = own
	case !address.Gateway.IsValid() && !subnet.IsSingleIP():
		address.Gateway = subnet.Addr().Next()
	case own.IsValid() && slices.Contains(a.cfg.Args.Gateways, address.Gateway):
		asked := address.Gateway
		address.Gateway = own
		overrideGateway(&address, asked)
	}
	switch {
	case !address.Gateway.IsValid():
		return address, fmt.Errorf("%s has no gateway, and isGateway needs one for a single address", address.Address)
	case address.Gateway == address.Address.Addr():
		return address, fmt.Errorf("%s is the address of its own gateway", address.Address)
	case !subnet.IsSingleIP() && !subnet.Contains(address.Gateway):
		return address, fmt.Errorf("gateway %s is not in subnet %s, and isGateway adds it to the bridge", address.Gateway, subnet)
	}
	return address, nil
}

// bridgeIn returns the address of the bridge in the subnet of address, with the same prefix length; the zero Addr if it has none.
func (a *adding) bridgeIn(address netip.Prefix) netip.Addr {
	for _, has := range a.on {
		if !address.IsSingleIP() && has.Masked() == address.Masked() {
			return has.Addr()
		}
	}
	return netip.Addr{}
}

func acceptRoutes(result *types100.Result) ([]config.Route, error) {
	var routes []config.Route
	for _, p := range result.Routes {
		dst, ok := prefixOf(p.Dst)
		if !ok {
			return nil, fmt.Errorf("route destination %q is not a subnet", p.Dst.String())
		}
		r := config.Route{
			Dst: dst.Masked(), MTU: p.MTU, AdvMSS: p.AdvMSS, Priority: p.Priority, Table: p.Table, Scope: p.Scope,
		}
		if err := acceptGateway(&r, p.GW); err != nil {
			return nil, err
		}
		routes = append(routes, r)
	}
	return routes, nil
}

func acceptGateway(r *config.Route, gw net.IP) error {
	if len(gw) == 0 {
		return nil
	}
	addr, _ := netip.AddrFromSlice(gw)
	if r.GW = addr.Unmap(); r.GW.IsUnspecified() { // an on-link route in DHCP (RFC 3442)
		onLink := 253 // RT_SCOPE_LINK
		r.GW, r.Scope = netip.Addr{}, &onLink
		return nil
	}
	if !isUnicast(r.GW) || r.GW.Is4() != r.Dst.Addr().Is4() {
		return fmt.Errorf("gateway %[2]s of the route to %[1]s is not a unicast address of the same family", r.Dst, gw)
	}
	return nil
}

// refuseReserved applies the rules for addresses of the pool to addresses of a delegated plugin. It reads the bridge again: plug may
// have created it, and the gateways of the routes were not known before.
func (a *adding) refuseReserved(addresses []store.Address, routes []config.Route) error {
	rules := newAddressRules(routes)
	rules.mates = a.may.mates
	if err := rules.reserveBridge(a.host, a.gate, a.on, familiesOf(a.cfg)); err != nil {
		return err
	}
	for _, address := range addresses {
		rules.reserve(address.Gateway, errors.New("is the gateway of its own result"))
	}
	for _, address := range addresses {
		if why := rules.refuse(address.Address); why != nil {
			return fmt.Errorf("%s %w: it %w", address.Address, errReserved, why)
		}
	}
	return nil
}
