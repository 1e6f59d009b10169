package config

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/ipam"
)

func addrsOf(texts ...string) []netip.Addr {
	var out []netip.Addr
	for _, s := range texts {
		out = append(out, addr(s))
	}
	return out
}

func prefixesOf(texts ...string) []netip.Prefix {
	var out []netip.Prefix
	for _, s := range texts {
		out = append(out, prefix(s))
	}
	return out
}

// rangeOf returns a range whose gateway is the first address.
func rangeOf(subnet, start, end string) ipam.Range {
	s := prefix(subnet)
	return ipam.Range{Subnet: s, Start: addr(start), End: addr(end), Gateway: s.Addr().Next()}
}

func TestParseIPAMKeys(t *testing.T) {
	for _, tc := range []struct {
		members string
		change  func(*Config)
	}{
		{``, func(*Config) {}},
		{`"rangeStart": "10.1.2.10", "rangeEnd": "10.1.2.20"`, func(c *Config) {
			c.IPAM.Pool.Sets = []ipam.Set{{rangeOf("10.1.2.0/24", "10.1.2.10", "10.1.2.20")}}
		}},
		{`"rangeStart": "::ffff:10.1.2.10"`, func(c *Config) {
			c.IPAM.Pool.Sets = []ipam.Set{{rangeOf("10.1.2.0/24", "10.1.2.10", "10.1.2.254")}}
		}},
		{`"gateway": "10.9.9.9"`, func(c *Config) { c.IPAM.Pool.Sets[0][0].Gateway = addr("10.9.9.9") }},
		{`"gateway": ""`, func(*Config) {}},
		{`"ranges": []`, func(*Config) {}},
		{`"routes": []`, func(*Config) {}},
		{`"sticky": true`, func(c *Config) { c.IPAM.Sticky = true }},
		{`"probe": false`, func(c *Config) { c.IPAM.NoProbe = true }},
		{`"probe": true`, func(*Config) {}},
		{`"sticky": false`, func(*Config) {}},
		{`"dataDir": "/var/lib/cni/networks"`, func(c *Config) { c.DataDir = "/var/lib/cni/networks" }},
		{`"dataDir": ""`, func(*Config) {}},
		{`"resolvConf": "/etc/resolv.conf"`, func(c *Config) { c.IPAM.ResolvConf = "/etc/resolv.conf" }},
		{`"resolvConf": ""`, func(*Config) {}},
		{`"exclude": []`, func(*Config) {}},
		{`"exclude": ["10.1.2.9", "10.1.2.33/28", "2001:db8::9", "::ffff:10.1.2.7"]`, func(c *Config) {
			c.IPAM.Pool.Exclude = prefixesOf("10.1.2.7/32", "10.1.2.9/32", "10.1.2.32/28", "2001:db8::9/128")
		}},
	} {
		t.Run(tc.members, func(t *testing.T) {
			want := withIPAM()
			tc.change(want)
			accepts(t, ipamConf(tc.members), "", want)
		})
	}
}

// The sets of the capability come first, then the legacy subnet, then ranges. The index of a
// set is the number of its cursor file.
func TestParseOrderOfSets(t *testing.T) {
	want := withIPAM()
	want.IPAM.Pool.Sets = []ipam.Set{
		{rangeOf("10.1.3.0/24", "10.1.3.1", "10.1.3.254")},
		{rangeOf("10.1.4.0/24", "10.1.4.1", "10.1.4.254")},
		{wholeRange()},
		{rangeOf("10.1.6.0/24", "10.1.6.1", "10.1.6.9"), rangeOf("10.1.5.0/24", "10.1.5.1", "10.1.5.254")},
		{rangeOf("2001:db8::/126", "2001:db8::1", "2001:db8::3")},
	}
	accepts(t, conf(`
		"runtimeConfig": {"ipRanges": [[{"subnet": "10.1.3.0/24"}], [{"subnet": "10.1.4.0/24"}]]},
		"ipam": {"type": "patchbay", "subnet": "10.1.2.0/24",
			"ranges": [[{"subnet": "10.1.6.0/24", "rangeEnd": "10.1.6.9"}, {"subnet": "10.1.5.0/24"}], [{"subnet": "2001:db8::/126"}]]}`), "", want)

	// Without subnet the other legacy keys have no effect, as in host-local.
	only := withIPAM()
	accepts(t, conf(`"ipam": {"type": "patchbay", "rangeStart": "10.9.9.9", "gateway": "10.9.9.1", "ranges": [[{"subnet": "10.1.2.0/24"}]]}`), "", only)
}

