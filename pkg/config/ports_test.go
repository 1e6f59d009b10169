package config

import (
	"fmt"
	"strings"
	"testing"
)

// mapped is a configuration with addresses of both families, port mappings, and more keys.
func mapped(mappings string, keys ...string) string {
	return conf(strings.Join(append([]string{
		`"ipam": {"type": "patchbay", "ranges": [[{"subnet": "10.1.2.0/24"}], [{"subnet": "2001:db8::/64"}]]}`,
		`"runtimeConfig": {"portMappings": ` + mappings + `}`,
	}, keys...), ", "))
}

// published is what Parse makes of it.
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
		`"ingressPolicy": "open"`:                           with(func(c *Config) { c.Firewall = FirewallAuto }),
		`"ingressPolicy": "same-bridge"`:                    with(func(c *Config) { c.IngressPolicy, c.Firewall = PolicySameBridge, FirewallAuto }),
		`"ingressPolicy": "isolated", "firewall": "none"`:   with(func(c *Config) { c.IngressPolicy, c.Firewall = PolicyIsolated, FirewallNone }),
		`"ingressPolicy": "isolated", "firewall": "report"`: with(func(c *Config) { c.IngressPolicy = PolicyIsolated }),
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
		`, "name": "web", "labels": {}`:           {one}, // a runtime may say more
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

// Every key of published ports with every mistake that can be made with it.
func TestParseRefusesPublish(t *testing.T) {
	const (
		flagHelp  = "give true or false, or leave the key out"
		textHelp  = "give a text, or leave the key out"
		numHelp   = "give a whole number, or leave the key out"
		bitHelp   = "give a number from 0 to 31, or leave the key out"
		backHelp  = `give "nftables" or "iptables", or leave the key out; Patchbay uses nftables`
		alone     = "leave the key out; for addresses of the host use hostIP in portMappings, for the mark markMasqBit"
		policies  = `give "open", "same-bridge" or "isolated"`
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
		{`"backend": true`, `backend: want a text, got true`, textHelp, 0},
		{`"backend": "ipvs"`, `backend: "ipvs" is not known`, backHelp, 0},
		{`"backend": "Nftables"`, `backend: "Nftables" is not known`, backHelp, 0},
		{`"externalSetMarkChain": "KUBE-MARK-MASQ"`, `externalSetMarkChain: "KUBE-MARK-MASQ" is for iptables alone`, alone, Unsupported},
		{`"conditionsV4": ["-d", "192.0.2.0/24"]`, `conditionsV4: ["-d","192.0.2.0/24"] is for iptables alone`, alone, Unsupported},
		{`"conditionsV6": ["!"]`, `conditionsV6: ["!"] is for iptables alone`, alone, Unsupported},
		{`"conditionsV6": 5`, `conditionsV6: 5 is for iptables alone`, alone, Unsupported},
		{`"ingressPolicy": true`, `ingressPolicy: want a text, got true`, textHelp, 0},
		{`"ingressPolicy": "Isolated"`, `ingressPolicy: "Isolated" is not known`, policies, 0},
		{`"ingressPolicy": "closed"`, `ingressPolicy: "closed" is not known`, policies, 0},
		{`"firewall": {}`, `firewall: want a text, got {}`, textHelp, 0},
		{`"firewall": "off"`, `firewall: "off" is not known`, firewalls, 0},
		{`"runtimeConfig": {"portMappings": {}}`, `runtimeConfig.portMappings: want a list of objects, got {}`, "give a list of objects, or leave the key out", 0},
		{`"runtimeConfig": {"portMappings": ["8080:80"]}`, `runtimeConfig.portMappings: want a list of objects, got ["8080:80"]`, "give a list of objects, or leave the key out", 0},
	} {
		refuses(t, conf(tc.keys), "", &Error{Kind: tc.kind, Msg: tc.msg, Details: tc.details})
	}
}

