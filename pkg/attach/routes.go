package attach

import (
	"net"
	"net/netip"
	"slices"

	"github.com/patchbay-cni/patchbay/pkg/config"
	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// routesOf returns the planned routes for the kernel: each with its gateway.
func routesOf(cfg *config.Config, addresses []store.Address) []link.Route {
	planned := plannedRoutes(cfg, addresses)
	routes := make([]link.Route, 0, len(planned))
	for _, p := range planned {
		r := link.Route{Dst: p.Dst, GW: p.GW, MTU: p.MTU, AdvMSS: p.AdvMSS, Priority: p.Priority}
		if !r.GW.IsValid() && !onLink(p.Scope) {
			r.GW = store.FirstGateway(addresses, p.Dst.Addr().Is4())
		}
		if p.Table != nil {
			r.Table = *p.Table
		}
		if p.Scope != nil {
			r.Scope = *p.Scope
		}
		routes = append(routes, r)
	}
	return routes
}

// plannedRoutes returns the configured routes and, with isDefaultGateway, a default route for each family that has none yet. A configured
// default route in another table counts only if it names a gateway.
func plannedRoutes(cfg *config.Config, addresses []store.Address) []config.Route {
	routes := slices.Clone(cfg.IPAM.Routes)
	if !cfg.IsDefaultGateway {
		return withGatewaysOf(cfg.SBR, routes)
	}
	for _, is4 := range []bool{true, false} {
		gateway := store.FirstGateway(addresses, is4)
		has := slices.ContainsFunc(routes, func(r config.Route) bool {
			return r.Dst.Bits() == 0 && r.Dst.Addr().Is4() == is4 && (r.GW.IsValid() || r.Table == nil)
		})
		if gateway.IsValid() && !has {
			routes = append(routes, config.Route{Dst: everything(is4), GW: gateway})
		}
	}
	return withGatewaysOf(cfg.SBR, routes)
}

// withGatewaysOf gives default routes the gateways of sbr.gateways.
func withGatewaysOf(sbr *config.SBR, routes []config.Route) []config.Route {
	for i, r := range routes {
		if sbr != nil && r.Dst.Bits() == 0 && r.Table == nil {
			routes[i].GW, _ = sbr.Gateway(r.Dst.Addr().Is4(), r.GW)
		}
	}
	return routes
}

// onLink reports whether a scope is link (253), host (254) or nowhere (255): Linux accepts no gateway for such a route.
func onLink(scope *int) bool {
	const link = 253 // RT_SCOPE_LINK
	return scope != nil && *scope >= link
}

// everything returns the destination of a default route.
func everything(is4 bool) netip.Prefix {
	if is4 {
		return netip.PrefixFrom(netip.IPv4Unspecified(), 0)
	}
	return netip.PrefixFrom(netip.IPv6Unspecified(), 0)
}

// overrideGateways sets the requested gateway (GATEWAY of CNI_ARGS, as in the reference static) for the addresses whose subnet contains
// it. It applies to this container alone: the bridge keeps the gateway of the network.
func overrideGateways(addresses []store.Address, requested []netip.Addr) {
	for i := range addresses {
		for _, gateway := range requested {
			if addresses[i].Address.Contains(gateway) {
				overrideGateway(&addresses[i], gateway)
			}
		}
	}
}

// overrideGateway sets the gateway of the container. The record also keeps the gateway of the network if that differs, for the bridge.
func overrideGateway(address *store.Address, gateway netip.Addr) {
	if own := address.NetworkGateway(); own != gateway {
		address.BridgeGateway = own
	}
	address.Gateway = gateway
}

func hasFamily(prefixes []netip.Prefix, is4 bool) bool {
	return slices.ContainsFunc(prefixes, func(p netip.Prefix) bool { return p.Addr().Is4() == is4 })
}

// prefixOf converts a net.IPNet. It is not ok if address and mask are of different families.
func prefixOf(n net.IPNet) (netip.Prefix, bool) {
	addr, ok := netip.AddrFromSlice(n.IP)
	bits, size := n.Mask.Size()
	if addr = addr.Unmap(); size == 128 && addr.Is4() {
		return netip.Prefix{}, false
	}
	return netip.PrefixFrom(addr, bits), ok && size == addr.BitLen()
}

func isUnicast(addr netip.Addr) bool {
	return addr.IsValid() && !addr.IsMulticast() && !addr.IsLoopback() && !addr.IsUnspecified() &&
		addr != netip.AddrFrom4([4]byte{255, 255, 255, 255})
}

// onePair reports whether a and b are peers. Both directions are compared, because an index is unique only in its own namespace.
func onePair(a, b *link.Link) bool { return a.Peer == b.Index && b.Peer == a.Index }
