package config

import (
	"fmt"
	"strings"
	"testing"
)

// mapped returns a configuration with addresses of both families, port mappings, and more keys.
func mapped(mappings string, keys ...string) string {
	return conf(strings.Join(append([]string{
		`"ipam": {"type": "patchbay", "ranges": [[{"subnet": "10.1.2.0/24"}], [{"subnet": "2001:db8::/64"}]]}`,
		`"runtimeConfig": {"portMappings": ` + mappings + `}`,
	}, keys...), ", "))
}

// published returns the Publish of a configuration.
func published(t *testing.T, data string) Publish {
	t.Helper()
	c, err := Parse([]byte(data), "")
	if err != nil {
		t.Fatalf("Parse(%s): %v", data, err)
	}
	return c.Publish
}

func TestParsePublish(t *testing.T) {
	with := func(change func(*Config)) *Config {
		c := bare()
		change(c)
		return c
	}
	for keys, want := range map[string]*Config{
		``: bare(),
		`"snat": true, "masqAll": false, "markMasqBit": 13, "hostLocalhost": true, "backend": ""`:                                             bare(),
		`"snat": null, "masqAll": null, "markMasqBit": null, "hostLocalhost": null, "backend": null, "ingressPolicy": null, "firewall": null`: bare(),
		`"snat": false`:                           with(func(c *Config) { c.Publish.SNAT = false }),
		`"snat": false, "masqAll": false`:         with(func(c *Config) { c.Publish.SNAT = false }),
		`"masqAll": true`:                         with(func(c *Config) { c.Publish.MasqAll = true }),
		`"markMasqBit": 0`:                        with(func(c *Config) { c.Publish.MarkBit = 0 }),
		`"markMasqBit": 31`:                       with(func(c *Config) { c.Publish.MarkBit = 31 }),
		`"hostLocalhost": false`:                  with(func(c *Config) { c.Publish.Localhost = false }),
		`"backend": "nftables"`:                   bare(),
		`"backend": "iptables"`:                   bare(),
		`"runtimeConfig": {"portMappings": []}`:   bare(),
		`"runtimeConfig": {"portMappings": null}`: bare(),
		`"externalSetMarkChain": "", "conditionsV4": [], "conditionsV6": null`: bare(),
		`"ingressPolicy": "open"`:        with(func(c *Config) { c.Firewall = FirewallAuto }),
		`"ingressPolicy": "published"`:   with(func(c *Config) { c.IngressPolicy, c.Firewall = PolicyPublished, FirewallAuto }),
		`"ingressPolicy": "same-bridge"`: with(func(c *Config) { c.IngressPolicy, c.Firewall = PolicySameBridge, FirewallAuto }),
		`"ingressPolicy": "isolated", "firewall": "none"`: with(func(c *Config) {
			c.IngressPolicy, c.Firewall, c.SpoofCheck.Level = PolicyIsolated, FirewallNone, SpoofMAC
		}),
		`"ingressPolicy": "isolated", "firewall": "report"`: with(func(c *Config) { c.IngressPolicy, c.SpoofCheck.Level = PolicyIsolated, SpoofMAC }),
		`"ingressPolicy": "", "firewall": ""`:               bare(),
		`"firewall": "report"`:                              bare(),
		`"firewall": "auto"`:                                with(func(c *Config) { c.Firewall = FirewallAuto }),
		`"firewall": "none"`:                                with(func(c *Config) { c.Firewall = FirewallNone }),
	} {
		accepts(t, conf(keys), "", want)
	}
}