// Every key of a mapping with every mistake; the mapping before it is good, and the error names the second.
func TestParseRefusesPortMappings(t *testing.T) {
	const (
		portHelp  = "give a port from 1 to 65535"
		textHelp  = "give a text, or leave the key out"
		numHelp   = "give a whole number, or leave the key out"
		protoHelp = `give "tcp", "udp" or "sctp"`
		ipHelp    = "give an address of the host, or leave the key out for any"
		rangeHelp = "the last port there is is 65535"
	)
	const at = "runtimeConfig.portMappings[1]."
	for _, tc := range []struct{ mapping, msg, details string }{
		{`"hostPort": 0`, at + `hostPort: 0 is no port`, portHelp},
		{`"hostPort": null`, at + `hostPort: 0 is no port`, portHelp},
		{`"hostPort": 70000`, at + `hostPort: 70000 is no port`, portHelp},
		{`"hostPort": 65536`, at + `hostPort: 65536 is no port`, portHelp},
		{`"hostPort": -1`, at + `hostPort: -1 is no port`, portHelp},
		{`"hostPort": "80"`, at + `hostPort: want a whole number, got "80"`, numHelp},
		{`"hostPort": 80.5`, at + `hostPort: want a whole number, got 80.5`, numHelp},
		{`"containerPort": 0`, at + `containerPort: 0 is no port`, portHelp},
		{`"containerPort": null`, at + `containerPort: 0 is no port`, portHelp},
		{`"containerPort": 70000`, at + `containerPort: 70000 is no port`, portHelp},
		{`"containerPort": -1`, at + `containerPort: -1 is no port`, portHelp},
		{`"containerPort": "80"`, at + `containerPort: want a whole number, got "80"`, numHelp},
		{`"protocol": "tpc"`, at + `protocol: "tpc" is not known`, protoHelp},
		{`"protocol": "tcp "`, at + `protocol: "tcp " is not known`, protoHelp},
		{`"protocol": 6`, at + `protocol: want a text, got 6`, textHelp},
		{`"hostIP": "garbage"`, at + `hostIP: "garbage" is no address of a host`, ipHelp},
		{`"hostIP": "192.0.2.1/24"`, at + `hostIP: "192.0.2.1/24" is no address of a host`, ipHelp},
		{`"hostIP": "fe80::1%eth0"`, at + `hostIP: "fe80::1%eth0" is no address of a host`, ipHelp},
		{`"hostIP": "224.0.0.1"`, at + `hostIP: "224.0.0.1" is no address of a host`, ipHelp},
		{`"hostIP": "::ffff:224.0.0.1"`, at + `hostIP: "::ffff:224.0.0.1" is no address of a host`, ipHelp},
		{`"hostIP": "ff02::1"`, at + `hostIP: "ff02::1" is no address of a host`, ipHelp},
		{`"hostIP": 5`, at + `hostIP: want a text, got 5`, textHelp},
		{`"hostIP": "::1"`, at + `hostIP: ::1 cannot be published on`, "use 127.0.0.1: the kernel delivers no answer of a container to ::1"},
		{`"range": "2"`, at + `range: want a whole number, got "2"`, numHelp},
		{`"range": -1`, at + `range: -1 is out of range`, "give a number from 1 to 65535, or 0 for the default"},
		{`"range": 65536`, at + `range: 65536 is out of range`, "give a number from 1 to 65535, or 0 for the default"},
		{`"hostPort": 65534, "range": 3`, at + `range: 3 ports would end at 65536`, rangeHelp},
		{`"containerPort": 65535, "range": 2`, at + `range: 2 ports would end at 65536`, rangeHelp},
	} {
		data := mapped(`[{"hostPort": 22, "containerPort": 22}, {"hostPort": 9090, "containerPort": 90, ` + tc.mapping + `}]`)
		refuses(t, data, "", &Error{Msg: tc.msg, Details: tc.details})
	}
	for _, key := range []string{`"hostLocalhost": false`, `"snat": false`} {
		refuses(t, mapped(`[{"hostPort": 80, "containerPort": 80, "hostIP": "127.9.9.9"}]`, key), "", &Error{
			Msg: `runtimeConfig.portMappings[0].hostIP: 127.9.9.9 is not reached where hostLocalhost or snat is false`, Details: "leave hostLocalhost and snat out",
		})
	}
	refuses(t, mapped(`[null]`), "", &Error{Msg: `runtimeConfig.portMappings[0].hostPort: 0 is no port`, Details: portHelp})
}

