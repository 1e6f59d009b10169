package config

import (
	"net/netip"
	"slices"
)

// Masq is what the keys of masquerading ask for.
type Masq struct {
	IPv4, IPv6  bool           // which addresses of a container; both unless masqFamilies says less
	Exclude     []netip.Prefix // destinations that see the container's own address
	RandomFully bool           // source ports are chosen at random (nft: fully-random)
}

// masq reads them; nil where ipMasq is not true. What was asked for with it is checked even so.
func (d *decoder) masq(top section) *Masq {
	m := &Masq{
		Exclude:     d.prefixes(top, "masqExclude"),
		RandomFully: d.flag(top, "randomFully"),
	}
	families := d.texts(top, "masqFamilies")
	for _, family := range families {
		if family != "ipv4" && family != "ipv6" {
			d.fail(invalid("masqFamilies", `give a list of "ipv4" and "ipv6"`, "%q is no family", family))
		}
	}
	m.IPv4 = len(families) == 0 || slices.Contains(families, "ipv4")
	m.IPv6 = len(families) == 0 || slices.Contains(families, "ipv6")
	// Both of the reference's are accepted, so that a conflist moves by one word.
	backend := d.text(top, "ipMasqBackend")
	if !slices.Contains([]string{"", "nftables", "iptables"}, backend) {
		d.fail(invalid("ipMasqBackend", `give "nftables" or "iptables", or leave the key out; Patchbay uses nftables`, "%q is not known", backend))
	}
	if !d.flag(top, "ipMasq") {
		return nil
	}
	return m
}