func TestParsePortMappings(t *testing.T) {
	one := PortMapping{Protocol: "tcp", HostPort: 8080, ContainerPort: 80, Count: 1}
	with := func(change func(*PortMapping)) []PortMapping {
		m := one
		change(&m)
		return []PortMapping{m}
	}
	for mapping, want := range map[string][]PortMapping{
		``:                                        {one},
		`, "protocol": ""`:                        {one},
		`, "protocol": "TCP"`:                     {one},
		`, "protocol": "Udp"`:                     with(func(m *PortMapping) { m.Protocol = "udp" }),
		`, "protocol": "sctp"`:                    with(func(m *PortMapping) { m.Protocol = "sctp" }),
		`, "hostIP": ""`:                          {one},
		`, "hostIP": "192.0.2.1"`:                 with(func(m *PortMapping) { m.HostIP = addr("192.0.2.1") }),
		`, "hostIP": "::ffff:192.0.2.1"`:          with(func(m *PortMapping) { m.HostIP = addr("192.0.2.1") }),
		`, "hostIP": "0.0.0.0"`:                   with(func(m *PortMapping) { m.HostIP = addr("0.0.0.0") }),
		`, "hostIP": "::"`:                        with(func(m *PortMapping) { m.HostIP = addr("::") }),
		`, "hostIP": "127.0.0.1"`:                 with(func(m *PortMapping) { m.HostIP = addr("127.0.0.1") }),
		`, "range": 0`:                            {one},
		`, "range": 1`:                            {one},
		`, "range": 4096`:                         with(func(m *PortMapping) { m.Count = 4096 }),
		`, "hostPort": 65535, "containerPort": 1`: with(func(m *PortMapping) { m.HostPort, m.ContainerPort = 65535, 1 }),
		`, "hostPort": 1, "containerPort": 65535`: with(func(m *PortMapping) { m.HostPort, m.ContainerPort = 1, 65535 }),
		`, "hostPort": 65534, "range": 2`:         with(func(m *PortMapping) { m.HostPort, m.Count = 65534, 2 }),
		`, "name": "web", "labels": {}`:           {one}, // unknown members are ignored
		`}, {"hostPort": 8080, "containerPort": 80, "protocol": "udp"`:                            {one, with(func(m *PortMapping) { m.Protocol = "udp" })[0]},
		`, "hostIP": "192.0.2.1"}, {"hostPort": 8080, "containerPort": 80, "hostIP": "192.0.2.2"`: {with(func(m *PortMapping) { m.HostIP = addr("192.0.2.1") })[0], with(func(m *PortMapping) { m.HostIP = addr("192.0.2.2") })[0]},
		`, "hostIP": "0.0.0.0"}, {"hostPort": 8080, "containerPort": 80, "hostIP": "::"`:          {with(func(m *PortMapping) { m.HostIP = addr("0.0.0.0") })[0], with(func(m *PortMapping) { m.HostIP = addr("::") })[0]},
		`, "hostIP": "0.0.0.0"}, {"hostPort": 8080, "containerPort": 80, "hostIP": "2001:db8::1"`: {with(func(m *PortMapping) { m.HostIP = addr("0.0.0.0") })[0], with(func(m *PortMapping) { m.HostIP = addr("2001:db8::1") })[0]},
		`, "range": 2}, {"hostPort": 8082, "containerPort": 80`:                                   {with(func(m *PortMapping) { m.Count = 2 })[0], with(func(m *PortMapping) { m.HostPort = 8082 })[0]},
	} {
		got := published(t, mapped(`[{"hostPort": 8080, "containerPort": 80`+mapping+`}]`)).Ports // of a key that is there twice the last counts
		if fmt.Sprint(got) != fmt.Sprint(want) || len(got) != len(want) || got[0] != want[0] || got[len(got)-1] != want[len(want)-1] {
			t.Errorf("%s: got %+v, want %+v", mapping, got, want)
		}
	}
}

