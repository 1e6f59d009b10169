package config

import (
	"slices"
	"strings"
	"testing"
)

// What the errors advise.
const (
	flagHelp  = "give true or false, or leave the key out"
	textHelp  = "give a string, or leave the key out"
	textsHelp = "give a list of strings, or leave the key out"
	objHelp   = "give an object, or leave the key out"
	numHelp   = "give a whole number, or leave the key out"
	mtuHelp   = "give a number from 68 to 65535, or 0 for the default"
	nameHelp  = "give the name of a bridge: 1 to 15 bytes without /, :, % and white space"
	pathHelp  = "give a path that begins with /"
	ipsHelp   = "give addresses like 10.1.2.3 or 10.1.2.3/24"
	macHelp   = "give six bytes like 02:00:00:12:34:56"
)

// refusal is a mistake in a configuration, and the error that it gives.
type refusal struct{ members, msg, details string }

// invalidKeys are keys of the top level with invalid values.
func invalidKeys() []refusal {
	return []refusal{
		{`"bridge": 5`, `bridge: want a string, got 5`, textHelp},
		{`"bridge": "sixteen-bytes-xx"`, `bridge: "sixteen-bytes-xx" cannot name an interface: name is too long`, nameHelp},
		{`"bridge": "br/0"`, `bridge: "br/0" cannot name an interface: name contains / or : or whitespace characters`, nameHelp},
		{`"bridge": "br:0"`, `bridge: "br:0" cannot name an interface: name contains / or : or whitespace characters`, nameHelp},
		{`"bridge": "br 0"`, `bridge: "br 0" cannot name an interface: name contains / or : or whitespace characters`, nameHelp},
		{`"bridge": ".."`, `bridge: ".." cannot name an interface: name is . or ..`, nameHelp},
		{`"bridge": "br%d"`, `bridge: "br%d" cannot name an interface: name contains % or control characters`, nameHelp},
		{`"bridge": "all"`, `bridge: "all" cannot name an interface: name is reserved by the kernel`, nameHelp},
		{`"isGateway": "yes"`, `isGateway: want true or false, got "yes"`, flagHelp},
		{`"isDefaultGateway": 1`, `isDefaultGateway: want true or false, got 1`, flagHelp},
		{`"forceAddress": "true"`, `forceAddress: want true or false, got "true"`, flagHelp},
		{`"hairpinMode": [true]`, `hairpinMode: want true or false, got [true]`, flagHelp},
		{`"promiscMode": {"a": 1}`, `promiscMode: want true or false, got {"a":1}`, flagHelp},
		{`"enabledad": "no"`, `enabledad: want true or false, got "no"`, flagHelp},
		{`"disableContainerInterface": 0`, `disableContainerInterface: want true or false, got 0`, flagHelp},
		{`"mtu": "1500"`, `mtu: want a whole number, got "1500"`, numHelp},
		{`"mtu": 1500.5`, `mtu: want a whole number, got 1500.5`, numHelp},
		{`"mtu": 99999999999999999999`, `mtu: want a whole number, got 99999999999999999999`, numHelp},
		{`"mtu": 67`, `mtu: 67 is out of range`, mtuHelp},
		{`"mtu": 65536`, `mtu: 65536 is out of range`, mtuHelp},
		{`"mtu": -1`, `mtu: -1 is out of range`, mtuHelp},
		{`"statusOnFull": true`, `statusOnFull: want a string, got true`, textHelp},
		{`"statusOnFull": "Warn"`, `statusOnFull: "Warn" is not known`, `give "error" or "warn"`},
		{`"statusOnFull": "ok"`, `statusOnFull: "ok" is not known`, `give "error" or "warn"`},
		{`"stateDir": ["/run"]`, `stateDir: want a string, got ["/run"]`, textHelp},
		{`"stateDir": "/run\u0000"`, `stateDir: "/run\x00" is not an absolute path`, pathHelp},
		{`"logFile": 7`, `logFile: want a string, got 7`, textHelp},
		{`"logFile": "log"`, `logFile: "log" is not an absolute path`, pathHelp},
		{`"readyFile": true`, `readyFile: want a string, got true`, textHelp},
		{`"readyFile": "ready"`, `readyFile: "ready" is not an absolute path`, pathHelp},
		{`"stateDir": "run/patchbay"`, `stateDir: "run/patchbay" is not an absolute path`, pathHelp},
	}
}

