package attach

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/patchbay-cni/patchbay/pkg/config"
	"github.com/patchbay-cni/patchbay/pkg/ipam"
	"github.com/patchbay-cni/patchbay/pkg/link"
)

// addressRulesOf reads the rules of a network, once for each verb, after its bridge was read.
func addressRulesOf(p *preflight) (*addressRules, error) {
	var routes []config.Route
	if p.cfg.IPAM != nil {
		routes = p.cfg.IPAM.Routes
	}
	r := newAddressRules(routes)
	if p.cfg.CalledAsIPAM() {
		return r, nil
	}
	r.mates = &bridgeMates{p: p}
	if p.gate == nil {
		return r, nil
	}
	return r, r.reserveBridge(p.host, p.gate, p.on, familiesOf(p.cfg))
}

// familiesOf returns the families of a network's addresses, true for IPv4. A delegated IPAM plugin may assign both.
func familiesOf(cfg *config.Config) []bool {
	if cfg.IPAM == nil {
		return []bool{true, false}
	}
	var families []bool
	for _, set := range cfg.IPAM.Pool.Sets {
		if !slices.Contains(families, set.Is4()) {
			families = append(families, set.Is4())
		}
	}
	return families
}

// addressRules decides whether a container on this bridge may have an address, for every source of addresses: the pool, a requested
// address, a remembered address of an earlier container, and a delegated IPAM plugin.
type addressRules struct {
	reserved map[netip.Addr]error // addresses of the bridge, and gateways, with the reason
	mates    *bridgeMates         // nil if another main plugin creates the interface
}

// newAddressRules returns the rules that follow from the configuration alone: the gateways of ipam.routes. If another main plugin
// creates the interface, there are no others.
func newAddressRules(routes []config.Route) *addressRules {
	r := &addressRules{reserved: map[netip.Addr]error{}}
	r.reserveGateways(routes)
	return r
}

// reserveGateways excludes the gateways of the network's own routes.
func (r *addressRules) reserveGateways(routes []config.Route) {
	for _, route := range routes {
		if route.GW.IsValid() {
			r.reserve(route.GW, fmt.Errorf("is the gateway of this network's route to %s", route.Dst))
		}
	}
}

// reserveBridge excludes the addresses of the bridge, which the caller has read, and the gateways that the host reaches through it, for
// the given families (true for IPv4).
func (r *addressRules) reserveBridge(host *link.Host, b *link.Bridge, has []netip.Prefix, families []bool) error {
	for _, prefix := range has {
		r.reserve(prefix.Addr(), fmt.Errorf("is an address of bridge %s", b.Name))
	}
	for _, is4 := range families {
		gateways, err := host.Gateways(b.Index, is4)
		if err != nil {
			return err
		}
		for _, gateway := range gateways {
			r.reserve(gateway, fmt.Errorf("is a gateway of the host through bridge %s", b.Name))
		}
	}
	return nil
}

// reserve excludes an address. If it is excluded already, the first reason stays.
func (r *addressRules) reserve(addr netip.Addr, why error) {
	if _, known := r.reserved[addr]; !known {
		r.reserved[addr] = why
	}
}

// refuse returns nil if a container may have an address with this prefix length, else the reason, a clause that begins with a verb.
func (r *addressRules) refuse(address netip.Prefix) error {
	if err := Unusable(address); err != nil {
		return err
	}
	return r.refuseHost(address.Addr())
}

// Unusable returns why no container may have an address with this prefix length on any bridge (network or broadcast address), as a
// clause that begins with a verb; nil if one may.
func Unusable(address netip.Prefix) error { return ipam.Edge(address) }

// refuseHost is refuse for an address of a pool, which has no network and broadcast addresses.
func (r *addressRules) refuseHost(addr netip.Addr) error {
	if why := r.reserved[addr]; why != nil {
		return why
	}
	if r.mates == nil {
		return nil
	}
	return r.mates.refuse(addr)
}