// Every key of published ports with every invalid value.
//
// Claim: Every mistake in a port mapping or in a key of ports and isolation is a specific error before anything is changed
func TestParseRefusesPublish(t *testing.T) {
	const (
		flagHelp  = "give true or false, or leave the key out"
		textHelp  = "give a string, or leave the key out"
		numHelp   = "give a whole number, or leave the key out"
		bitHelp   = "give a number from 0 to 31, or leave the key out"
		backHelp  = `give "nftables" or "iptables", or leave the key out; Patchbay uses nftables`
		alone     = "leave the key out; for addresses of the host use hostIP in portMappings, for the mark markMasqBit"
		policies  = `give "open", "same-bridge", "isolated" or "published"`
		firewalls = `give "report", "auto" or "none"`
	)
	for _, tc := range []struct {
		keys, msg, details string
		kind               Kind
	}{
		{`"snat": "false"`, `snat: want true or false, got "false"`, flagHelp, 0},
		{`"snat": 0`, `snat: want true or false, got 0`, flagHelp, 0},
		{`"masqAll": "yes"`, `masqAll: want true or false, got "yes"`, flagHelp, 0},
		{`"masqAll": true, "snat": false`, `masqAll: cannot be true where snat is false`, "leave snat out, or set masqAll to false", 0},
		{`"hostLocalhost": []`, `hostLocalhost: want true or false, got []`, flagHelp, 0},
		{`"markMasqBit": "13"`, `markMasqBit: want a whole number, got "13"`, numHelp, 0},
		{`"markMasqBit": 1.5`, `markMasqBit: want a whole number, got 1.5`, numHelp, 0},
		{`"markMasqBit": 32`, `markMasqBit: 32 is out of range`, bitHelp, 0},
		{`"markMasqBit": -1`, `markMasqBit: -1 is out of range`, bitHelp, 0},
		{`"backend": true`, `backend: want a string, got true`, textHelp, 0},
		{`"backend": "ipvs"`, `backend: "ipvs" is not known`, backHelp, 0},
		{`"backend": "Nftables"`, `backend: "Nftables" is not known`, backHelp, 0},
		{`"externalSetMarkChain": "KUBE-MARK-MASQ"`, `externalSetMarkChain: "KUBE-MARK-MASQ" applies to iptables only`, alone, Unsupported},
		{`"conditionsV4": ["-d", "192.0.2.0/24"]`, `conditionsV4: ["-d","192.0.2.0/24"] applies to iptables only`, alone, Unsupported},
		{`"conditionsV6": ["!"]`, `conditionsV6: ["!"] applies to iptables only`, alone, Unsupported},
		{`"conditionsV6": 5`, `conditionsV6: 5 applies to iptables only`, alone, Unsupported},
		{`"ingressPolicy": true`, `ingressPolicy: want a string, got true`, textHelp, 0},
		{`"ingressPolicy": "Isolated"`, `ingressPolicy: "Isolated" is not known`, policies, 0},
		{`"ingressPolicy": "closed"`, `ingressPolicy: "closed" is not known`, policies, 0},
		{`"firewall": {}`, `firewall: want a string, got {}`, textHelp, 0},
		{`"firewall": "off"`, `firewall: "off" is not known`, firewalls, 0},
		{`"runtimeConfig": {"portMappings": {}}`, `runtimeConfig.portMappings: want a list of objects, got {}`, "give a list of objects, or leave the key out", 0},
		{`"runtimeConfig": {"portMappings": ["8080:80"]}`, `runtimeConfig.portMappings: want a list of objects, got ["8080:80"]`, "give a list of objects, or leave the key out", 0},
	} {
		refuses(t, conf(tc.keys), "", &Error{Kind: tc.kind, Msg: tc.msg, Details: tc.details})
	}
}

