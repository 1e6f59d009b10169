package config

import (
	"encoding/json"
	"errors"
	"net/netip"
	"slices"

	"github.com/patchbay-cni/patchbay/pkg/ipam"
)

// ipam reads the section "ipam"; nil for a network without addresses, and for another plugin's.
func (d *decoder) ipam(top section, c *Config) *IPAM {
	if d.err != nil || c.IPAMType == "" {
		d.ipamWithoutType(top)
		return nil
	}
	if c.Foreign() {
		return nil // its keys are its own business
	}
	s, runtime := d.inner(top, "ipam"), d.inner(top, "runtimeConfig")
	out := &IPAM{
		Sticky:     d.flag(s, "sticky"),
		ResolvConf: d.text(s, "resolvConf"),
		Routes:     d.routes(s),
		Gateways:   c.Args.Gateways,
	}
	out.Pool.Exclude = d.prefixes(s, "exclude")
	// A capability's ranges come before the configured ones, as in host-local.
	out.Pool.Sets = append(d.sets(runtime, "ipRanges"), d.legacySet(s)...)
	out.Pool.Sets = append(out.Pool.Sets, d.sets(s, "ranges")...)
	out.Requested = d.requested(top, runtime, c.Args.IPs)
	if out.ResolvConf != "" {
		d.absolute("ipam.resolvConf", out.ResolvConf)
	}
	d.completePool(&out.Pool, c.CNIVersion)
	d.gateways(out)
	return out
}

// gateways looks at the gateways asked for by CNI_ARGS: each must be in a subnet, and no
// container may get it as its own address.
func (d *decoder) gateways(c *IPAM) {
	for _, gateway := range c.Gateways {
		inSubnet := slices.ContainsFunc(slices.Concat(c.Pool.Sets...), func(r ipam.Range) bool { return r.Subnet.Contains(gateway) })
		if !inSubnet {
			d.fail(environment("GATEWAY: %s is in no subnet of the network", "ask for a gateway within a subnet of ipam.ranges, or for none", gateway))
		}
		if slices.Contains(c.Requested, gateway) {
			d.fail(environment("GATEWAY: %s is asked for as the container's address too", "ask for two addresses", gateway))
		}
		c.Pool.Exclude = append(c.Pool.Exclude, netip.PrefixFrom(gateway, gateway.BitLen()))
	}
}

// ipamWithoutType checks at least that the section is an object.
func (d *decoder) ipamWithoutType(top section) {
	if s := d.inner(top, "ipam"); len(s.fields) > 0 {
		if _, found := s.raw("type"); !found {
			d.fail(invalid("ipam.type", `set it to "`+TypeName+`", or leave "ipam" out for a network without addresses`, "missing"))
		}
	}
}

const rangeHelp = "a range needs a subnet without host bits and addresses within it; ranges of a set are of one family, no two overlap, and exclude leaves something of each set"

// completePool checks the ranges against each other.
func (d *decoder) completePool(pool *ipam.Pool, cniVersion string) {
	if d.err != nil {
		return
	}
	if len(pool.Sets) == 0 {
		d.fail(invalid("ipam.ranges", `give at least one range: "ranges": [[{"subnet": "10.1.2.0/24"}]]`, "no IP ranges specified"))
		return
	}
	if err := pool.Complete(); err != nil {
		d.fail(invalid("ipam.ranges", rangeHelp, "%v", err))
		return
	}
	if beforeLists(cniVersion) {
		d.oneSetPerFamily(pool, cniVersion)
	}
}

func (d *decoder) oneSetPerFamily(pool *ipam.Pool, cniVersion string) {
	seen := map[bool]bool{}
	for _, set := range pool.Sets {
		if seen[set.Is4()] {
			d.fail(invalid("ipam.ranges", "use cniVersion 0.3.1 or later", "cniVersion %s knows one address per family only", cniVersion))
		}
		seen[set.Is4()] = true
	}
}

// legacySet is host-local's single range written straight into the section.
func (d *decoder) legacySet(s section) []ipam.Set {
	if _, found := s.raw("subnet"); !found {
		return nil
	}
	set := ipam.Set{d.oneRange(s)}
	d.complete("ipam", set)
	return []ipam.Set{set}
}

// complete fills a set's ranges and checks them; key is where they were written.
func (d *decoder) complete(key string, set ipam.Set) {
	if d.err != nil {
		return
	}
	if err := set.Complete(); err != nil {
		d.fail(invalid(key, rangeHelp, "%v", err))
	}
}