// Pools of one and two addresses, which host-local rejects.
func TestParseSmallPools(t *testing.T) {
	for subnet, want := range map[string]ipam.Range{
		"10.1.2.4/31":      {Subnet: prefix("10.1.2.4/31"), Start: addr("10.1.2.4"), End: addr("10.1.2.5"), Gateway: addr("10.1.2.5")},
		"10.1.2.4/32":      {Subnet: prefix("10.1.2.4/32"), Start: addr("10.1.2.4"), End: addr("10.1.2.4")},
		"2001:db8::4/127":  {Subnet: prefix("2001:db8::4/127"), Start: addr("2001:db8::4"), End: addr("2001:db8::5"), Gateway: addr("2001:db8::5")},
		"2001:db8::99/128": {Subnet: prefix("2001:db8::99/128"), Start: addr("2001:db8::99"), End: addr("2001:db8::99")},
	} {
		c := withIPAM()
		c.IPAM.Pool.Sets = []ipam.Set{{want}}
		accepts(t, conf(`"ipam": {"type": "patchbay", "subnet": "`+subnet+`"}`), "", c)
	}
}

// Requested addresses of all sources are collected without duplicates.
func TestParseRequested(t *testing.T) {
	const runtime, cni = `"runtimeConfig": {"ips": ["10.1.2.7/24", "2001:db8::7"]}`, `"args": {"cni": {"ips": ["10.1.2.6", "::ffff:10.1.2.7"]}}`
	const ranges = `"ipam": {"type": "patchbay", "ranges": [[{"subnet": "10.1.2.0/24"}], [{"subnet": "2001:db8::/126"}]]}`
	for _, tc := range []struct {
		name, members, args string
		want                []netip.Addr
	}{
		{"none", ranges, "", nil},
		{"runtime", ranges + ", " + runtime, "", addrsOf("10.1.2.7", "2001:db8::7")},
		{"args", ranges + ", " + cni, "", addrsOf("10.1.2.6", "10.1.2.7")},
		{"CNI_ARGS", ranges, "IP=10.1.2.5/24, 10.1.2.4", addrsOf("10.1.2.4", "10.1.2.5")},
		{"all", ranges + ", " + runtime + ", " + cni, "IP=10.1.2.7", addrsOf("10.1.2.6", "10.1.2.7", "2001:db8::7")},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := Parse([]byte(conf(tc.members)), tc.args)
			if err != nil {
				t.Fatal(err)
			}
			sameAddrs(t, tc.want, got.IPAM.Requested)
		})
	}
	c, err := Parse([]byte(ipamConf("")), "GATEWAY=10.1.2.9")
	if err != nil {
		t.Fatal(err)
	}
	sameAddrs(t, addrsOf("10.1.2.9"), c.IPAM.Gateways)
}

// Results before 0.3.0 have one address per family.
func TestParseOneSetPerFamily(t *testing.T) {
	with := func(version, ranges string) string {
		return `{"cniVersion": "` + version + `", "name": "net", "type": "patchbay", "ipam": {"type": "patchbay", "ranges": [` + ranges + `]}}`
	}
	const v4, v6, second4, second6 = `[{"subnet": "10.1.2.0/24"}, {"subnet": "10.1.9.0/24"}]`, `[{"subnet": "2001:db8::/64"}]`, `[{"subnet": "10.1.3.0/24"}]`, `[{"subnet": "2001:db8:1::/64"}]`
	for _, tc := range []struct {
		version, ranges string
		refused         bool
	}{
		{"0.1.0", v4 + "," + v6, false},
		{"0.2.0", v6 + "," + v4, false},
		{"0.1.0", v4 + "," + second4, true},
		{"0.2.0", v4 + "," + v6 + "," + second6, true},
		{"0.3.0", v4 + "," + second4, false},
		{"1.1.0", v6 + "," + second6, false},
	} {
		data := with(tc.version, tc.ranges)
		if !tc.refused {
			if _, err := Parse([]byte(data), ""); err != nil {
				t.Errorf("%s: %v", data, err)
			}
			continue
		}
		refuses(t, data, "", &Error{Msg: "ipam.ranges: cniVersion " + tc.version + " supports one address per family only", Details: "use cniVersion 0.3.1 or later"})
	}
}