// Every key of a mapping with every mistake; the mapping before it is good, and the error names the second.
//
// Claim: Every mistake in a port mapping or in a key of ports and isolation is a specific error before anything is changed
func TestParseRefusesPortMappings(t *testing.T) {
	const (
		portHelp  = "give a port from 1 to 65535"
		textHelp  = "give a string, or leave the key out"
		numHelp   = "give a whole number, or leave the key out"
		protoHelp = `give "tcp", "udp" or "sctp"`
		ipHelp    = "give an address of the host, or leave the key out for any"
		rangeHelp = "the highest port is 65535"
	)
	const at = "runtimeConfig.portMappings[1]."
	for _, tc := range []struct{ mapping, msg, details string }{
		{`"hostPort": 70000`, at + `hostPort: 70000 is not a port`, portHelp},
		{`"hostPort": 65536`, at + `hostPort: 65536 is not a port`, portHelp},
		{`"hostPort": -1`, at + `hostPort: -1 is not a port`, portHelp},
		{`"hostPort": "80"`, at + `hostPort: want a whole number, got "80"`, numHelp},
		{`"hostPort": 80.5`, at + `hostPort: want a whole number, got 80.5`, numHelp},
		{`"containerPort": 0`, at + `containerPort: 0 is not a port`, portHelp},
		{`"containerPort": null`, at + `containerPort: 0 is not a port`, portHelp},
		{`"containerPort": 70000`, at + `containerPort: 70000 is not a port`, portHelp},
		{`"containerPort": -1`, at + `containerPort: -1 is not a port`, portHelp},
		{`"containerPort": "80"`, at + `containerPort: want a whole number, got "80"`, numHelp},
		{`"protocol": "tpc"`, at + `protocol: "tpc" is not known`, protoHelp},
		{`"protocol": "tcp "`, at + `protocol: "tcp " is not known`, protoHelp},
		{`"protocol": 6`, at + `protocol: want a string, got 6`, textHelp},
		{`"hostIP": "garbage"`, at + `hostIP: "garbage" is not an address of a host`, ipHelp},
		{`"hostIP": "192.0.2.1/24"`, at + `hostIP: "192.0.2.1/24" is not an address of a host`, ipHelp},
		{`"hostIP": "fe80::1%eth0"`, at + `hostIP: "fe80::1%eth0" is not an address of a host`, ipHelp},
		{`"hostIP": "224.0.0.1"`, at + `hostIP: "224.0.0.1" is not an address of a host`, ipHelp},
		{`"hostIP": "::ffff:224.0.0.1"`, at + `hostIP: "::ffff:224.0.0.1" is not an address of a host`, ipHelp},
		{`"hostIP": "ff02::1"`, at + `hostIP: "ff02::1" is not an address of a host`, ipHelp},
		{`"hostIP": 5`, at + `hostIP: want a string, got 5`, textHelp},
		{`"range": "2"`, at + `range: want a whole number, got "2"`, numHelp},
		{`"range": -1`, at + `range: -1 is out of range`, "give a number from 1 to 65535, or 0 for the default"},
		{`"range": 65536`, at + `range: 65536 is out of range`, "give a number from 1 to 65535, or 0 for the default"},
		{`"hostPort": 65534, "range": 3`, at + `range: 3 ports would end at 65536`, rangeHelp},
		{`"containerPort": 65535, "range": 2`, at + `range: 2 ports would end at 65536`, rangeHelp},
	} {
		data := mapped(`[{"hostPort": 22, "containerPort": 22}, {"hostPort": 9090, "containerPort": 90, ` + tc.mapping + `}]`)
		refuses(t, data, "", &Error{Msg: tc.msg, Details: tc.details})
	}
	refuses(t, mapped(`[null]`), "", &Error{Msg: `runtimeConfig.portMappings[0].containerPort: 0 is not a port`, Details: portHelp})
}

// At most 4096 ports in all, and each host port for one container port; a wildcard mapping counts for all addresses.
//
// Claim: 4096 ports are added and removed in one transaction each, and one more is refused
// Claim: Every mapping that can be published is published once; a mapping that no packet can reach is a line on stderr, and for `-p` an
// error that names the flag
// Claim: Every mistake in a port mapping or in a key of ports and isolation is a specific error before anything is changed
func TestParseRefusesMappingsTogether(t *testing.T) {
	const (
		most = "publish at most 4096 ports of one container"
		once = "publish each port of the host once"
	)
	m := func(hostPort, count int, rest string) string {
		return fmt.Sprintf(`{"hostPort": %d, "range": %d, "containerPort": 1%s}`, hostPort, count, rest)
	}
	on := func(address string) string { return `, "containerPort": 2, "hostIP": "` + address + `"` }
	const two = `, "containerPort": 2`
	for _, tc := range []struct{ first, second, msg, details string }{
		{m(1000, 1, ""), m(2000, 4096, ""), "4097 ports are too many", most},
		{m(1000, 1, ""), m(2000, 5000, ""), "5001 ports are too many", most},
		{m(1000, 2048, ""), m(4000, 2049, ""), "4097 ports are too many", most},
		{m(80, 1, ""), m(80, 1, two), "80/tcp -> 1 and 80/tcp -> 2 both publish 80/tcp", once},
		{m(80, 1, ""), m(80, 1, on("192.0.2.1")), "80/tcp -> 1 and 80/tcp of 192.0.2.1 -> 2 both publish 80/tcp", once},
		{m(80, 1, on("192.0.2.1")), m(80, 1, ""), "80/tcp of 192.0.2.1 -> 2 and 80/tcp -> 1 both publish 80/tcp", once},
		{m(80, 1, `, "hostIP": "0.0.0.0"`), m(80, 1, on("192.0.2.1")), "80/tcp of 0.0.0.0 -> 1 and 80/tcp of 192.0.2.1 -> 2 both publish 80/tcp", once},
		{m(80, 1, `, "hostIP": "2001:db8::1"`), m(80, 1, on("::")), "80/tcp of 2001:db8::1 -> 1 and 80/tcp of :: -> 2 both publish 80/tcp", once},
		{m(8000, 100, ""), m(8099, 2, ""), "8000-8099/tcp -> 1 and 8099-8100/tcp -> 1 both publish 8099/tcp", once},
		{m(8000, 100, `, "protocol": "udp"`), m(8050, 1, `, "protocol": "UDP"`), "8000-8099/udp -> 1 and 8050/udp -> 1 both publish 8050/udp", once},
	} {
		refuses(t, mapped(`[`+tc.first+`, `+tc.second+`]`), "", &Error{Msg: "runtimeConfig.portMappings: " + tc.msg, Details: tc.details})
	}
	if got := published(t, mapped(`[`+m(1000, 2048, "")+`, `+m(4000, 2048, "")+`]`)).Ports; len(got) != 2 {
		t.Errorf("4096 ports: %v", got)
	}
}