func (d *decoder) sets(s section, key string) []ipam.Set {
	lists := value[[][]map[string]json.RawMessage](d, s, key, "a list of lists of ranges")
	sets := make([]ipam.Set, len(lists))
	for i, list := range lists {
		for _, fields := range list {
			sets[i] = append(sets[i], d.oneRange(section{path: s.path + key + ": ", fields: fields}))
		}
		d.complete(s.path+key, sets[i])
	}
	return sets
}

func (d *decoder) oneRange(s section) ipam.Range {
	r := ipam.Range{
		Subnet:  d.prefix(s, "subnet"),
		Start:   d.address(s, "rangeStart"),
		End:     d.address(s, "rangeEnd"),
		Gateway: d.address(s, "gateway"),
	}
	d.unicast(s.path+"subnet", r.Subnet.Addr(), r.Subnet)
	d.unicast(s.path+"gateway", r.Gateway, r.Gateway)
	return r
}

// unicast refuses addresses that no interface can have, or that never leave one; the kernel
// takes some of them. found is how the address was written.
func (d *decoder) unicast(key string, addr netip.Addr, found any) {
	kind := ""
	switch {
	case addr.IsMulticast():
		kind = "multicast"
	case addr.IsLoopback():
		kind = "loopback"
	case addr.IsUnspecified():
		kind = "unspecified"
	}
	if kind != "" {
		d.fail(invalid(key, "give unicast addresses, such as 10.1.2.3 or 2001:db8::3", "%s is %s", found, kind))
	}
}

// requested collects the addresses that were asked for. The three sources add up, as in
// host-local; the same address from two of them is one.
func (d *decoder) requested(top, runtime section, fromArgs []netip.Addr) []netip.Addr {
	cni := d.inner(d.inner(top, "args"), "cni")
	var all []netip.Addr
	for _, s := range []section{runtime, cni} {
		for _, text := range d.texts(s, "ips") {
			all = append(all, d.addrOrPrefix(s.path+"ips", text))
		}
	}
	all = append(all, fromArgs...)
	slices.SortFunc(all, netip.Addr.Compare)
	return slices.Compact(all)
}

// address is an optional IP address without zone; IPv4 in IPv6 form becomes IPv4, as Go's
// net.IP and so host-local print it.
func (d *decoder) address(s section, key string) netip.Addr {
	text := d.text(s, key)
	if text == "" {
		return netip.Addr{}
	}
	addr, err := netip.ParseAddr(text)
	if err != nil || addr.Zone() != "" {
		d.fail(invalid(s.path+key, "give an address like 10.1.2.3 or 2001:db8::3", "%q is not an IP address", text))
		return netip.Addr{}
	}
	return addr.Unmap()
}

func (d *decoder) prefix(s section, key string) netip.Prefix {
	text := d.text(s, key)
	if text == "" {
		return netip.Prefix{}
	}
	prefix, err := parsePrefix(text)
	if err != nil {
		d.fail(invalid(s.path+key, "give a subnet like 10.1.2.0/24 or 2001:db8::/64", "%q is not a CIDR", text))
	}
	return prefix
}

// parsePrefix refuses IPv4 in IPv6 form, as host-local does: it would hold no IPv4 address.
func parsePrefix(text string) (netip.Prefix, error) {
	prefix, err := netip.ParsePrefix(text)
	if err == nil && prefix.Addr().Is4In6() {
		return netip.Prefix{}, errors.New("IPv4 in IPv6 form")
	}
	return prefix, err
}

// prefixes is a list of CIDRs and addresses, an address being a CIDR of its own.
func (d *decoder) prefixes(s section, key string) []netip.Prefix {
	var out []netip.Prefix
	for _, text := range d.texts(s, key) {
		if prefix, err := parsePrefix(text); err == nil {
			out = append(out, prefix.Masked())
			continue
		}
		addr, err := netip.ParseAddr(text)
		if err != nil || addr.Zone() != "" {
			d.fail(invalid(s.path+key, "give addresses or CIDRs", "%q is neither an IP address nor a CIDR", text))
			continue
		}
		out = append(out, netip.PrefixFrom(addr.Unmap(), addr.Unmap().BitLen()))
	}
	return out
}

// addrOrPrefix is ip[/len]; the length is for plugins that need one and says nothing here.
func (d *decoder) addrOrPrefix(key, text string) netip.Addr {
	if prefix, err := netip.ParsePrefix(text); err == nil {
		return prefix.Addr().Unmap()
	}
	addr, err := netip.ParseAddr(text)
	if err != nil || addr.Zone() != "" {
		d.fail(invalid(key, "give addresses like 10.1.2.3 or 10.1.2.3/24", "%q is not an IP address", text))
	}
	return addr.Unmap()
}