// What the errors of ipam advise.
const (
	addrHelp      = "give an address like 10.1.2.3 or 2001:db8::3"
	cidrHelp      = "give a subnet like 10.1.2.0/24 or 2001:db8::/64"
	listHelp      = "give a list of lists of ranges, or leave the key out"
	ipamRangeHelp = "a range needs a subnet without host bits, and addresses within it; the ranges of a set have one family, no two ranges overlap, and exclude leaves some addresses of each set"
	noRanges      = `give at least one range: "ranges": [[{"subnet": "10.1.2.0/24"}]]`
	unicastHelp   = "give unicast addresses, such as 10.1.2.3 or 2001:db8::3"
	noType        = `set it to "patchbay", or leave "ipam" out for a network without addresses`
)

// ipamRefusal is a mistake in a section ipam, and the error that it gives.
type ipamRefusal struct{ ipam, msg, details string }

// invalidIPAM are sections ipam with an invalid type, subnet or address.
func invalidIPAM() []ipamRefusal {
	return []ipamRefusal{
		{`"patchbay"`, `ipam: want an object, got "patchbay"`, "give an object, or leave the key out"},
		{`[]`, `ipam: want an object, got []`, "give an object, or leave the key out"},
		{`{"subnet": "10.1.2.0/24"}`, `ipam.type: missing`, noType},
		{`{"type": null, "subnet": "10.1.2.0/24"}`, `ipam.type: missing`, noType},
		{`{"type": 5}`, `ipam.type: want a string, got 5`, textHelp},
		{`{"type": "patchbay"}`, `ipam.ranges: no IP ranges specified`, noRanges},
		{`{"type": "patchbay", "ranges": []}`, `ipam.ranges: no IP ranges specified`, noRanges},
		{`{"type": "patchbay", "dataDir": 5}`, `ipam.dataDir: want a string, got 5`, textHelp},
		{`{"type": "patchbay", "dataDir": "data"}`, `ipam.dataDir: "data" is not an absolute path`, "give a path that begins with /"},
		{`{"type": "patchbay", "subnet": 10}`, `ipam.subnet: want a string, got 10`, textHelp},
		{`{"type": "patchbay", "subnet": "10.1.2.0"}`, `ipam.subnet: "10.1.2.0" is not a CIDR`, cidrHelp},
		{`{"type": "patchbay", "subnet": "10.1.2.0/33"}`, `ipam.subnet: "10.1.2.0/33" is not a CIDR`, cidrHelp},
		{`{"type": "patchbay", "subnet": "::ffff:10.1.2.0/120"}`, `ipam.subnet: "::ffff:10.1.2.0/120" is not a CIDR`, cidrHelp},
		{`{"type": "patchbay", "subnet": ""}`, `ipam: invalid address range: subnet is missing`, ipamRangeHelp},
		{`{"type": "patchbay", "subnet": "10.1.2.3/24"}`, `ipam: invalid address range: subnet 10.1.2.3/24 has host bits set, 10.1.2.0/24 is meant`, ipamRangeHelp},
		{`{"type": "patchbay", "subnet": "10.1.2.0/24", "rangeStart": "10.1.3.1"}`, `ipam: invalid address range: rangeStart 10.1.3.1 is not in subnet 10.1.2.0/24`, ipamRangeHelp},
		{`{"type": "patchbay", "subnet": "10.1.2.0/24", "rangeStart": 1}`, `ipam.rangeStart: want a string, got 1`, textHelp},
		{`{"type": "patchbay", "subnet": "10.1.2.0/24", "rangeStart": "x"}`, `ipam.rangeStart: "x" is not an IP address`, addrHelp},
		{`{"type": "patchbay", "subnet": "10.1.2.0/24", "rangeEnd": {}}`, `ipam.rangeEnd: want a string, got {}`, textHelp},
		{`{"type": "patchbay", "subnet": "10.1.2.0/24", "rangeEnd": "10.1.2"}`, `ipam.rangeEnd: "10.1.2" is not an IP address`, addrHelp},
		{`{"type": "patchbay", "subnet": "10.1.2.0/24", "rangeEnd": "10.1.3.1"}`, `ipam: invalid address range: rangeEnd 10.1.3.1 is not in subnet 10.1.2.0/24`, ipamRangeHelp},
		{`{"type": "patchbay", "subnet": "10.1.2.0/24", "rangeStart": "10.1.2.9", "rangeEnd": "10.1.2.8"}`, `ipam: invalid address range: rangeEnd 10.1.2.8 comes before rangeStart 10.1.2.9`, ipamRangeHelp},
		{`{"type": "patchbay", "subnet": "10.1.2.0/24", "gateway": 1}`, `ipam.gateway: want a string, got 1`, textHelp},
		{`{"type": "patchbay", "subnet": "10.1.2.0/24", "gateway": "fe80::1%eth0"}`, `ipam.gateway: "fe80::1%eth0" is not an IP address`, addrHelp},
		{`{"type": "patchbay", "subnet": "10.1.2.0/24", "gateway": "2001:db8::1"}`, `ipam: invalid address range: gateway 2001:db8::1 is of another family than subnet 10.1.2.0/24`, ipamRangeHelp},
		{`{"type": "patchbay", "subnet": "224.0.0.0/24"}`, `ipam.subnet: 224.0.0.0/24 is multicast`, unicastHelp},
		{`{"type": "patchbay", "subnet": "127.0.0.0/8"}`, `ipam.subnet: 127.0.0.0/8 is loopback`, unicastHelp},
		{`{"type": "patchbay", "subnet": "0.0.0.0/8"}`, `ipam.subnet: 0.0.0.0/8 is unspecified`, unicastHelp},
		{`{"type": "patchbay", "subnet": "10.1.2.0/24", "gateway": "0.0.0.0"}`, `ipam.gateway: 0.0.0.0 is unspecified`, unicastHelp},
		{`{"type": "patchbay", "ranges": [[{"subnet": "2001:db8::/64", "gateway": "ff02::1"}]]}`, `ipam.ranges: gateway: ff02::1 is multicast`, unicastHelp},
	}
}