// A port of several mappings is published once, by the one for more addresses.
//
// Claim: Every mapping that can be published is published once; a mapping that no packet can reach is a line on stderr, and for `-p` an
// error that names the flag
func TestParsePublishesOnce(t *testing.T) {
	m := func(hostPort, count int, hostIP string) string {
		return fmt.Sprintf(`{"hostPort": %d, "containerPort": %d, "range": %d, "hostIP": %q}`, hostPort, hostPort+1000, count, hostIP)
	}
	for _, tc := range []struct {
		mappings      []string
		want, covered string
	}{
		{[]string{m(80, 1, ""), m(80, 1, "")}, "80/tcp", "1"},
		{[]string{m(80, 1, ""), m(80, 1, "127.0.0.1")}, "80/tcp", "1"},
		{[]string{m(80, 1, "127.0.0.1"), m(80, 1, "")}, "80/tcp", "0"},
		{[]string{m(80, 1, "127.0.0.1"), m(80, 1, "0.0.0.0"), m(80, 1, "")}, "80/tcp", "0 1"},
		{[]string{m(80, 1, "0.0.0.0"), m(80, 1, "::")}, "80/tcp of 0.0.0.0, 80/tcp of ::", ""},
		{[]string{m(80, 1, "::"), m(80, 1, "2001:db8::1"), m(80, 1, "192.0.2.1")}, "80/tcp of ::, 80/tcp of 192.0.2.1", "1"},
		{[]string{m(80, 1, "192.0.2.1"), m(80, 1, "192.0.2.2"), m(80, 1, "")}, "80/tcp", "0 1"},
		{[]string{m(80, 10, ""), m(85, 10, "")}, "80-89/tcp, 90-94/tcp", "1"},
		{[]string{m(80, 10, "192.0.2.1"), m(84, 2, "")}, "80-83/tcp of 192.0.2.1, 86-89/tcp of 192.0.2.1, 84-85/tcp", "0"},
		{[]string{m(80, 1, ""), m(80, 1, ""), m(80, 1, "")}, "80/tcp", "1 2"},
	} {
		p := published(t, mapped("["+strings.Join(tc.mappings, ", ")+"]"))
		var ports, covered []string
		for _, m := range p.Ports {
			ports = append(ports, m.String())
			if m.ContainerPort != m.HostPort+1000 {
				t.Errorf("%q: %s maps to %d", tc.mappings, m, m.ContainerPort)
			}
		}
		for _, c := range p.Unused {
			covered = append(covered, fmt.Sprint(c.Index))
			if c.NotPublished || c.Why == "" || c.Fix == "" {
				t.Errorf("%q: %+v", tc.mappings, c)
			}
		}
		if got := strings.Join(ports, ", "); got != tc.want || strings.Join(covered, " ") != tc.covered {
			t.Errorf("%q: publishes %s, covered %q, want %s and %s", tc.mappings, got, covered, tc.want, tc.covered)
		}
	}
}