// invalidSections are dns, args and runtimeConfig with invalid values, and keys that exclude one another.
func invalidSections() []refusal {
	return []refusal{
		{`"dns": "192.0.2.1"`, `dns: want an object, got "192.0.2.1"`, objHelp},
		{`"dns": {"nameservers": "192.0.2.1"}`, `dns.nameservers: want a list of strings, got "192.0.2.1"`, textsHelp},
		{`"dns": {"nameservers": ["ns1"]}`, `dns.nameservers: "ns1" is not an IP address`, "give IP addresses"},
		{`"dns": {"domain": ["a"]}`, `dns.domain: want a string, got ["a"]`, textHelp},
		{`"dns": {"search": "a"}`, `dns.search: want a list of strings, got "a"`, textsHelp},
		{`"dns": {"options": [1]}`, `dns.options: want a list of strings, got [1]`, textsHelp},
		{`"args": "x"`, `args: want an object, got "x"`, objHelp},
		{`"args": {"cni": []}`, `args.cni: want an object, got []`, objHelp},
		{`"args": {"cni": {"mac": 2}}`, `args.cni.mac: want a string, got 2`, textHelp},
		{`"args": {"cni": {"mac": "02:00:00:00:00"}}`, `args.cni.mac: "02:00:00:00:00" is not a MAC address`, macHelp},
		{`"runtimeConfig": []`, `runtimeConfig: want an object, got []`, objHelp},
		{`"runtimeConfig": {"mac": 2}`, `runtimeConfig.mac: want a string, got 2`, textHelp},
		{`"runtimeConfig": {"mac": "02:00:00:00:00:00:00:01"}`, `runtimeConfig.mac: "02:00:00:00:00:00:00:01" is not a MAC address`, macHelp},
		{`"runtimeConfig": {"mac": "03:00:00:00:00:01"}`, `runtimeConfig.mac: "03:00:00:00:00:01" is a multicast address, which an interface cannot have`, macHelp},
		{`"runtimeConfig": {"mac": "ff:ff:ff:ff:ff:ff"}`, `runtimeConfig.mac: "ff:ff:ff:ff:ff:ff" is a multicast address, which an interface cannot have`, macHelp},
		{`"runtimeConfig": {"mac": "00:00:00:00:00:00"}`, `runtimeConfig.mac: "00:00:00:00:00:00" is the zero address`, macHelp},
		{`"args": {"cni": {"mac": "bad"}}, "runtimeConfig": {"mac": "02:00:00:00:00:01"}`, `args.cni.mac: "bad" is not a MAC address`, macHelp},
		{`"runtimeConfig": {"dns": []}`, `runtimeConfig.dns: want an object, got []`, objHelp},
		{`"runtimeConfig": {"dns": {"servers": [1]}}`, `runtimeConfig.dns.servers: want a list of strings, got [1]`, textsHelp},
		{`"runtimeConfig": {"dns": {"servers": ["x"]}}`, `runtimeConfig.dns.servers: "x" is not an IP address`, "give IP addresses"},
		{`"runtimeConfig": {"dns": {"searches": 1}}`, `runtimeConfig.dns.searches: want a list of strings, got 1`, textsHelp},
		{`"runtimeConfig": {"dns": {"options": 1}}`, `runtimeConfig.dns.options: want a list of strings, got 1`, textsHelp},
		{`"hairpinMode": true, "promiscMode": true`, `hairpinMode: cannot be true together with promiscMode`, "set one of the two to false"},
		{`"disableContainerInterface": true, "ipam": {"type": "patchbay", "subnet": "10.1.2.0/24"}`, `disableContainerInterface: cannot be true together with ipam`, `leave "ipam" out, or set the key to false`},
		{`"mtu": 1279, "ipam": {"type": "patchbay", "subnet": "2001:db8::/64"}`, `mtu: 1279 is too small for IPv6`, "give at least 1280, or no IPv6 ranges"},
		{`"runtimeConfig": {"ips": "10.1.2.3"}, "ipam": {"type": "patchbay", "subnet": "10.1.2.0/24"}`, `runtimeConfig.ips: want a list of strings, got "10.1.2.3"`, textsHelp},
		{`"runtimeConfig": {"ips": ["10.1.2"]}, "ipam": {"type": "patchbay", "subnet": "10.1.2.0/24"}`, `runtimeConfig.ips: "10.1.2" is not an IP address`, ipsHelp},
		{`"args": {"cni": {"ips": [5]}}, "ipam": {"type": "patchbay", "subnet": "10.1.2.0/24"}`, `args.cni.ips: want a list of strings, got [5]`, textsHelp},
		{`"args": {"cni": {"ips": ["fe80::1%eth0"]}}, "ipam": {"type": "patchbay", "subnet": "10.1.2.0/24"}`, `args.cni.ips: "fe80::1%eth0" is not an IP address`, ipsHelp},
	}
}

// Every key of the top level with every invalid value.
//
// Claim: A full pool is code 50 only if no stale attachment holds an address; with `statusOnFull` `warn` it is a line on stderr
func TestParseRefuses(t *testing.T) {
	for _, tc := range slices.Concat(invalidKeys(), invalidSections()) {
		t.Run(tc.members, func(t *testing.T) {
			refuses(t, conf(tc.members), "", &Error{Kind: Invalid, Msg: tc.msg, Details: tc.details})
		})
	}
}

