package attach

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/patchbay-cni/patchbay/pkg/config"
	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// gatewaysNear is routesNear for all routes that containers of the network can have.
func (p *preflight) gatewaysNear() error {
	if p.cfg.IPAM == nil {
		return nil
	}
	all := samples(p.cfg)
	routes := routesOf(p.cfg, nil)
	for _, is4 := range []bool{true, false} {
		i := slices.IndexFunc(p.cfg.IPAM.Routes, func(r config.Route) bool {
			return r.Dst.Addr().Is4() == is4 && !r.GW.IsValid() && !onLink(r.Scope)
		})
		if i < 0 {
			continue
		}
		for _, sample := range all { // the gateway of its range
			if gateway := store.FirstGateway([]store.Address{sample}, is4); gateway.IsValid() {
				routes = append(routes, link.Route{Dst: p.cfg.IPAM.Routes[i].Dst, GW: gateway})
			}
		}
	}
	return p.routesNear(routes, all)
}

// routesNear returns an error for a route whose gateway is in no subnet of the network and that the host does not reach over the bridge:
// no host on the bridge would answer the ARP requests of the container. Two cases are accepted without evidence: a gateway within
// an on-link route of the network (scope 253), and a bridge of another owner on which the host has no address, unless the host
// reaches the gateway directly through another interface.
func (p *preflight) routesNear(routes []link.Route, addresses []store.Address) error {
	near := store.Prefixes(addresses)
	if p.cfg.IsGateway {
		near = append(near, store.BridgeGateways(addresses)...)
	}
	for _, r := range p.cfg.IPAM.Routes {
		if onLink(r.Scope) {
			near = append(near, r.Dst)
		}
	}
	known := map[netip.Addr]bool{}
	for _, r := range routes {
		isNear := slices.ContainsFunc(near, func(n netip.Prefix) bool { return n.Masked().Contains(r.GW) })
		if !r.GW.IsValid() || isNear || known[r.GW] || r.GW.Is6() && r.GW.IsLinkLocalUnicast() {
			continue
		}
		reached, err := p.reachedBy(r.GW)
		if err != nil {
			return err
		}
		if reached != "" {
			return fmt.Errorf("route %s: %w %s: the host %s", r, errStrayGateway, p.cfg.Bridge, reached)
		}
		known[r.GW] = true
	}
	return nil
}

// reachedBy describes how the host reaches a gateway other than through the bridge, or returns "" if the gateway can be on the bridge.
func (p *preflight) reachedBy(gateway netip.Addr) (string, error) {
	if p.isApart() || slices.ContainsFunc(p.on, func(on netip.Prefix) bool { return on.Addr() == gateway }) {
		return "", nil
	}
	isStranger := p.gate != nil && !p.gate.Ours && !slices.ContainsFunc(p.on, func(on netip.Prefix) bool {
		return on.Addr().Is4() == gateway.Is4() && !on.Addr().IsLinkLocalUnicast()
	})
	hop, err := p.host.NextHop(gateway)
	switch {
	case errors.Is(err, link.ErrNoRoute) && isStranger:
		return "", nil
	case errors.Is(err, link.ErrNoRoute):
		return "has no route to it", nil
	case err != nil:
		return "", err
	case hop.Local:
		return "has that address on " + hop.Link, nil
	case p.gate != nil && hop.Link == p.gate.Name || hop.Routed && isStranger:
		return "", nil
	}
	return "reaches it through " + hop.Link, nil
}
