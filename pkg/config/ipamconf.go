package config

import (
	"encoding/json"
	"errors"
	"net/netip"
	"slices"

	"github.com/patchbay-cni/patchbay/pkg/ipam"
)

// ipam decodes the section "ipam"; nil for a network without addresses and for a
// delegated IPAM plugin.
func (d *decoder) ipam(top section, c *Config) *IPAM {
	if d.err != nil || c.IPAMType == "" {
		d.ipamWithoutType(top)
		return nil
	}
	if c.DelegatesIPAM() {
		return nil
	}
	s, runtime := d.inner(top, "ipam"), d.inner(top, "runtimeConfig")
	out := &IPAM{
		Sticky:     d.flag(s, "sticky"),
		NoProbe:    !d.flagOr(s, "probe", true),
		ResolvConf: d.text(s, "resolvConf"),
		Routes:     d.routes(s),
		Gateways:   c.Args.Gateways,
	}
	out.Pool.Exclude = d.prefixes(s, "exclude")
	// The ranges of the capability come before those of the configuration, as in host-local.
	out.Pool.Sets = append(d.sets(runtime, "ipRanges"), d.legacySet(s)...)
	out.Pool.Sets = append(out.Pool.Sets, d.sets(s, "ranges")...)
	d.atMost("ipam.ranges", len(slices.Concat(out.Pool.Sets...)), maxRanges)
	out.Requested = d.requested(top, runtime, c.Args.IPs)
	if out.ResolvConf != "" {
		d.absolute("ipam.resolvConf", out.ResolvConf)
	}
	d.completePool(&out.Pool, c.CNIVersion)
	d.gateways(out)
	return out
}

// gateways checks the gateways of CNI_ARGS. Each must be in a subnet of the network,
// and is excluded from the addresses of containers.
func (d *decoder) gateways(c *IPAM) {
	for _, gateway := range c.Gateways {
		inSubnet := slices.ContainsFunc(slices.Concat(c.Pool.Sets...), func(r ipam.Range) bool { return r.Subnet.Contains(gateway) })
		if !inSubnet {
			d.fail(environment("GATEWAY: %s is in no subnet of the network", "request a gateway within a subnet of ipam.ranges, or leave GATEWAY out", gateway))
		}
		if slices.Contains(c.Requested, gateway) {
			d.fail(environment("GATEWAY: %s is also requested as the container's address", "request two different addresses", gateway))
		}
		c.Pool.LeaveOut(gateway)
	}
}

// ipamWithoutType checks a section "ipam" that has no type: it must be an object
// without keys, or with null values only.
func (d *decoder) ipamWithoutType(top section) {
	s := d.inner(top, "ipam")
	if _, found := s.raw("type"); found {
		return
	}
	for key := range s.fields {
		if _, found := s.raw(key); found {
			d.fail(invalid("ipam.type", `set it to "`+TypeName+`", or leave "ipam" out for a network without addresses`, "missing"))
			return
		}
	}
}

const rangeHelp = "a range needs a subnet without host bits, and addresses within it; the ranges of a set have one family, no two ranges overlap, and exclude leaves some addresses of each set"

// completePool completes the pool and checks its ranges against each other.
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
	if singleAddressResult(cniVersion) {
		d.oneSetPerFamily(pool, cniVersion)
	}
}

// oneSetPerFamily rejects a second set of a family: results before 0.3.0 have one
// ip4 and one ip6.
func (d *decoder) oneSetPerFamily(pool *ipam.Pool, cniVersion string) {
	seen := map[bool]bool{}
	for _, set := range pool.Sets {
		if seen[set.Is4()] {
			d.fail(invalid("ipam.ranges", "use cniVersion 0.3.1 or later", "cniVersion %s supports one address per family only", cniVersion))
		}
		seen[set.Is4()] = true
	}
}

// legacySet decodes a range that is written directly into the section "ipam", as
// host-local allows it.
func (d *decoder) legacySet(s section) []ipam.Set {
	if _, found := s.raw("subnet"); !found {
		return nil
	}
	set := ipam.Set{d.oneRange(s)}
	d.complete("ipam", set)
	return []ipam.Set{set}
}

// complete completes and checks a set. key is where it was configured.
func (d *decoder) complete(key string, set ipam.Set) {
	if d.err != nil {
		return
	}
	if err := set.Complete(); err != nil {
		d.fail(invalid(key, rangeHelp, "%v", err))
	}
}

// sets decodes a list of range sets.
func (d *decoder) sets(s section, key string) []ipam.Set {
	lists := value[[][]map[string]json.RawMessage](d, s, key, "a list of lists of ranges")
	sets := make([]ipam.Set, len(lists))
	if !d.atMost(s.path+key, len(lists), maxRanges) {
		return nil
	}
	for i, list := range lists {
		if !d.atMost(s.path+key, len(list), maxRanges) {
			return nil
		}
		for _, fields := range list {
			sets[i] = append(sets[i], d.oneRange(section{path: s.path + key + ": ", fields: fields}))
		}
		d.complete(s.path+key, sets[i])
	}
	return sets
}

// oneRange decodes a range.
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

// unicast rejects addresses that no interface can have or that never leave a host.
// The kernel accepts some of them. found is the value as it was configured.
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

// requested returns the requested addresses of all three sources together, as
// host-local does, without duplicates.
func (d *decoder) requested(top, runtime section, fromArgs []netip.Addr) []netip.Addr {
	cni := d.inner(d.inner(top, "args"), "cni")
	var all []netip.Addr
	for _, s := range []section{runtime, cni} {
		list := d.texts(s, "ips")
		if !d.atMost(s.path+"ips", len(list), maxIPs) {
			return nil
		}
		for _, text := range list {
			all = append(all, d.addrOrPrefix(s.path+"ips", text))
		}
	}
	all = append(all, fromArgs...)
	slices.SortFunc(all, netip.Addr.Compare)
	return slices.Compact(all)
}

// address decodes an optional IP address without zone. An IPv4-mapped IPv6 address
// becomes IPv4, as in host-local (Go's net.IP).
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

// prefix decodes an optional CIDR.
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

// parsePrefix parses a CIDR. It rejects an IPv4-mapped IPv6 prefix as host-local does:
// it would contain no IPv4 address.
func parsePrefix(text string) (netip.Prefix, error) {
	prefix, err := netip.ParsePrefix(text)
	if err == nil && prefix.Addr().Is4In6() {
		return netip.Prefix{}, errors.New("IPv4 in IPv6 form")
	}
	return prefix, err
}

// prefixes decodes a list of CIDRs and addresses; an address becomes a /32 or /128.
func (d *decoder) prefixes(s section, key string) []netip.Prefix {
	var out []netip.Prefix
	list := d.texts(s, key)
	if !d.atMost(s.path+key, len(list), maxPrefixes) {
		return nil
	}
	for _, text := range list {
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

// addrOrPrefix parses "IP" or "IP/LENGTH". The length is ignored: that of the range counts.
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
