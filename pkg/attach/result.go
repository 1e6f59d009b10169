package attach

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"

	"github.com/containernetworking/cni/pkg/types"
	types100 "github.com/containernetworking/cni/pkg/types/100"

	"github.com/patchbay-cni/patchbay/pkg/config"
	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// result is bridge, host end, container end, in the order of the reference bridge; ips point
// to the third. In a chain the bridge is added to what was there.
func (a *adding) result() *types100.Result {
	if a.chained != nil {
		return a.chainedResult()
	}
	mtu := a.mtu()
	r := &types100.Result{
		CNIVersion: types100.ImplementedSpecVersion,
		Interfaces: []*types100.Interface{
			bridgeInterface(a.bridge),
			{Name: a.names.hostLink, Mac: macText(a.names.hostMAC), Mtu: mtu},
			{Name: a.req.IfName, Mac: a.record.MAC, Mtu: mtu, Sandbox: a.req.Netns},
		},
		DNS: a.cfg.DNS,
	}
	fillAddresses(r, a.cfg, given{a.record.Addresses, a.routes, 2})
	return r
}

// given is what a container got.
type given struct {
	addresses []store.Address
	routes    []link.Route // as applied; none if that is another plugin's work
	to        int          // index of the interface in the result; -1 for none
}

func bridgeInterface(b *link.Bridge) *types100.Interface {
	return &types100.Interface{Name: b.Name, Mac: macText(b.MAC), Mtu: b.MTU}
}

// fillAddresses adds what IPAM gave. Routes are those of the configuration as they were
// written, a gateway only where one was; what changed on the way (a metric) is told.
func fillAddresses(r *types100.Result, cfg *config.Config, given given) {
	for _, address := range given.addresses {
		ip := &types100.IPConfig{Address: ipNet(address.Address), Gateway: ipOf(address.Gateway)}
		if given.to >= 0 {
			ip.Interface = types100.Int(given.to)
		}
		r.IPs = append(r.IPs, ip)
	}
	if cfg.IPAM == nil {
		return
	}
	for i, route := range plannedRoutes(cfg, given.addresses) {
		out := cniRoute(route)
		if i < len(given.routes) {
			out.Priority = given.routes[i].Priority
		}
		r.Routes = append(r.Routes, out)
	}
}

// resolveDNS takes the DNS section from IPAM's resolvConf when nothing stronger says it.
func resolveDNS(cfg *config.Config) error {
	if !cfg.DNS.IsEmpty() || cfg.IPAM == nil || cfg.IPAM.ResolvConf == "" {
		return nil
	}
	text, err := os.ReadFile(cfg.IPAM.ResolvConf)
	if err != nil {
		return fmt.Errorf("read ipam.resolvConf: %w", err)
	}
	cfg.DNS = config.ParseResolvConf(text)
	return nil
}

// plannedRoutes are the configured routes and, for a default gateway, one per family that has
// no default route yet. Without a gateway they say "the one of the family", so that one of the
// main table is what would be added.
func plannedRoutes(cfg *config.Config, addresses []store.Address) []config.Route {
	routes := slices.Clone(cfg.IPAM.Routes)
	if !cfg.IsDefaultGateway {
		return routes
	}
	for _, is4 := range []bool{true, false} {
		gateway := firstGateway(addresses, is4)
		has := slices.ContainsFunc(routes, func(r config.Route) bool {
			return r.Dst.Bits() == 0 && r.Dst.Addr().Is4() == is4 && (r.GW.IsValid() || r.Table == nil)
		})
		if gateway.IsValid() && !has {
			routes = append(routes, config.Route{Dst: everything(is4), GW: gateway})
		}
	}
	return routes
}

// routesOf are the planned routes as the kernel shall have them: each with its gateway.
func routesOf(cfg *config.Config, addresses []store.Address) []link.Route {
	planned := plannedRoutes(cfg, addresses)
	routes := make([]link.Route, 0, len(planned))
	for _, p := range planned {
		r := link.Route{Dst: p.Dst, GW: p.GW, MTU: p.MTU, AdvMSS: p.AdvMSS, Priority: p.Priority}
		if !r.GW.IsValid() && !onLink(p.Scope) {
			r.GW = firstGateway(addresses, p.Dst.Addr().Is4())
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

// onLink reports whether a scope says that what the route leads to is on the link itself (253)
// or the host (254): Linux takes no gateway for that.
func onLink(scope *int) bool {
	const link = 253 // RT_SCOPE_LINK
	return scope != nil && *scope >= link
}

func everything(is4 bool) netip.Prefix {
	if is4 {
		return netip.PrefixFrom(netip.IPv4Unspecified(), 0)
	}
	return netip.PrefixFrom(netip.IPv6Unspecified(), 0)
}

func firstGateway(addresses []store.Address, is4 bool) netip.Addr {
	for _, address := range addresses {
		if address.Gateway.IsValid() && address.Gateway.Is4() == is4 {
			return address.Gateway
		}
	}
	return netip.Addr{}
}

// gatewaysOf are the gateways with the prefix length of the addresses they serve, each once.
func gatewaysOf(addresses []store.Address) []netip.Prefix {
	var gateways []netip.Prefix
	for _, address := range addresses {
		gateway := netip.PrefixFrom(address.Gateway, address.Address.Bits())
		if address.Gateway.IsValid() && !slices.Contains(gateways, gateway) {
			gateways = append(gateways, gateway)
		}
	}
	return gateways
}

// overrideGateways gives an address the requested gateway that is in its subnet (GATEWAY of
// CNI_ARGS, as the reference static has it).
func overrideGateways(addresses []store.Address, requested []netip.Addr) {
	for i := range addresses {
		for _, gateway := range requested {
			if addresses[i].Address.Contains(gateway) {
				addresses[i].Gateway = gateway
			}
		}
	}
}

func prefixes(addresses []store.Address) []netip.Prefix {
	var out []netip.Prefix
	for _, address := range addresses {
		out = append(out, address.Address)
	}
	return out
}

func cniRoute(r config.Route) *types.Route {
	return &types.Route{
		Dst: ipNet(r.Dst), GW: ipOf(r.GW), MTU: r.MTU, AdvMSS: r.AdvMSS,
		Priority: r.Priority, Table: r.Table, Scope: r.Scope,
	}
}

func ipOf(addr netip.Addr) net.IP {
	if !addr.IsValid() {
		return nil
	}
	return addr.AsSlice()
}

func ipNet(prefix netip.Prefix) net.IPNet {
	return net.IPNet{IP: prefix.Addr().AsSlice(), Mask: net.CIDRMask(prefix.Bits(), prefix.Addr().BitLen())}
}

// printResult writes a result, whole or not at all, in the form of a version of the
// specification.
func printResult(out io.Writer, result *types100.Result, cniVersion string) error {
	converted, err := result.GetAsVersion(cniVersion)
	if err != nil {
		return fmt.Errorf("convert result to version %s: %w", cniVersion, err)
	}
	var b bytes.Buffer
	if err := converted.PrintTo(&b); err != nil {
		return fmt.Errorf("encode result: %w", err)
	}
	b.WriteByte('\n')
	if _, err := out.Write(b.Bytes()); err != nil {
		return fmt.Errorf("write result: %w", errors.Join(errOutput, err))
	}
	return nil
}
