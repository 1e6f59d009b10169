package config

import (
	"encoding/json"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"

	"github.com/patchbay-cni/patchbay/pkg/ipam"
)

// ipam reads the section "ipam"; nil for a network without addresses.
func (d *decoder) ipam(top section, c *Config) *IPAM {
	if d.err != nil || c.IPAMType == "" {
		d.ipamWithoutType(top)
		return nil
	}
	if c.IPAMType != TypeName {
		d.fail(&Error{
			Kind: Unsupported, Msg: `ipam.type: "` + c.IPAMType + `" is not supported by this version`,
			Details: `set ipam.type to "` + TypeName + `", the built-in IPAM with the keys of host-local`,
		})
		return nil
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
	if out.ResolvConf != "" && !filepath.IsAbs(out.ResolvConf) {
		d.fail(invalid("ipam.resolvConf", "give a path that begins with /", "%q is not an absolute path", out.ResolvConf))
	}
	d.completePool(&out.Pool, c.CNIVersion)
	return out
}

// ipamWithoutType checks at least that the section is an object.
func (d *decoder) ipamWithoutType(top section) {
	if s := d.inner(top, "ipam"); len(s.fields) > 0 {
		if _, found := s.raw("type"); !found {
			d.fail(invalid("ipam.type", `set it to "`+TypeName+`", or leave "ipam" out for a network without addresses`, "missing"))
		}
	}
}

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
		d.fail(invalid("ipam.ranges", "mend the range that is named", "%v", err))
		return
	}
	// Results before 0.3.0 hold one address per family (CNI SPEC 0.2.0, result).
	if strings.HasPrefix(cniVersion, "0.1.") || strings.HasPrefix(cniVersion, "0.2.") {
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
	return []ipam.Set{{d.oneRange(s)}}
}

func (d *decoder) sets(s section, key string) []ipam.Set {
	lists := value[[][]map[string]json.RawMessage](d, s, key, "a list of lists of ranges")
	sets := make([]ipam.Set, len(lists))
	for i, list := range lists {
		for _, fields := range list {
			sets[i] = append(sets[i], d.oneRange(section{path: s.path + key + ": ", fields: fields}))
		}
	}
	return sets
}

func (d *decoder) oneRange(s section) ipam.Range {
	return ipam.Range{
		Subnet:  d.prefix(s, "subnet"),
		Start:   d.address(s, "rangeStart"),
		End:     d.address(s, "rangeEnd"),
		Gateway: d.address(s, "gateway"),
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
	prefix, err := netip.ParsePrefix(text)
	if err != nil {
		d.fail(invalid(s.path+key, "give a subnet like 10.1.2.0/24 or 2001:db8::/64", "%q is not a CIDR", text))
	}
	return prefix
}

// prefixes is a list of CIDRs and addresses, an address being a CIDR of its own.
func (d *decoder) prefixes(s section, key string) []netip.Prefix {
	var out []netip.Prefix
	for _, text := range d.texts(s, key) {
		if prefix, err := netip.ParsePrefix(text); err == nil {
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
