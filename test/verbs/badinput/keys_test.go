package badinput

import (
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// TestKeys: every key of the plugin itself, with a value of the wrong type, one out of range, and one that conflicts
// with another key.
//
// Claim: Invalid input gives a CNI error and exit status 1, and changes nothing in the kernel
func TestKeys(t *testing.T) {
	t.Parallel()
	b := newTable(t)
	b.try(t, wrongTypes())
	b.try(t, outOfRange())
	b.try(t, conflicts())
	b.try(t, identity())
}

// wrongTypes returns the rows of keys that have a value of the wrong JSON type.
func wrongTypes() []row { return append(wrongScalars(), wrongSections()...) }

// wrongScalars returns rows of keys of the network with a value of the wrong type.
func wrongScalars() []row {
	const (
		text    = "give a string"
		flag    = "give true or false"
		number  = "give a whole number"
		texts   = "give a list of strings"
		invalid = 7
	)
	return []row{
		{name: "cniVersion/wrong type", config: `{"cniVersion": 1, "name": "net", "type": "patchbay"}`, code: invalid, msg: `cniVersion: want a string, got 1`, details: text, version: "0.1.0"},
		{name: "name/wrong type", config: network(`"name": ["net"]`), code: invalid, msg: `name: want a string, got ["net"]`, details: text},
		{name: "type/wrong type", config: network(`"type": false`), code: invalid, msg: `type: want a string, got false`, details: text},
		{name: "bridge/wrong type", config: network(`"bridge": {"name": "br0"}`), code: invalid, msg: `bridge: want a string, got {"name":"br0"}`, details: text},
		{name: "isGateway/wrong type", config: network(`"isGateway": "true"`), code: invalid, msg: `isGateway: want true or false, got "true"`, details: flag},
		{name: "isDefaultGateway/wrong type", config: network(`"isDefaultGateway": 1`), code: invalid, msg: `isDefaultGateway: want true or false, got 1`, details: flag},
		{name: "forceAddress/wrong type", config: network(`"forceAddress": []`), code: invalid, msg: `forceAddress: want true or false, got []`, details: flag},
		{name: "mtu/wrong type", config: network(`"mtu": "1500"`), code: invalid, msg: `mtu: want a whole number, got "1500"`, details: number},
		{name: "mtu/wrong type: fraction", config: network(`"mtu": 1500.5`), code: invalid, msg: `mtu: want a whole number, got 1500.5`, details: number},
		{name: "hairpinMode/wrong type", config: network(`"hairpinMode": "yes"`), code: invalid, msg: `hairpinMode: want true or false, got "yes"`, details: flag},
		{name: "promiscMode/wrong type", config: network(`"promiscMode": 0`), code: invalid, msg: `promiscMode: want true or false, got 0`, details: flag},
		{name: "enabledad/wrong type", config: network(`"enabledad": {}`), code: invalid, msg: `enabledad: want true or false, got {}`, details: flag},
		{name: "ipMasq/wrong type", config: network(`"ipMasq": "yes"`), code: invalid, msg: `ipMasq: want true or false, got "yes"`, details: flag},
		{name: "ipMasqBackend/wrong type", config: network(`"ipMasqBackend": true`), code: invalid, msg: `ipMasqBackend: want a string, got true`, details: text},
		{name: "masqExclude/wrong type", config: network(`"masqExclude": "10.0.0.0/8"`), code: invalid, msg: `masqExclude: want a list of strings, got "10.0.0.0/8"`, details: texts},
		{name: "masqFamilies/wrong type", config: network(`"masqFamilies": "ipv4"`), code: invalid, msg: `masqFamilies: want a list of strings, got "ipv4"`, details: texts},
		{name: "randomFully/wrong type", config: network(`"randomFully": 1`), code: invalid, msg: `randomFully: want true or false, got 1`, details: flag},
		{
			name: "disableContainerInterface/wrong type", config: network(`"disableContainerInterface": "no"`),
			code: invalid, msg: `disableContainerInterface: want true or false, got "no"`, details: flag,
		},
	}
}

// wrongSections returns rows of sections, and keys in them, with a value of the wrong type.
func wrongSections() []row {
	const (
		text    = "give a string"
		number  = "give a whole number"
		texts   = "give a list of strings"
		object  = "give an object"
		invalid = 7
	)
	return []row{
		{name: "dns/wrong type", config: network(`"dns": "192.0.2.53"`), code: invalid, msg: `dns: want an object, got "192.0.2.53"`, details: object},
		{
			name: "dns.nameservers/wrong type", config: network(`"dns": {"nameservers": "192.0.2.53"}`),
			code: invalid, msg: `dns.nameservers: want a list of strings, got "192.0.2.53"`, details: texts,
		},
		{name: "dns.domain/wrong type", config: network(`"dns": {"domain": 1}`), code: invalid, msg: `dns.domain: want a string, got 1`, details: text},
		{name: "dns.search/wrong type", config: network(`"dns": {"search": "example.org"}`), code: invalid, msg: `dns.search: want a list of strings, got "example.org"`, details: texts},
		{name: "dns.options/wrong type", config: network(`"dns": {"options": [1]}`), code: invalid, msg: `dns.options: want a list of strings, got [1]`, details: texts},
		{name: "stateDir/wrong type", config: network(`"stateDir": 7`), code: invalid, msg: `stateDir: want a string, got 7`, details: text},
		{name: "ipam/wrong type", config: network(`"ipam": "patchbay"`), code: invalid, msg: `ipam: want an object, got "patchbay"`, details: object},
		{name: "args/wrong type", config: network(`"args": []`), code: invalid, msg: `args: want an object, got []`, details: object},
		{name: "args.cni/wrong type", config: network(`"args": {"cni": 1}`), code: invalid, msg: `args.cni: want an object, got 1`, details: object},
		{name: "args.cni.mac/wrong type", config: network(`"args": {"cni": {"mac": 2}}`), code: invalid, msg: `args.cni.mac: want a string, got 2`, details: text},
		{name: "runtimeConfig/wrong type", config: network(`"runtimeConfig": "mac"`), code: invalid, msg: `runtimeConfig: want an object, got "mac"`, details: object},
		{name: "runtimeConfig.mac/wrong type", config: network(`"runtimeConfig": {"mac": [2]}`), code: invalid, msg: `runtimeConfig.mac: want a string, got [2]`, details: text},
		{name: "runtimeConfig.dns/wrong type", config: network(`"runtimeConfig": {"dns": []}`), code: invalid, msg: `runtimeConfig.dns: want an object, got []`, details: object},
		{
			name: "runtimeConfig.dns.servers/wrong type", config: network(`"runtimeConfig": {"dns": {"servers": "192.0.2.53"}}`),
			code: invalid, msg: `runtimeConfig.dns.servers: want a list of strings, got "192.0.2.53"`, details: texts,
		},
		{
			name: "runtimeConfig.dns.searches/wrong type", config: network(`"runtimeConfig": {"dns": {"searches": {}}}`),
			code: invalid, msg: `runtimeConfig.dns.searches: want a list of strings, got {}`, details: texts,
		},
		{
			name: "runtimeConfig.dns.options/wrong type", config: network(`"runtimeConfig": {"dns": {"options": true}}`),
			code: invalid, msg: `runtimeConfig.dns.options: want a list of strings, got true`, details: texts,
		},
		{name: "another case of letters", config: network(`"MTU": "big"`), code: invalid, msg: `mtu: want a whole number, got "big"`, details: number},
		{
			name: "a long value is cut", config: network(`"mtu": "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffgggggggggg"`),
			code: invalid, msg: `mtu: want a whole number, got "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeefffffffff...`, details: number,
		},
	}
}

// outOfRange returns the rows of invalid values of the right type.
func outOfRange() []row { return append(outOfRangeLinks(), outOfRangeLists()...) }

// outOfRangeLinks returns rows of invalid bridge names and MTUs.
func outOfRangeLinks() []row {
	const (
		mtu     = "give a number from 68 to 65535"
		bridge  = "give the name of a bridge"
		invalid = 7
	)
	return []row{
		{name: "bridge/out of range: 16 bytes", config: network(`"bridge": "abcdefghijklmnop"`), code: invalid, msg: `bridge: "abcdefghijklmnop" cannot name an interface: name is too long`, details: bridge},
		{
			name: "bridge/out of range: slash", config: network(`"bridge": "br/0"`),
			code: invalid, msg: `bridge: "br/0" cannot name an interface: name contains / or : or whitespace characters`, details: bridge,
		},
		{
			name: "bridge/out of range: space", config: network(`"bridge": "br 0"`),
			code: invalid, msg: `bridge: "br 0" cannot name an interface: name contains / or : or whitespace characters`, details: bridge,
		},
		{name: "bridge/out of range: dots", config: network(`"bridge": ".."`), code: invalid, msg: `bridge: ".." cannot name an interface: name is . or ..`, details: bridge},
		// The kernel would create br0 and report success.
		{name: "bridge/out of range: pattern", config: network(`"bridge": "br%d"`), code: invalid, msg: `bridge: "br%d" cannot name an interface: name contains % or control characters`, details: bridge},
		// The kernel would read the bridge name br.
		{
			name: "bridge/out of range: zero byte", config: network(`"bridge": "br\u0000x"`),
			code: invalid, msg: `bridge: "br\x00x" cannot name an interface: name contains % or control characters`, details: bridge,
		},
		{name: "bridge/out of range: reserved", config: network(`"bridge": "all"`), code: invalid, msg: `bridge: "all" cannot name an interface: name is reserved by the kernel`, details: bridge},
		{name: "mtu/out of range: 10", config: network(`"mtu": 10`), code: invalid, msg: `mtu: 10 is out of range`, details: mtu},
		{name: "mtu/out of range: 67", config: network(`"mtu": 67`), code: invalid, msg: `mtu: 67 is out of range`, details: mtu},
		{name: "mtu/out of range: negative", config: network(`"mtu": -1500`), code: invalid, msg: `mtu: -1500 is out of range`, details: mtu},
		{name: "mtu/out of range: 65536", config: network(`"mtu": 65536`), code: invalid, msg: `mtu: 65536 is out of range`, details: mtu},
		{
			name: "mtu/out of range: beyond integers", config: network(`"mtu": 18446744073709551616`),
			code: invalid, msg: `mtu: want a whole number, got 18446744073709551616`, details: "give a whole number",
		},
	}
}

// outOfRangeLists returns rows of invalid addresses, families, paths and MACs.
func outOfRangeLists() []row {
	const (
		mac     = "give six bytes like 02:00:00:12:34:56"
		invalid = 7
	)
	return []row{
		{name: "masqExclude/out of range: text", config: network(`"ipMasq": true, "masqExclude": ["10.0.0.0/8", "lan"]`), code: invalid, msg: `masqExclude: "lan" is neither an IP address nor a CIDR`, details: "give addresses or CIDRs"},
		{name: "masqExclude/out of range: length", config: network(`"masqExclude": ["10.0.0.0/33"]`), code: invalid, msg: `masqExclude: "10.0.0.0/33" is neither an IP address nor a CIDR`, details: "give addresses or CIDRs"},
		{name: "masqExclude/out of range: zone", config: network(`"masqExclude": ["fe80::1%eth0"]`), code: invalid, msg: `masqExclude: "fe80::1%eth0" is neither an IP address nor a CIDR`, details: "give addresses or CIDRs"},
		{name: "masqFamilies/out of range", config: network(`"masqFamilies": ["ipv4", "ipx"]`), code: invalid, msg: `masqFamilies: "ipx" is not an address family`, details: `give a list of "ipv4" and "ipv6"`},
		{name: "ipMasqBackend/out of range", config: network(`"ipMasqBackend": "ebtables"`), code: invalid, msg: `ipMasqBackend: "ebtables" is not known`, details: `give "nftables" or "iptables"`},
		{
			name: "dns.nameservers/out of range", config: network(`"dns": {"nameservers": ["192.0.2.53", "dns.example.org"]}`),
			code: invalid, msg: `dns.nameservers: "dns.example.org" is not an IP address`, details: "give IP addresses",
		},
		{
			name: "runtimeConfig.dns.servers/out of range", config: network(`"runtimeConfig": {"dns": {"servers": ["192.0.2"]}}`),
			code: invalid, msg: `runtimeConfig.dns.servers: "192.0.2" is not an IP address`, details: "give IP addresses",
		},
		{name: "stateDir/out of range", config: network(`"stateDir": "run/patchbay"`), code: invalid, msg: `stateDir: "run/patchbay" is not an absolute path`, details: "begins with /"},
		{name: "args.cni.mac/out of range: text", config: network(`"args": {"cni": {"mac": "zz:00:00:00:00:01"}}`), code: invalid, msg: `args.cni.mac: "zz:00:00:00:00:01" is not a MAC address`, details: mac},
		{
			name: "args.cni.mac/out of range: group", config: network(`"args": {"cni": {"mac": "01:00:5e:00:00:01"}}`),
			code: invalid, msg: `args.cni.mac: "01:00:5e:00:00:01" is a multicast address, which an interface cannot have`, details: mac,
		},
		{
			name: "runtimeConfig.mac/out of range: broadcast", config: network(`"runtimeConfig": {"mac": "ff:ff:ff:ff:ff:ff"}`),
			code: invalid, msg: `runtimeConfig.mac: "ff:ff:ff:ff:ff:ff" is a multicast address, which an interface cannot have`, details: mac,
		},
		{
			name: "runtimeConfig.mac/out of range: zero", config: network(`"runtimeConfig": {"mac": "00:00:00:00:00:00"}`),
			code: invalid, msg: `runtimeConfig.mac: "00:00:00:00:00:00" is the zero address`, details: mac,
		},
		{
			name: "runtimeConfig.mac/out of range: 8 bytes", config: network(`"runtimeConfig": {"mac": "02:00:00:00:00:00:00:01"}`),
			code: invalid, msg: `runtimeConfig.mac: "02:00:00:00:00:00:00:01" is not a MAC address`, details: mac,
		},
	}
}

// conflicts returns the rows of keys that conflict with each other.
func conflicts() []row {
	const invalid = 7
	range6 := `"ranges": [[{"subnet": "2001:db8:1::/64"}]]`
	return []row{
		{
			name: "hairpinMode/conflict: promiscMode", config: network(`"hairpinMode": true, "promiscMode": true`),
			code: invalid, msg: `hairpinMode: cannot be true together with promiscMode`, details: "set one of the two to false",
		},
		{
			name: "disableContainerInterface/conflict: ipam", config: subnetWith(`"disableContainerInterface": true`),
			code: invalid, msg: `disableContainerInterface: cannot be true together with ipam`, details: `leave "ipam" out`,
		},
		{
			name: "mtu/conflict: IPv6 ranges", config: network(`"mtu": 1000, "ipam": {"type": "patchbay", ` + range6 + `}`),
			code: invalid, msg: `mtu: 1000 is too small for IPv6`, details: "give at least 1280, or no IPv6 ranges",
		},
		{
			name: "mtu/conflict: IPv6 ranges of the runtime", config: network(`"mtu": 1279, "ipam": {"type": "patchbay"}, "runtimeConfig": {"ipRanges": [[{"subnet": "2001:db8:1::/64"}]]}`),
			code: invalid, msg: `mtu: 1279 is too small for IPv6`, details: "give at least 1280, or no IPv6 ranges",
		},
		{
			name: "cniVersion/conflict: no addresses", config: network(`"cniVersion": "0.2.0"`), version: "0.2.0",
			code: invalid, msg: `cniVersion: a result of version 0.2.0 must have an address`, details: "use 0.3.0 or later",
		},
		{
			name: "cniVersion/conflict: left out, no addresses", config: `{"name": "net", "type": "patchbay"}`, version: "0.1.0",
			code: invalid, msg: `cniVersion: a result of version 0.1.0 must have an address`, details: "use 0.3.0 or later",
		},
		{
			name: "cniVersion/conflict: two addresses of a family", version: "0.2.0",
			config: pool(`"ranges": [[{"subnet": "10.1.2.0/24"}], [{"subnet": "10.1.3.0/24"}]]`, `"cniVersion": "0.2.0"`),
			code:   invalid, msg: `ipam.ranges: cniVersion 0.2.0 supports one address per family only`, details: "use cniVersion 0.3.1 or later",
		},
	}
}

// identity returns the rows of keys that identify the network.
func identity() []row {
	const (
		invalid = 7
		letters = "use letters, digits, dot, underscore and dash"
		long    = "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn" // 64 bytes
	)
	return []row{
		{name: "name/missing", config: `{"cniVersion": "1.0.0", "type": "patchbay"}`, code: invalid, msg: `name: missing network name`, details: `give the network a "name"`},
		{name: "name/out of range: slash", config: network(`"name": "../net"`), code: invalid, msg: `name: invalid characters in network name "../net"`, details: letters},
		{name: "name/out of range: dot first", config: network(`"name": ".net"`), code: invalid, msg: `name: invalid characters in network name ".net"`, details: letters},
		{name: "name/out of range: newline", config: network(`"name": "net\n"`), code: invalid, msg: `name: invalid characters in network name "net\n"`, details: letters},
		{name: "name/out of range: 256 bytes", config: network(`"name": "` + long + long + long + long + `"`), code: invalid, msg: `name: 256 bytes are too long`, details: "use at most 255"},
		{name: "type/missing", config: `{"cniVersion": "1.0.0", "name": "net", "ipam": {"type": "patchbay", "subnet": "10.1.2.0/24"}}`, code: invalid, msg: `type: missing`, details: `set it to "patchbay"`},
		{name: "cniVersion/out of range: future", config: network(`"cniVersion": "9.9.9"`), code: 1, msg: `incompatible CNI versions`, details: `config is "9.9.9"`, version: "1.1.0"},
		{name: "cniVersion/out of range: text", config: network(`"cniVersion": "new"`), code: 1, msg: `incompatible CNI versions`, details: `"0.3.1" "0.4.0" "1.0.0" "1.1.0"`, version: "1.1.0"},
		{name: "cniVersion/out of range: 1.0", config: network(`"cniVersion": "1.0"`), code: 1, msg: `incompatible CNI versions`, details: `config is "1.0"`, version: "1.1.0"},
	}
}

// TestLowestMTU: the smallest valid MTU works. A host interface with it must not lower the MTU of the bridge: below
// 1280 bytes the kernel removes IPv6 from the bridge too.
func TestLowestMTU(t *testing.T) {
	t.Parallel()
	b := newTable(t)
	b.attach(t, "neighbour", subnet(""))
	call := b.call
	call.Config = []byte(pool(`"ranges": [[{"subnet": "10.1.3.0/24"}]]`, `"mtu": 68`))
	b.Oracle(nettest.Attachment)
	b.CNI(t, call).OK(t)
	call.Command = "DEL"
	b.CNI(t, call).OK(t)
	b.unchanged(t)
}
