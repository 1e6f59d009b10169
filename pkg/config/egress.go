package config

import (
	"fmt"
	"net/netip"
	"slices"
)

// Egress restricts the connections that containers of a network open to destinations
// in Allow, which are sorted, none within another, and to the network's name servers.
type Egress struct {
	Allow []netip.Prefix
}

// egress decodes the section "egress"; nil if nothing is restricted: the section is
// absent, or its default is "accept". An empty section or list allows nothing. Unknown
// members are errors, because a misspelt one would open what should be closed.
func (d *decoder) egress(top section, c *Config) {
	s := d.inner(top, "egress")
	d.onlyMembers(s, "egress", "allow", "default")
	allow := d.egressAllow(s)
	verdict := d.text(s, "default")
	if !slices.Contains([]string{"", "drop", "accept"}, verdict) {
		d.fail(invalid("egress.default", `give "drop" or "accept"`, "%q is not known", verdict))
	}
	if _, given := top.raw("egress"); !given || verdict == "accept" {
		return
	}
	if c.IPAMType == "" {
		d.fail(invalid("egress", `give the network addresses with "ipam", or leave the key out`, "network %s has no ipam, and containers are recognised by their addresses", c.Name))
	}
	c.Egress = &Egress{Allow: allow}
}

// egressAllow decodes egress.allow.
func (d *decoder) egressAllow(s section) []netip.Prefix {
	list := d.texts(s, "allow")
	if !d.atMost("egress.allow", len(list), maxEgress) {
		return nil
	}
	var all []netip.Prefix
	for i, text := range list {
		all = append(all, d.egressPrefix(fmt.Sprintf("egress.allow[%d]", i), text))
	}
	slices.SortFunc(all, comparePrefixes)
	var merged []netip.Prefix // sorted, a prefix is followed by all that it contains
	for _, p := range all {
		if n := len(merged); n == 0 || !merged[n-1].Contains(p.Addr()) {
			merged = append(merged, p)
		}
	}
	return merged
}

// comparePrefixes orders prefixes by address, then by length.
func comparePrefixes(a, b netip.Prefix) int {
	if c := a.Addr().Compare(b.Addr()); c != 0 {
		return c
	}
	return a.Bits() - b.Bits()
}

// egressPrefix decodes one destination. A prefix with bits behind its length is an
// error: 10.1.2.3/8 would allow 16 million addresses where one may be meant.
func (d *decoder) egressPrefix(key, text string) netip.Prefix {
	if addr, err := netip.ParseAddr(text); err == nil && addr.Zone() == "" {
		addr = addr.Unmap()
		return netip.PrefixFrom(addr, addr.BitLen())
	}
	p, err := netip.ParsePrefix(text)
	switch {
	case err != nil:
		d.fail(invalid(key, "give a CIDR such as 10.0.0.0/8, or an address; names are not resolved", "%q is not a CIDR", text))
	case p.Addr().Is4In6():
		d.fail(invalid(key, "give it as an IPv4 CIDR", "%q is an IPv4-mapped IPv6 prefix, which no packet has as destination", text))
	case p != p.Masked():
		d.fail(invalid(key, fmt.Sprintf("give %s, or %s for the address alone", p.Masked(), p.Addr()), "%q has bits set behind its prefix length", text))
	}
	return p
}