// invalidLists are sections ipam with invalid ranges and exclusions, and other invalid keys.
func invalidLists() []ipamRefusal {
	return []ipamRefusal{
		{`{"type": "patchbay", "ranges": [{"subnet": "10.1.2.0/24"}]}`, `ipam.ranges: want a list of lists of ranges, got [{"subnet":"10.1.2.0/24"}]`, listHelp},
		{`{"type": "patchbay", "ranges": {}}`, `ipam.ranges: want a list of lists of ranges, got {}`, listHelp},
		{`{"type": "patchbay", "ranges": [[]]}`, `ipam.ranges: invalid address range: a set of ranges is empty`, ipamRangeHelp},
		{`{"type": "patchbay", "ranges": [null]}`, `ipam.ranges: invalid address range: a set of ranges is empty`, ipamRangeHelp},
		{`{"type": "patchbay", "ranges": [[null]]}`, `ipam.ranges: invalid address range: subnet is missing`, ipamRangeHelp},
		{`{"type": "patchbay", "ranges": [[{"subnet": "x"}]]}`, `ipam.ranges: subnet: "x" is not a CIDR`, cidrHelp},
		{`{"type": "patchbay", "ranges": [[{"subnet": "10.1.2.0/24", "gateway": "x"}]]}`, `ipam.ranges: gateway: "x" is not an IP address`, addrHelp},
		{`{"type": "patchbay", "ranges": [[{"subnet": "10.1.2.0/24"}], [{"subnet": "10.1.2.128/25"}]]}`, `ipam.ranges: invalid address range: sets 10.1.2.1-10.1.2.254 and 10.1.2.129-10.1.2.254 overlap`, ipamRangeHelp},
		{`{"type": "patchbay", "ranges": [[{"subnet": "10.1.2.0/24"}, {"subnet": "2001:db8::/64"}]]}`, `ipam.ranges: invalid address range: 10.1.2.1-10.1.2.254 and 2001:db8::1-2001:db8::ffff:ffff:ffff:ffff in one range set have different address families`, ipamRangeHelp},
		{`{"type": "patchbay", "subnet": "10.1.2.0/24", "ranges": [[{"subnet": "10.1.2.0/24"}]]}`, `ipam.ranges: invalid address range: sets 10.1.2.1-10.1.2.254 and 10.1.2.1-10.1.2.254 overlap`, ipamRangeHelp},
		{`{"type": "patchbay", "subnet": "10.1.2.0/24", "exclude": "10.1.2.4"}`, `ipam.exclude: want a list of strings, got "10.1.2.4"`, textsHelp},
		{`{"type": "patchbay", "subnet": "10.1.2.0/24", "exclude": ["10.1.2.4-10.1.2.9"]}`, `ipam.exclude: "10.1.2.4-10.1.2.9" is neither an IP address nor a CIDR`, "give addresses or CIDRs"},
		{`{"type": "patchbay", "subnet": "10.1.2.0/24", "exclude": ["fe80::1%eth0"]}`, `ipam.exclude: "fe80::1%eth0" is neither an IP address nor a CIDR`, "give addresses or CIDRs"},
		{`{"type": "patchbay", "subnet": "10.1.2.0/24", "exclude": ["::ffff:10.1.2.0/120"]}`, `ipam.exclude: "::ffff:10.1.2.0/120" is neither an IP address nor a CIDR`, "give addresses or CIDRs"},
		{`{"type": "patchbay", "subnet": "10.1.2.0/24", "exclude": ["10.1.2.0/24"]}`, `ipam.ranges: invalid address range: nothing is left of 10.1.2.1-10.1.2.254 without its gateway and exclude`, ipamRangeHelp},
		{`{"type": "patchbay", "subnet": "10.1.2.0/24", "sticky": "yes"}`, `ipam.sticky: want true or false, got "yes"`, "give true or false, or leave the key out"},
		{`{"type": "patchbay", "subnet": "10.1.2.0/24", "resolvConf": true}`, `ipam.resolvConf: want a string, got true`, textHelp},
		{`{"type": "patchbay", "subnet": "10.1.2.0/24", "resolvConf": "resolv.conf"}`, `ipam.resolvConf: "resolv.conf" is not an absolute path`, "give a path that begins with /"},
	}
}

func TestParseRefusesIPAM(t *testing.T) {
	for _, tc := range slices.Concat(invalidIPAM(), invalidLists()) {
		t.Run(tc.ipam, func(t *testing.T) {
			refuses(t, conf(`"ipam": `+tc.ipam), "", &Error{Kind: Invalid, Msg: tc.msg, Details: tc.details})
		})
	}
	refuses(t, conf(`"runtimeConfig": {"ipRanges": [[{"subnet": "x"}]]}, "ipam": {"type": "patchbay", "subnet": "10.1.2.0/24"}`), "",
		&Error{Msg: `runtimeConfig.ipRanges: subnet: "x" is not a CIDR`, Details: cidrHelp})
	refuses(t, conf(`"runtimeConfig": {"ipRanges": 1}, "ipam": {"type": "patchbay", "subnet": "10.1.2.0/24"}`), "",
		&Error{Msg: `runtimeConfig.ipRanges: want a list of lists of ranges, got 1`, Details: listHelp})
}
