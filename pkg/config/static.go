package config

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/containernetworking/cni/pkg/types"
	types100 "github.com/containernetworking/cni/pkg/types/100"
)

// Static is a configuration for the IPAM plugin static: addresses that it returns as they are, also if another container has them.
type Static struct {
	Ident
	Addresses  []StaticAddress
	Routes     []Route
	DNS        types.DNS
	PrevResult *types100.Result // nil if there is none
}

// StaticAddress is an address with the prefix length of its subnet, and its gateway if one is configured.
type StaticAddress struct {
	Address netip.Prefix
	Gateway netip.Addr
}

// ParseStatic decodes and checks a configuration of the IPAM plugin static and the value of CNI_ARGS. Every error is an *Error.
//
// The addresses are ipam.addresses and those of IP in CNI_ARGS, which alone GATEWAY applies to; args.cni.ips replaces them, and runtimeConfig.ips replaces
// these, as in the reference plugin.
func ParseStatic(data []byte, args string) (*Static, error) {
	top, bad := object(data)
	if bad != nil {
		return nil, bad
	}
	d := &decoder{}
	c := &Config{Ident: ident(d, top, Called{})}
	d.network(top, c)
	given := d.args(args)
	s := d.inner(top, "ipam")
	static := &Static{Ident: c.Ident, Routes: d.routes(s), DNS: d.dnsOf(d.inner(s, "dns"))}
	static.Addresses = d.staticAddresses(top, s, given, prefixArgs(args))
	d.atMostDNS("ipam.dns", static.DNS)
	d.onePerFamily(static)
	static.PrevResult = d.prevResult(top, static.CNIVersion)
	if d.err != nil {
		return nil, d.err
	}
	return static, nil
}

// dnsOf decodes DNS settings with the names of a result (CNI SPEC section 5).
func (d *decoder) dnsOf(s section) types.DNS {
	return types.DNS{
		Nameservers: d.addresses(s, "nameservers"), Domain: d.text(s, "domain"),
		Search: d.texts(s, "search"), Options: d.texts(s, "options"),
	}
}

// staticAddresses returns the addresses of the source with the highest precedence.
func (d *decoder) staticAddresses(top, s section, given Args, prefixes []netip.Prefix) []StaticAddress {
	for _, from := range []section{d.inner(top, "runtimeConfig"), d.inner(d.inner(top, "args"), "cni")} {
		if list := d.texts(from, "ips"); len(list) > 0 {
			return d.withLength(from.path+"ips", list)
		}
	}
	var all []StaticAddress
	for _, one := range d.inners(s, "addresses", maxIPs) {
		if a := d.withLength(one.path+"address", []string{d.text(one, "address")}); len(a) > 0 {
			all = append(all, StaticAddress{a[0].Address, d.address(one, "gateway")})
		}
	}
	if len(prefixes) != len(given.IPs) {
		d.fail(environment("IP: an address has no prefix length", "give addresses like 10.1.2.3/24: the plugin static knows no subnet"))
	}
	for _, prefix := range prefixes {
		all = append(all, StaticAddress{prefix, gatewayOf(prefix, given.Gateways)})
	}
	return all
}

// gatewayOf returns the last of the gateways that is in the subnet of an address, the zero Addr if there is none.
func gatewayOf(prefix netip.Prefix, gateways []netip.Addr) (of netip.Addr) {
	for _, gateway := range gateways {
		if prefix.Contains(gateway) {
			of = gateway
		}
	}
	return of
}

// prefixArgs returns the entries of IP in CNI_ARGS that have a prefix length, which every other plugin ignores.
func prefixArgs(args string) (all []netip.Prefix) {
	for pair := range strings.SplitSeq(args, ";") {
		list, found := strings.CutPrefix(pair, "IP=")
		if !found || list == "" {
			continue
		}
		all = nil // as for a key that is given twice
		for text := range strings.SplitSeq(list, ",") {
			if prefix, err := parsePrefix(strings.TrimSpace(text)); err == nil {
				all = append(all, prefix)
			}
		}
	}
	return all
}

// withLength decodes addresses with a prefix length.
func (d *decoder) withLength(key string, list []string) (all []StaticAddress) {
	if !d.atMost(key, len(list), maxIPs) {
		return nil
	}
	for _, text := range list {
		prefix, err := parsePrefix(text)
		if err != nil {
			d.fail(invalid(key, "give an address with a prefix length, like 10.1.2.3/24", "%q is not in CIDR notation", text))
			return nil
		}
		d.unicast(key, prefix.Addr(), prefix)
		all = append(all, StaticAddress{Address: prefix})
	}
	return all
}

// onePerFamily rejects a second address of a family for a result that has one ip4 and one ip6.
func (d *decoder) onePerFamily(s *Static) {
	isIPv6 := func(a StaticAddress) bool { return a.Address.Addr().Is6() }
	count6 := len(s.Addresses) - len(slices.DeleteFunc(slices.Clone(s.Addresses), isIPv6))
	if singleAddressResult(s.CNIVersion) && (count6 > 1 || len(s.Addresses)-count6 > 1) {
		d.fail(invalid("ipam.addresses", "use cniVersion 0.3.1 or later", "cniVersion %s supports one address per family only", s.CNIVersion))
	}
}
