package store

import (
	"net/netip"
	"slices"
)

// Addrs returns the addresses of a record without their prefix lengths; none for a nil record.
func (r *Record) Addrs() []netip.Addr {
	if r == nil {
		return nil
	}
	var addrs []netip.Addr
	for _, a := range r.Addresses {
		addrs = append(addrs, a.Address.Addr())
	}
	return addrs
}

// Prefixes returns addresses as they are configured on an interface.
func Prefixes(addresses []Address) []netip.Prefix {
	var out []netip.Prefix
	for _, a := range addresses {
		out = append(out, a.Address)
	}
	return out
}

// BridgeGateways returns the gateways that a bridge needs for addresses, each once, with the prefix length of the addresses.
func BridgeGateways(addresses []Address) []netip.Prefix {
	var gateways []netip.Prefix
	for _, a := range addresses {
		gateway := netip.PrefixFrom(a.NetworkGateway(), a.Address.Bits())
		if gateway.IsValid() && !slices.Contains(gateways, gateway) {
			gateways = append(gateways, gateway)
		}
	}
	return gateways
}

// FirstGateway returns the first gateway of an address family, the zero Addr if there is none.
func FirstGateway(addresses []Address, is4 bool) netip.Addr {
	for _, a := range addresses {
		if a.Gateway.IsValid() && a.Gateway.Is4() == is4 {
			return a.Gateway
		}
	}
	return netip.Addr{}
}
