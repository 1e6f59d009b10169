package badinput

import "testing"

// TestIPAMKeys: every key of the built-in IPAM, and the capabilities and arguments that it uses.
//
// Claim: Invalid input gives a CNI error and exit status 1, and changes nothing in the kernel
func TestIPAMKeys(t *testing.T) {
	t.Parallel()
	b := newTable(t)
	b.try(t, ipamTypes())
	b.try(t, ipamValues())
	b.try(t, ipamRoutes())
}

const rangeHelp = "a range needs a subnet without host bits"

func ipamTypes() []row {
	const invalid, text, texts, lists = 7, "give a string", "give a list of strings", "give a list of lists of ranges"
	return []row{
		{name: "type/missing", config: network(`"ipam": {"subnet": "10.1.2.0/24"}`), code: invalid, msg: "ipam.type: missing", details: `set it to "patchbay"`},
		{name: "type/wrong type", config: network(`"ipam": {"type": 5}`), code: invalid, msg: "ipam.type: want a string, got 5", details: text},
		{name: "type/missing program", config: network(`"ipam": {"type": "host-local"}`), env: []string{"CNI_PATH=/nowhere:/"}, code: 110, msg: `IPAM plugin host-local: not found in CNI_PATH "/nowhere:/"`, details: `set ipam.type to "patchbay"`},
		{name: "type/missing program, no CNI_PATH", config: network(`"ipam": {"type": "host-local"}`), unset: []string{"CNI_PATH"}, code: 110, msg: `IPAM plugin host-local: not found in CNI_PATH ""`, details: `set ipam.type to "patchbay"`},
		{name: "type/not executable", config: network(`"ipam": {"type": "passwd"}`), env: []string{"CNI_PATH=/etc"}, code: 110, msg: `IPAM plugin passwd (/etc/passwd): not executable`, details: `check its name and CNI_PATH`},
		{name: "type/a path", config: network(`"ipam": {"type": "../bin/true"}`), code: invalid, msg: `ipam.type "../bin/true": invalid plugin name`, details: "without a path"},
		{name: "ranges/wrong type", config: pool(`"ranges": [{"subnet": "10.1.2.0/24"}]`), code: invalid, msg: `ipam.ranges: want a list of lists of ranges, got [{"subnet":"10.1.2.0/24"}]`, details: lists},
		{name: "subnet/wrong type", config: pool(`"subnet": 10`), code: invalid, msg: "ipam.subnet: want a string, got 10", details: text},
		{name: "rangeStart/wrong type", config: pool(`"subnet": "10.1.2.0/24", "rangeStart": 1`), code: invalid, msg: "ipam.rangeStart: want a string, got 1", details: text},
		{name: "rangeEnd/wrong type", config: pool(`"subnet": "10.1.2.0/24", "rangeEnd": {}`), code: invalid, msg: "ipam.rangeEnd: want a string, got {}", details: text},
		{name: "gateway/wrong type", config: pool(`"subnet": "10.1.2.0/24", "gateway": 1`), code: invalid, msg: "ipam.gateway: want a string, got 1", details: text},
		{name: "exclude/wrong type", config: subnet(`"exclude": "10.1.2.4"`), code: invalid, msg: `ipam.exclude: want a list of strings, got "10.1.2.4"`, details: texts},
		{name: "sticky/wrong type", config: subnet(`"sticky": "yes"`), code: invalid, msg: `ipam.sticky: want true or false, got "yes"`, details: "give true or false"},
		{name: "resolvConf/wrong type", config: subnet(`"resolvConf": true`), code: invalid, msg: "ipam.resolvConf: want a string, got true", details: text},
		{name: "dataDir/wrong type", config: subnet(`"dataDir": 5`), code: invalid, msg: "ipam.dataDir: want a string, got 5", details: text},
		{name: "routes/wrong type", config: subnet(`"routes": "0.0.0.0/0"`), code: invalid, msg: `ipam.routes: want a list of objects, got "0.0.0.0/0"`, details: "give a list of objects"},
		{name: "args.cni.ips/wrong type", config: subnetWith(`"args": {"cni": {"ips": "10.1.2.9"}}`), code: invalid, msg: `args.cni.ips: want a list of strings, got "10.1.2.9"`, details: texts},
		{name: "runtimeConfig.ips/wrong type", config: subnetWith(`"runtimeConfig": {"ips": 9}`), code: invalid, msg: "runtimeConfig.ips: want a list of strings, got 9", details: texts},
		{name: "runtimeConfig.ipRanges/wrong type", config: subnetWith(`"runtimeConfig": {"ipRanges": 1}`), code: invalid, msg: "runtimeConfig.ipRanges: want a list of lists of ranges, got 1", details: lists},
	}
}

