package config

import (
	"net/netip"
	"slices"
)

// outbound decodes outboundAddr4 and outboundAddr6 into the masquerade options, which
// it creates for that family alone if ipMasq is not true.
func (d *decoder) outbound(top section, c *Config) {
	for _, family := range []struct {
		key, name, text string
		is4             bool
	}{{"outboundAddr4", "ipv4", d.text(top, "outboundAddr4"), true}, {"outboundAddr6", "ipv6", d.text(top, "outboundAddr6"), false}} {
		addr := d.outboundAddr(family.key, family.text, family.is4)
		if !addr.IsValid() {
			continue
		}
		if families := d.texts(top, "masqFamilies"); len(families) > 0 && !slices.Contains(families, family.name) {
			d.fail(invalid(family.key, "add it there, or leave one of the two keys out", `masqFamilies does not contain %q`, family.name))
		}
		if c.IPAMType == "" {
			d.fail(invalid(family.key, `give the network addresses with "ipam", or leave the key out`, "network %s has no ipam, and so no address to replace", c.Name))
		}
		if c.Masq == nil {
			c.Masq = &Masq{Exclude: d.prefixes(top, "masqExclude"), RandomFully: d.flag(top, "randomFully")}
		}
		if family.is4 {
			c.Masq.IPv4, c.Masq.Outbound4 = true, addr
		} else {
			c.Masq.IPv6, c.Masq.Outbound6 = true, addr
		}
	}
}

// outboundAddr decodes an address that can be the source of a packet on its way to
// another host; the zero Addr for an empty text.
func (d *decoder) outboundAddr(key, text string, is4 bool) netip.Addr {
	if text == "" {
		return netip.Addr{}
	}
	version, other := 4, "outboundAddr6"
	if !is4 {
		version, other = 6, "outboundAddr4"
	}
	addr, err := netip.ParseAddr(text)
	switch {
	case err != nil:
		d.fail(invalid(key, "give one address, without a prefix length", "%q is not an IP address", text))
	case addr.Is4() != is4 || addr.Is4In6():
		d.fail(invalid(key, "give an address of that family, or use "+other, "%q is not an IPv%d address", text, version))
	case addr.Zone() != "" || addr.IsLinkLocalUnicast() || addr.IsLoopback() || addr.IsUnspecified() || addr.IsMulticast() || addr == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		d.fail(invalid(key, "give a unicast address that other hosts can reply to", "%q cannot be the source of a packet to another host", text))
	}
	return addr
}
