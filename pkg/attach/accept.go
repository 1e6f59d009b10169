package attach

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	types100 "github.com/containernetworking/cni/pkg/types/100"

	"github.com/patchbay-cni/patchbay/pkg/config"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// accept takes the result of another IPAM plugin for the attachment's: the record has it from now on, and what comes
// after does not see where it came from.
func (a *adding) accept(out []byte) error {
	result, err := config.DecodeResult(out, a.cfg.CNIVersion)
	if err != nil {
		return a.ipam.plugin.Garbled(err)
	}
	addresses, err := a.acceptAddresses(result.IPs)
	if err != nil {
		return fmt.Errorf("%s %w: %w", a.ipam.plugin, errUnusable, err)
	}
	routes, err := acceptRoutes(result)
	if err != nil {
		return fmt.Errorf("%s %w: %w", a.ipam.plugin, errUnusable, err)
	}
	a.cfg.IPAM = &config.IPAM{Routes: routes}
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

// acceptAddresses refuses what the built-in IPAM would never give, and an answer without an address, as the reference bridge
// does.
func (a *adding) acceptAddresses(ips []*types100.IPConfig) ([]store.Address, error) {
	if len(ips) == 0 {
		return nil, errors.New("no IP address")
	}
	seen := map[netip.Addr]bool{}
	var addresses []store.Address
	for _, ip := range ips {
		address, err := acceptAddress(ip)
		if err != nil {
			return nil, err
		}
		if a.cfg.IsGateway {
			if address, err = asGateway(address); err != nil {
				return nil, err
			}
		}
		if seen[address.Address.Addr()] {
			return nil, fmt.Errorf("%s twice", address.Address.Addr())
		}
		const minMTU6 = 1280 // RFC 8200 section 5; below it the kernel has no IPv6 on a link
		if address.Address.Addr().Is6() && a.mtu() < minMTU6 {
			return nil, fmt.Errorf("%s, which is IPv6, for an MTU of %d", address.Address.Addr(), a.mtu())
		}
		seen[address.Address.Addr()] = true
		addresses = append(addresses, address)
	}
	return addresses, nil
}

func acceptAddress(ip *types100.IPConfig) (store.Address, error) {
	prefix, ok := prefixOf(ip.Address)
	if !ok {
		return store.Address{}, fmt.Errorf("%q, which is no address with a prefix length", ip.Address.String())
	}
	if !isUnicast(prefix.Addr()) {
		return store.Address{}, fmt.Errorf("%s, which is no unicast address", prefix.Addr())
	}
	address := store.Address{Address: prefix}
	if len(ip.Gateway) == 0 {
		return address, nil
	}
	gateway, ok := netip.AddrFromSlice(ip.Gateway)
	address.Gateway = gateway.Unmap()
	if !ok || !isUnicast(address.Gateway) || address.Gateway.Is4() != prefix.Addr().Is4() {
		return address, fmt.Errorf("%s with the gateway %s, which is no unicast address of its family", prefix, ip.Gateway)
	}
	return address, nil
}

// asGateway completes an address for a network whose gateway the host is: the reference bridge takes the first address of
// the subnet if IPAM names none. A gateway elsewhere could not be reached (see config).
func asGateway(address store.Address) (store.Address, error) {
	subnet := address.Address.Masked()
	if !address.Gateway.IsValid() && !subnet.IsSingleIP() {
		address.Gateway = subnet.Addr().Next()
	}
	switch {
	case !address.Gateway.IsValid():
		return address, fmt.Errorf("%s without a gateway, which isGateway needs for a single address", address.Address)
	case address.Gateway == address.Address.Addr():
		return address, fmt.Errorf("%s, which is the gateway's own address", address.Address)
	case !subnet.IsSingleIP() && !subnet.Contains(address.Gateway):
		return address, fmt.Errorf("gateway %s, which is not in subnet %s, and isGateway puts it on the bridge", address.Gateway, subnet)
	}
	return address, nil
}

func acceptRoutes(result *types100.Result) ([]config.Route, error) {
	var routes []config.Route
	for _, p := range result.Routes {
		dst, ok := prefixOf(p.Dst)
		if !ok {
			return nil, fmt.Errorf("a route to %q, which is no subnet", p.Dst.String())
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
	if r.GW = addr.Unmap(); r.GW.IsUnspecified() { // what DHCP says of a route on the link (RFC 3442)
		onLink := 253 // RT_SCOPE_LINK
		r.GW, r.Scope = netip.Addr{}, &onLink
		return nil
	}
	if !isUnicast(r.GW) || r.GW.Is4() != r.Dst.Addr().Is4() {
		return fmt.Errorf("a route to %s by %s, which is no unicast address of its family", r.Dst, gw)
	}
	return nil
}

// prefixOf is what a net.IPNet means; not ok if address and mask do not go together.
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