func ipamValues() []row {
	const invalid, addr, cidr, path = 7, "give an address like", "give a subnet like", "give a path that begins with /"
	return []row{
		{name: "ranges/missing", config: pool(""), code: invalid, msg: "ipam.ranges: no IP ranges specified", details: "give at least one range"},
		{name: "subnet/no CIDR", config: pool(`"subnet": "10.1.2.0"`), code: invalid, msg: `ipam.subnet: "10.1.2.0" is not a CIDR`, details: cidr},
		{name: "subnet/host bits", config: pool(`"subnet": "10.1.2.3/24"`), code: invalid, msg: "ipam: invalid address range: subnet 10.1.2.3/24 has host bits set, 10.1.2.0/24 is meant", details: rangeHelp},
		{name: "rangeStart/no address", config: pool(`"subnet": "10.1.2.0/24", "rangeStart": "x"`), code: invalid, msg: `ipam.rangeStart: "x" is not an IP address`, details: addr},
		{name: "rangeStart/outside", config: pool(`"subnet": "10.1.2.0/24", "rangeStart": "10.1.3.1"`), code: invalid, msg: "ipam: invalid address range: rangeStart 10.1.3.1 is not in subnet 10.1.2.0/24", details: rangeHelp},
		{name: "rangeEnd/outside", config: pool(`"subnet": "10.1.2.0/24", "rangeEnd": "10.1.3.1"`), code: invalid, msg: "ipam: invalid address range: rangeEnd 10.1.3.1 is not in subnet 10.1.2.0/24", details: rangeHelp},
		{name: "rangeEnd/before rangeStart", config: pool(`"subnet": "10.1.2.0/24", "rangeStart": "10.1.2.9", "rangeEnd": "10.1.2.8"`), code: invalid, msg: "ipam: invalid address range: rangeEnd 10.1.2.8 comes before rangeStart 10.1.2.9", details: rangeHelp},
		{name: "gateway/other family", config: pool(`"subnet": "10.1.2.0/24", "gateway": "2001:db8::1"`), code: invalid, msg: "ipam: invalid address range: gateway 2001:db8::1 is of another family than subnet 10.1.2.0/24", details: rangeHelp},
		{
			name: "gateway/conflict: isGateway", config: pool(`"subnet": "10.1.2.0/24", "gateway": "10.9.9.1"`, `"isGateway": true`), code: invalid,
			msg: "ipam: gateway 10.9.9.1 is not in subnet 10.1.2.0/24", details: "give a gateway within the subnet",
		},
		{name: "ranges/two families in a set", config: pool(`"ranges": [[{"subnet": "10.1.2.0/24"}, {"subnet": "2001:db8::/126"}]]`), code: invalid, msg: "ipam.ranges: invalid address range: 10.1.2.1-10.1.2.254 and 2001:db8::1-2001:db8::3 in one range set have different address families", details: "have one family"},
		{name: "exclude/a range", config: subnet(`"exclude": ["10.1.2.4-10.1.2.9"]`), code: invalid, msg: `ipam.exclude: "10.1.2.4-10.1.2.9" is neither an IP address nor a CIDR`, details: "give addresses or CIDRs"},
		{name: "resolvConf/relative", config: subnet(`"resolvConf": "resolv.conf"`), code: invalid, msg: `ipam.resolvConf: "resolv.conf" is not an absolute path`, details: path},
		{name: "dataDir/relative", config: subnet(`"dataDir": "data"`), code: invalid, msg: `ipam.dataDir: "data" is not an absolute path`, details: path},
		{name: "args.cni.ips/no address", config: subnetWith(`"args": {"cni": {"ips": ["ten"]}}`), code: invalid, msg: `args.cni.ips: "ten" is not an IP address`, details: "give addresses like"},
		{name: "runtimeConfig.ips/no address", config: subnetWith(`"runtimeConfig": {"ips": ["10.1.2"]}`), code: invalid, msg: `runtimeConfig.ips: "10.1.2" is not an IP address`, details: "give addresses like"},
		{name: "runtimeConfig.ipRanges/overlap", config: subnetWith(`"runtimeConfig": {"ipRanges": [[{"subnet": "10.1.2.0/25"}]]}`), code: invalid, msg: "ipam.ranges: invalid address range: sets 10.1.2.1-10.1.2.126 and 10.1.2.1-10.1.2.254 overlap", details: "no two ranges overlap"},
		{name: "two sets of a family before 0.3.0", config: pool(`"ranges": [[{"subnet": "10.1.2.0/24"}], [{"subnet": "10.1.3.0/24"}]]`, `"cniVersion": "0.2.0"`), code: invalid, msg: "ipam.ranges: cniVersion 0.2.0 supports one address per family only", details: "use cniVersion 0.3.1 or later", version: "0.2.0"},
	}
}