// A mapping that no connection could use is reported, and the rest is published; hostPort 0 publishes nothing.
//
// Claim: Every mapping that can be published is published once; a mapping that no packet can reach is a line on stderr, and for `-p` an
// error that names the flag
// Claim: Every mistake in a port mapping or in a key of ports and isolation is a specific error before anything is changed
func TestParsePointlessMappings(t *testing.T) {
	with := func(ipam, mapping string) string {
		return conf(ipam + `"runtimeConfig": {"portMappings": [{"hostPort": 80, "containerPort": 80}, {"hostPort": 81, "containerPort": 80, ` + mapping + `}]}`)
	}
	const v4, v6 = `"ipam": {"type": "patchbay", "subnet": "10.1.2.0/24"}, `, `"ipam": {"type": "patchbay", "subnet": "2001:db8::/64"}, `
	const family, none, loopback = "network net has no addresses of that family", "network net has no addresses to map ports to", "is not reached where hostLocalhost or snat is false"
	for _, tc := range []struct {
		ipam, mapping string
		left          int
		why           string // of the last mapping
		lost          bool
	}{
		{"", `"range": 1`, 0, none, true},
		{`"ipam": {}, `, `"range": 1`, 0, none, true},
		{v4, `"hostIP": "2001:db8::1"`, 1, "port 81/tcp of 2001:db8::1 is not published: " + family, true},
		{v4, `"hostIP": "::"`, 1, family, false},
		{v6, `"hostIP": "0.0.0.0"`, 1, family, false},
		{v6, `"hostIP": "192.0.2.1"`, 1, family, true},
		{v6, `"hostIP": "127.0.0.1"`, 1, family, true},
		{v6, `"hostIP": "::1"`, 1, "the kernel delivers no reply of a container to ::1", true},
		{`"snat": false, ` + v4, `"hostIP": "127.9.9.9"`, 1, "127.9.9.9 " + loopback, true},
		{`"hostLocalhost": false, ` + v4, `"hostIP": "127.0.0.1"`, 1, "127.0.0.1 " + loopback, true},
		{v4, `"hostPort": 0`, 1, "", false},
		{v4, `"hostPort": null`, 1, "", false},
		{`"ipam": {"type": "dhcp"}, `, `"hostIP": "2001:db8::1"`, 2, "", false}, // what it gives is known when it has
	} {
		p := published(t, with(tc.ipam, tc.mapping))
		if len(p.Ports) != tc.left || (len(p.Unused) == 0) != (tc.why == "") {
			t.Errorf("%s%s: %+v", tc.ipam, tc.mapping, p)
			continue
		}
		if tc.why == "" {
			continue
		}
		last := p.Unused[len(p.Unused)-1]
		if !strings.Contains(last.String(), tc.why) || last.NotPublished != tc.lost || last.Fix == "" || last.Index != 1 {
			t.Errorf("%s%s: %s: %+v", tc.ipam, tc.mapping, last, last)
		}
	}
}

func TestPortMapping(t *testing.T) {
	for _, tc := range []struct {
		m            PortMapping
		text         string
		v4, v6, only bool
	}{
		{PortMapping{Protocol: "tcp", HostPort: 80, Count: 1}, "80/tcp", true, true, false},
		{PortMapping{Protocol: "udp", HostPort: 8080, Count: 11, HostIP: addr("192.0.2.1")}, "8080-8090/udp of 192.0.2.1", true, false, true},
		{PortMapping{Protocol: "sctp", HostPort: 65535, Count: 1, HostIP: addr("2001:db8::1")}, "65535/sctp of 2001:db8::1", false, true, true},
		{PortMapping{Protocol: "tcp", HostPort: 80, Count: 1, HostIP: addr("0.0.0.0")}, "80/tcp of 0.0.0.0", true, false, false},
		{PortMapping{Protocol: "tcp", HostPort: 80, Count: 1, HostIP: addr("::")}, "80/tcp of ::", false, true, false},
	} {
		if tc.m.String() != tc.text || tc.m.Wants(true) != tc.v4 || tc.m.Wants(false) != tc.v6 || tc.m.Specific() != tc.only {
			t.Errorf("%+v: got %q, v4 %t, v6 %t, specific %t; want %+v", tc.m, tc.m, tc.m.Wants(true), tc.m.Wants(false), tc.m.Specific(), tc)
		}
	}
}
