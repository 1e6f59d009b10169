package nft

import "net/netip"

// ipFamily is a version of IP: the skeleton has a set, or a rule, for each.
type ipFamily byte

const (
	ipv4 ipFamily = 4
	ipv6 ipFamily = 6
)

// families returns both families, IPv4 first.
func families() []ipFamily { return []ipFamily{ipv4, ipv6} }

// familyOf returns the family of an address. An IPv4-mapped IPv6 address is IPv6.
func familyOf(addr netip.Addr) ipFamily {
	if addr.Is4() {
		return ipv4
	}
	return ipv6
}

// String returns "4" or "6", with which the names of sets end.
func (f ipFamily) String() string {
	if f == ipv4 {
		return "4"
	}
	return "6"
}

// field returns the type of an address in a key.
func (f ipFamily) field() field {
	if f == ipv4 {
		return fieldIPv4
	}
	return fieldIPv6
}