func ipamRoutes() []row {
	const invalid = 7
	return []row{
		{name: "routes.dst/missing", config: subnet(`"routes": [{"gw": "10.1.2.1"}]`), code: invalid, msg: "ipam.routes[0].dst: missing", details: "give a CIDR"},
		{name: "routes.dst/host bits", config: subnet(`"routes": [{"dst": "10.0.0.1/8"}]`), code: invalid, msg: "ipam.routes[0].dst: 10.0.0.1/8 has host bits set", details: "write 10.0.0.0/8"},
		{name: "routes.gw/other family", config: subnet(`"routes": [{"dst": "10.0.0.0/8", "gw": "2001:db8::1"}]`), code: invalid, msg: "ipam.routes[0].gw: 2001:db8::1 cannot be the gateway to 10.0.0.0/8", details: "of the destination's family"},
		{name: "routes.mtu/too small", config: subnet(`"routes": [{"dst": "10.0.0.0/8", "mtu": 10}]`), code: invalid, msg: "ipam.routes[0].mtu: 10 is out of range", details: "from 68 to 65535"},
		{name: "routes.advmss/wrong type", config: subnet(`"routes": [{"dst": "10.0.0.0/8", "advmss": "x"}]`), code: invalid, msg: `ipam.routes[0].advmss: want a whole number, got "x"`, details: "give a whole number"},
		{name: "routes.priority/negative", config: subnet(`"routes": [{"dst": "10.0.0.0/8", "priority": -1}]`), code: invalid, msg: "ipam.routes[0].priority: -1 is out of range", details: "from 0 to 4294967295"},
		{name: "routes.table/negative", config: subnet(`"routes": [{"dst": "10.0.0.0/8", "table": -1}]`), code: invalid, msg: "ipam.routes[0].table: -1 is out of range", details: "from 0 to"},
		{name: "routes.scope/too large", config: subnet(`"routes": [{"dst": "10.0.0.0/8", "scope": 256}]`), code: invalid, msg: "ipam.routes[0].scope: 256 is out of range", details: "from 0 to 255"},
	}
}

// TestUnsupportedKeys: a key that this version does not support is refused unless its value requests nothing;
// otherwise a user would rely on, for example, a masquerade that does not exist.
//
// Claim: Invalid input gives a CNI error and exit status 1, and changes nothing in the kernel
func TestUnsupportedKeys(t *testing.T) {
	t.Parallel()
	b := newTable(t)
	const unsupported = 2
	var rows []row
	for _, key := range []struct{ name, value string }{
		{"externalSetMarkChain", `"KUBE-MARK-MASQ"`},
		{"conditionsV4", `["-d","192.0.2.0/24"]`},
		{"conditionsV6", `["-d","2001:db8::/64"]`},
	} {
		rows = append(rows, row{name: key.name, config: network(`"` + key.name + `": ` + key.value), code: unsupported, msg: key.name + ": " + key.value + " applies to iptables only", details: "leave the key out"})
	}
	b.try(t, rows)
}