// At most 4096 ports in all, and each of the host's once: one for any address is in the way of all.
func TestParseRefusesMappingsTogether(t *testing.T) {
	const (
		most = "publish at most 4096 ports of one container"
		once = "publish each port of the host once"
	)
	m := func(hostPort, count int, rest string) string {
		return fmt.Sprintf(`{"hostPort": %d, "containerPort": 1, "range": %d%s}`, hostPort, count, rest)
	}
	on := func(address string) string { return `, "hostIP": "` + address + `"` }
	for _, tc := range []struct{ first, second, msg, details string }{
		{m(1000, 1, ""), m(2000, 4096, ""), "4097 ports are too many", most},
		{m(1000, 1, ""), m(2000, 5000, ""), "5001 ports are too many", most},
		{m(1000, 2048, ""), m(4000, 2049, ""), "4097 ports are too many", most},
		{m(80, 1, ""), m(80, 1, ""), "80/tcp and 80/tcp have 80/tcp in common", once},
		{m(80, 1, ""), m(80, 1, on("192.0.2.1")), "80/tcp and 80/tcp of 192.0.2.1 have 80/tcp in common", once},
		{m(80, 1, on("192.0.2.1")), m(80, 1, ""), "80/tcp of 192.0.2.1 and 80/tcp have 80/tcp in common", once},
		{m(80, 1, on("192.0.2.1")), m(80, 1, on("192.0.2.1")), "80/tcp of 192.0.2.1 and 80/tcp of 192.0.2.1 have 80/tcp in common", once},
		{m(80, 1, on("0.0.0.0")), m(80, 1, on("192.0.2.1")), "80/tcp of 0.0.0.0 and 80/tcp of 192.0.2.1 have 80/tcp in common", once},
		{m(80, 1, on("2001:db8::1")), m(80, 1, on("::")), "80/tcp of 2001:db8::1 and 80/tcp of :: have 80/tcp in common", once},
		{m(80, 1, on("::")), m(80, 1, ""), "80/tcp of :: and 80/tcp have 80/tcp in common", once},
		{m(8000, 100, ""), m(8099, 2, ""), "8000-8099/tcp and 8099-8100/tcp have 8099/tcp in common", once},
		{m(8000, 100, `, "protocol": "udp"`), m(8050, 1, `, "protocol": "UDP"`), "8000-8099/udp and 8050/udp have 8050/udp in common", once},
	} {
		refuses(t, mapped(`[`+tc.first+`, `+tc.second+`]`), "", &Error{Msg: "runtimeConfig.portMappings: " + tc.msg, Details: tc.details})
	}
	if got := published(t, mapped(`[`+m(1000, 2048, "")+`, `+m(4000, 2048, "")+`]`)).Ports; len(got) != 2 {
		t.Errorf("4096 ports: %v", got)
	}
}

// A mapping leads to an address: of a network that has none, or none of its family, it is refused.
func TestParsePortsNeedAddresses(t *testing.T) {
	with := func(ipam, hostIP string) string {
		return conf(ipam + `"runtimeConfig": {"portMappings": [{"hostPort": 80, "containerPort": 80}, {"hostPort": 81, "containerPort": 80, "hostIP": "` + hostIP + `"}]}`)
	}
	const v4, v6 = `"ipam": {"type": "patchbay", "subnet": "10.1.2.0/24"}, `, `"ipam": {"type": "patchbay", "subnet": "2001:db8::/64"}, `
	const help = "give an address of a family that the network has, or a range of that family to ipam"
	for _, tc := range []struct{ ipam, hostIP, msg, details string }{
		{"", "", "runtimeConfig.portMappings: network net has no addresses that ports could lead to", `give the network addresses with "ipam", or publish no ports`},
		{`"ipam": {}, `, "", "runtimeConfig.portMappings: network net has no addresses that ports could lead to", `give the network addresses with "ipam", or publish no ports`},
		{v4, "2001:db8::1", "runtimeConfig.portMappings[1].hostIP: 2001:db8::1 is of a family that network net has no addresses of", help},
		{v4, "::", "runtimeConfig.portMappings[1].hostIP: :: is of a family that network net has no addresses of", help},
		{v6, "192.0.2.1", "runtimeConfig.portMappings[1].hostIP: 192.0.2.1 is of a family that network net has no addresses of", help},
		{v6, "127.0.0.1", "runtimeConfig.portMappings[1].hostIP: 127.0.0.1 is of a family that network net has no addresses of", help},
	} {
		refuses(t, with(tc.ipam, tc.hostIP), "", &Error{Msg: tc.msg, Details: tc.details})
	}
	for _, ipam := range []string{v4, v6, `"ipam": {"type": "dhcp"}, `} {
		published(t, with(ipam, ""))
	}
	published(t, with(`"ipam": {"type": "dhcp"}, `, "2001:db8::1")) // what it gives is known when it has
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
