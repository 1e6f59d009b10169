package config

import (
	"net/netip"
	"slices"
)

// Masq is the masquerade options of a network.
type Masq struct {
	IPv4, IPv6  bool           // families to masquerade (masqFamilies; both by default)
	Exclude     []netip.Prefix // destinations that see the container's address
	RandomFully bool           // choose source ports at random (nft: fully-random)
	Outbound4   netip.Addr     // source address instead of that of the host (outboundAddr4); not set for that of the host
	Outbound6   netip.Addr     // the same for IPv6
}

// masq decodes the masquerade options; nil unless ipMasq is true. They are checked in
// both cases.
func (d *decoder) masq(top section) *Masq {
	m := &Masq{
		Exclude:     d.prefixes(top, "masqExclude"),
		RandomFully: d.flag(top, "randomFully"),
	}
	families := d.texts(top, "masqFamilies")
	for _, family := range families {
		if family != "ipv4" && family != "ipv6" {
			d.fail(invalid("masqFamilies", `give a list of "ipv4" and "ipv6"`, "%q is not an address family", family))
		}
	}
	m.IPv4 = len(families) == 0 || slices.Contains(families, "ipv4")
	m.IPv6 = len(families) == 0 || slices.Contains(families, "ipv6")
	// Accept both backends of the reference plugin, so that its conflist can be used unchanged.
	backend := d.text(top, "ipMasqBackend")
	if !slices.Contains([]string{"", "nftables", "iptables"}, backend) {
		d.fail(invalid("ipMasqBackend", `give "nftables" or "iptables", or leave the key out; Patchbay uses nftables`, "%q is not known", backend))
	}
	if !d.flag(top, "ipMasq") {
		return nil
	}
	return m
}