// IPv6 needs 1280 bytes, IPv4 does not; 0 leaves the choice to the bridge.
func TestParseSmallestMTU(t *testing.T) {
	for _, members := range []string{
		`"mtu": 1280, "ipam": {"type": "patchbay", "subnet": "2001:db8::/64"}`,
		`"mtu": 0, "ipam": {"type": "patchbay", "subnet": "2001:db8::/64"}`,
		`"mtu": 68, "ipam": {"type": "patchbay", "subnet": "10.1.2.0/24"}`,
	} {
		if _, err := Parse([]byte(conf(members)), ""); err != nil {
			t.Errorf("%s: %v", members, err)
		}
	}
	refuses(t, conf(`"mtu": 576, "ipam": {"type": "patchbay", "ranges": [[{"subnet": "10.1.2.0/24"}], [{"subnet": "2001:db8::/64"}]]}`), "",
		&Error{Msg: "mtu: 576 is too small for IPv6", Details: "give at least 1280, or no IPv6 ranges"})
}

// Claim: A whole network configuration list on stdin is refused with what to pass instead; DEL works with it
func TestParseRefusesIdentity(t *testing.T) {
	const nameHelp = "use letters, digits, dot, underscore and dash, a letter or digit first"
	for _, tc := range []struct{ data, msg, details string }{
		{`{}`, `name: missing network name`, `give the network a "name"`},
		{`{"name": ""}`, `name: missing network name`, `give the network a "name"`},
		{`{"name": 5}`, `name: want a string, got 5`, "give a string, or leave the key out"},
		{`{"name": "a/b"}`, `name: invalid characters in network name "a/b"`, nameHelp},
		{`{"name": ".."}`, `name: invalid characters in network name ".."`, nameHelp},
		{`{"name": "a@b"}`, `name: invalid characters in network name "a@b"`, nameHelp},
		{`{"name": "a\n"}`, `name: invalid characters in network name "a\n"`, nameHelp},
		{`{"name": "-a"}`, `name: invalid characters in network name "-a"`, nameHelp},
		{`{"name": "net", "cniVersion": 1.0}`, `cniVersion: want a string, got 1.0`, "give a string, or leave the key out"},
		{`{"name": "net", "type": ["patchbay"]}`, `type: want a string, got ["patchbay"]`, "give a string, or leave the key out"},
		{`{"name": "net", "plugins": [{"type": "patchbay"}]}`, `this is a network configuration list`, `pass one object of its plugins, with name and cniVersion of the list`},
		{`{"plugins": []}`, `this is a network configuration list`, `pass one object of its plugins, with name and cniVersion of the list`},
		{`{"name": "net", "plugins": {}}`, `type: missing`, `set it to "patchbay"`},
		{`{"name": "net"}`, `type: missing`, `set it to "patchbay"`},
		{`{"name": "net", "ipam": {"type": "patchbay", "subnet": "10.1.2.0/24"}}`, `type: missing`, `set it to "patchbay"`},
		{`{"name": "` + strings.Repeat("n", 256) + `"}`, `name: 256 bytes are too long`, "use at most 255 bytes"},
	} {
		t.Run(tc.data, func(t *testing.T) {
			refuses(t, tc.data, "", &Error{Kind: Invalid, Msg: tc.msg, Details: tc.details})
		})
	}
	longest := bare()
	longest.Name = strings.Repeat("n", 255)
	accepts(t, `{"cniVersion": "1.0.0", "name": "`+longest.Name+`", "type": "patchbay"}`, "", longest)
	// The state directory is the mistake; that the data directory follows from it is not.
	for range 100 {
		refuses(t, conf(`"stateDir": "run"`), "", &Error{Msg: `stateDir: "run" is not an absolute path`, Details: "give a path that begins with /"})
	}
}

// Of several errors the first in the order of decoding is returned.
func TestParseFirstMistake(t *testing.T) {
	refuses(t, conf(`"mtu": "x", "bridge": 5, "ipam": {"type": "patchbay"}`), "junk", &Error{Msg: "bridge: want a string, got 5", Details: "give a string, or leave the key out"})
	refuses(t, conf(`"ipam": {"type": "patchbay"}`), "junk", &Error{Kind: Environment, Msg: `CNI_ARGS: invalid pair "junk"`, Details: "CNI_ARGS holds pairs KEY=VALUE, separated by semicolons"})
}

// TestParseRefusesGatewayOutside: only where the bridge would get it, and it could not be reached.
func TestParseRefusesGatewayOutside(t *testing.T) {
	const outside = `"ipam": {"type": "patchbay", "subnet": "10.1.2.0/24", "gateway": "10.9.9.1"}`
	refuses(t, conf(`"isGateway": true, `+outside), "", &Error{
		Msg: "ipam: gateway 10.9.9.1 is not in subnet 10.1.2.0/24", Details: "give a gateway within the subnet, or leave isGateway and isDefaultGateway out",
	})
	for _, keys := range []string{
		outside,
		`"isGateway": true, "ipam": {"type": "patchbay", "ranges": [[{"subnet": "10.1.2.5/32", "gateway": "10.9.9.1"}]]}`,
	} {
		if _, err := Parse([]byte(conf(keys)), ""); err != nil {
			t.Errorf("%s: %v", keys, err)
		}
	}
}
