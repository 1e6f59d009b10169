package config

import (
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/containernetworking/cni/pkg/types"
	types100 "github.com/containernetworking/cni/pkg/types/100"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/patchbay-cni/patchbay/pkg/ipam"
)

func mac(s string) net.HardwareAddr {
	m, err := net.ParseMAC(s)
	if err != nil {
		panic(err)
	}
	return m
}

// everything sets each key to a value other than its default.
const everything = `{
  "cniVersion": "1.1.0", "name": "a.b_c-9", "type": "patchbay",
  "bridge": "br0", "isGateway": true, "isDefaultGateway": true, "forceAddress": true, "mtu": 1400,
  "hairpinMode": true, "promiscMode": false, "enabledad": true, "disableContainerInterface": false,
  "stateDir": "/var/state",
  "dns": {"nameservers": ["192.0.2.53", "2001:db8::53"], "domain": "example.org", "search": ["a", "b"], "options": ["ndots:2"]},
  "args": {"cni": {"mac": "02:00:00:00:00:02", "ips": ["10.1.2.9/24"]}},
  "runtimeConfig": {"mac": "02:00:00:00:00:03", "ips": ["10.1.2.8"], "ipRanges": [[{"subnet": "2001:db8::/64"}]]},
  "ipam": {
    "type": "patchbay", "dataDir": "/var/data", "sticky": true, "resolvConf": "/etc/resolv.conf", "exclude": ["10.1.2.4/30"],
    "ranges": [[{"subnet": "10.1.2.0/24", "rangeStart": "10.1.2.2", "rangeEnd": "10.1.2.99", "gateway": "10.1.2.254"}]],
    "routes": [{"dst": "0.0.0.0/0", "gw": "10.1.2.254", "mtu": 1300, "advmss": 1260, "priority": 7, "table": 100, "scope": 253}]
  },
  "prevResult": {"cniVersion": "1.1.0", "interfaces": [{"name": "eth0", "mtu": 1400}]},
  "unknown": {"keys": ["are", "ignored"]}
}`

func TestParseEverything(t *testing.T) {
	table, scope := 100, 253
	accepts(t, everything, "K8S_POD_NAME=web", &Config{
		Publish: Publish{SNAT: true, MarkBit: 13, Localhost: true}, IngressPolicy: PolicyOpen, Firewall: FirewallReport,
		SpoofCheck: SpoofCheck{Level: SpoofNone}, STPGuard: true,
		Ident: Ident{
			CNIVersion: "1.1.0", Name: "a.b_c-9", Type: "patchbay",
			IPAMType: "patchbay", StateDir: "/var/state", DataDir: "/var/data",
		},
		Bridge: "br0", IsGateway: true, IsDefaultGateway: true, ForceAddress: true, MTU: 1400,
		HairpinMode: true, EnableDAD: true,
		MAC: mac("02:00:00:00:00:03"),
		DNS: types.DNS{Nameservers: []string{"192.0.2.53", "2001:db8::53"}, Domain: "example.org", Search: []string{"a", "b"}, Options: []string{"ndots:2"}},
		IPAM: &IPAM{
			Pool: ipam.Pool{
				Sets: []ipam.Set{
					{{Subnet: prefix("2001:db8::/64"), Start: addr("2001:db8::1"), End: addr("2001:db8::ffff:ffff:ffff:ffff"), Gateway: addr("2001:db8::1")}},
					{{Subnet: prefix("10.1.2.0/24"), Start: addr("10.1.2.2"), End: addr("10.1.2.99"), Gateway: addr("10.1.2.254")}},
				},
				Exclude: prefixesOf("10.1.2.4/30"),
			},
			Routes:     []Route{{Dst: prefix("0.0.0.0/0"), GW: addr("10.1.2.254"), MTU: 1300, AdvMSS: 1260, Priority: 7, Table: &table, Scope: &scope}},
			Requested:  addrsOf("10.1.2.8", "10.1.2.9"),
			ResolvConf: "/etc/resolv.conf",
			Sticky:     true,
		},
		Args:       Args{PodName: "web"},
		PrevResult: &types100.Result{CNIVersion: "1.1.0", Interfaces: []*types100.Interface{{Name: "eth0", Mtu: 1400}}},
	})
}

// Each key alone changes its own field and no other.
func TestParseKeys(t *testing.T) {
	for _, tc := range []struct {
		members string
		change  func(*Config)
	}{
		{``, func(*Config) {}},
		{`"bridge": "br0"`, func(c *Config) { c.Bridge = "br0" }},
		{`"bridge": "fifteen-bytes-x"`, func(c *Config) { c.Bridge = "fifteen-bytes-x" }},
		{`"bridge": ""`, func(*Config) {}},
		{`"isGateway": true`, func(c *Config) { c.IsGateway = true }},
		{`"isGateway": false`, func(*Config) {}},
		{`"isDefaultGateway": true`, func(c *Config) { c.IsGateway, c.IsDefaultGateway = true, true }},
		{`"isDefaultGateway": true, "isGateway": false`, func(c *Config) { c.IsGateway, c.IsDefaultGateway = true, true }},
		{`"forceAddress": true`, func(c *Config) { c.ForceAddress = true }},
		{`"hairpinMode": true`, func(c *Config) { c.HairpinMode = true }},
		{`"promiscMode": true`, func(c *Config) { c.PromiscMode = true }},
		{`"enabledad": true`, func(c *Config) { c.EnableDAD = true }},
		{`"disableContainerInterface": true`, func(c *Config) { c.DisableContainerInterface = true }},
		{`"mtu": 0`, func(*Config) {}},
		{`"mtu": 68`, func(c *Config) { c.MTU = 68 }},
		{`"mtu": 65535`, func(c *Config) { c.MTU = 65535 }},
		{`"statusOnFull": "warn"`, func(c *Config) { c.WarnOnFull = true }},
		{`"statusOnFull": "error"`, func(*Config) {}},
		{`"statusOnFull": ""`, func(*Config) {}},
		{`"stateDir": "/tmp/x"`, func(c *Config) { c.StateDir, c.DataDir = "/tmp/x", "/tmp/x/ipam" }},
		{`"stateDir": ""`, func(*Config) {}},
		{`"logFile": "/var/log/patchbay"`, func(c *Config) { c.LogFile = "/var/log/patchbay" }},
		{`"logFile": ""`, func(*Config) {}},
		{`"readyFile": "/run/x/ready"`, func(c *Config) { c.ReadyFile = "/run/x/ready" }},
		{`"readyFile": ""`, func(*Config) {}},
		{`"dns": {"domain": "example.org"}`, func(c *Config) { c.DNS.Domain = "example.org" }},
		{`"dns": {}`, func(*Config) {}},
		{`"ipam": {}`, func(*Config) {}},
		{`"ipam": {"type": ""}`, func(*Config) {}},
		{`"ipam": {"type": "", "dataDir": "/tmp/x"}`, func(c *Config) { c.DataDir = "/tmp/x" }},
		{`"args": {}, "runtimeConfig": {}`, func(*Config) {}},
		{`"args": {"cni": {}, "labels": ["x"]}`, func(*Config) {}},
		{`"args": {"cni": {"mac": ""}}`, func(*Config) {}},
		{`"runtimeConfig": {"portMappings": [], "bandwidth": {}, "ips": [], "ipRanges": [], "aliases": {"net": ["x"]}}`, func(*Config) {}},
	} {
		t.Run(tc.members, func(t *testing.T) {
			want := bare()
			tc.change(want)
			accepts(t, conf(tc.members), "", want)
		})
	}
}

// null is the same as absent, for every key at every level.
func TestParseNull(t *testing.T) {
	keys := []string{
		"bridge", "isGateway", "isDefaultGateway", "forceAddress", "mtu", "hairpinMode", "promiscMode",
		"enabledad", "disableContainerInterface", "stateDir", "logFile", "dns", "args", "runtimeConfig", "prevResult", "vlan", "vlanTrunk", "ingressRate", "bandwidth", "sysctl", "sbr",
	}
	for _, key := range keys {
		accepts(t, conf(`"`+key+`": null`), "", bare())
	}
	for _, members := range []string{
		`"ipam": null`,
		`"dns": {"nameservers": null, "domain": null, "search": null, "options": null}`,
		`"args": {"cni": null}`,
		`"args": {"cni": {"mac": null, "ips": null}}`,
		`"runtimeConfig": {"mac": null, "ips": null, "ipRanges": null, "dns": null, "portMappings": null, "bandwidth": null}`,
		`"runtimeConfig": {"dns": {"servers": null, "searches": null, "options": null}}`,
	} {
		accepts(t, conf(members), "", bare())
	}
	for _, key := range []string{"ranges", "rangeStart", "rangeEnd", "gateway", "routes", "resolvConf", "dataDir", "exclude", "sticky"} {
		accepts(t, ipamConf(`"`+key+`": null`), "", withIPAM())
	}
	if got := ParseLenient([]byte(`{"cniVersion": null, "name": "net", "type": "patchbay"}`)).CNIVersion; got != "0.1.0" {
		t.Errorf("cniVersion null is %q, want 0.1.0", got)
	}
	refuses(t, `{"cniVersion": "1.0.0", "name": null, "type": "patchbay"}`, "", &Error{Msg: "name: missing network name", Details: `give the network a "name"`})
}

// Keys match as in encoding/json, which the reference plugins use: case is ignored, but the
// exact spelling wins.
func TestParseCase(t *testing.T) {
	c := withIPAM()
	c.Bridge, c.MTU, c.IPAM.Sticky = "br0", 1400, true
	accepts(t, `{"CNIVERSION": "1.0.0", "Name": "net", "TYPE": "patchbay", "Bridge": "br0", "MTU": 1400,
		"IPAM": {"Type": "patchbay", "SUBNET": "10.1.2.0/24", "Sticky": true}}`, "", c)

	exact := bare()
	exact.Bridge = "br0"
	accepts(t, conf(`"BRIDGE": "br1", "bridge": "br0", "Bridge": "br2"`), "", exact)

	nothing := bare() // the exact spelling wins, even with an empty value
	accepts(t, conf(`"BRIDGE": "br1", "bridge": null`), "", nothing)

	// The order of a map varies; a hundred readings must agree nevertheless.
	for range 100 {
		several := bare()
		several.MTU = 1401
		accepts(t, conf(`"mTU": 1403, "MTU": 1401, "Mtu": 1402`), "", several)
	}
	isolated := bare()
	isolated.PortIsolation = true
	accepts(t, conf(`"PORTISOLATION": true`), "", isolated)
}

func TestParseVersions(t *testing.T) {
	for _, version := range []string{"0.1.0", "0.2.0"} {
		refuses(t, fmt.Sprintf(`{"cniVersion": %q, "name": "net", "type": "patchbay"}`, version), "", &Error{
			Msg:     "cniVersion: a result of version " + version + " must have an address",
			Details: `use 0.3.0 or later, or give addresses with "ipam"`,
		})
	}
	for _, version := range []string{"0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"} {
		want := bare()
		want.CNIVersion = version
		accepts(t, fmt.Sprintf(`{"cniVersion": %q, "name": "net", "type": "patchbay"}`, version), "", want)
	}
	for _, none := range []string{`{"name": "net"}`, `{"cniVersion": "", "name": "net"}`} {
		if got := ParseLenient([]byte(none)).CNIVersion; got != "0.1.0" {
			t.Errorf("%s has version %q, want 0.1.0", none, got)
		}
	}
	for _, version := range []string{"0.0.1", "0.3", "1.0", "1.2.0", "2.0.0", "1.0.0 ", "v1.0.0", "latest"} {
		refuses(t, fmt.Sprintf(`{"cniVersion": %q, "name": "net", "type": "patchbay"}`, version), "", &Error{
			Kind: Version, Msg: "incompatible CNI versions",
			Details: `config is "` + version + `", plugin supports ["0.1.0" "0.2.0" "0.3.0" "0.3.1" "0.4.0" "1.0.0" "1.1.0"]`,
		})
	}
}

// As IPAM plugin, the program does not read the main plugin's keys.
func TestParseDelegated(t *testing.T) {
	data := `{"cniVersion": "1.0.0", "name": "net", "type": "macvlan", "master": "eth0", "mtu": "theirs", "bridge": 5, "ipMasq": true, "hairpinMode": [],
		"runtimeConfig": {"portMappings": [{"hostPort": 80}], "ips": ["10.1.2.9"]},
		"ipam": {"type": "patchbay", "subnet": "10.1.2.0/24"}}`
	want := withIPAM()
	want.Type, want.Bridge = "macvlan", ""
	want.Publish, want.IngressPolicy, want.Firewall, want.SpoofCheck, want.STPGuard = Publish{}, "", "", SpoofCheck{}, false // the main plugin's business
	want.IPAM.Requested = addrsOf("10.1.2.9")
	asIPAM := Called{AsIPAM: true}
	want.Called = asIPAM
	got, err := asIPAM.Parse([]byte(data), "")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, netips()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for ipam, want := range map[string]*Error{
		`{"type": "patchbay"}`: {Msg: "ipam.ranges: no IP ranges specified", Details: `give at least one range: "ranges": [[{"subnet": "10.1.2.0/24"}]]`},
		`{"type": "static"}`:   {Msg: `ipam.type: "static" names another IPAM plugin`, Details: `set it to "patchbay"`},
		`null`:                 {Msg: `ipam.type: "" names another IPAM plugin`, Details: `set it to "patchbay"`},
	} {
		_, err := asIPAM.Parse([]byte(`{"cniVersion": "1.0.0", "name": "net", "type": "macvlan", "ipam": `+ipam+`}`), "")
		sameError(t, want, err)
	}
}

func TestParseMAC(t *testing.T) {
	const fromArgs, fromCNI, fromRuntime = "02:00:00:00:00:01", "02:00:00:00:00:02", "02:00:00:00:00:03"
	argsMAC := "MAC=" + fromArgs
	cni := `"args": {"cni": {"mac": "` + fromCNI + `"}}`
	runtime := `"runtimeConfig": {"mac": "` + fromRuntime + `"}`
	for _, tc := range []struct{ name, members, args, want string }{
		{"CNI_ARGS", "", argsMAC, fromArgs},
		{"args", cni, "", fromCNI},
		{"runtime", runtime, "", fromRuntime},
		{"args over CNI_ARGS", cni, argsMAC, fromCNI},
		{"runtime over CNI_ARGS", runtime, argsMAC, fromRuntime},
		{"runtime over args", cni + ", " + runtime, "", fromRuntime},
		{"runtime over both", cni + ", " + runtime, argsMAC, fromRuntime},
		{"an empty one says nothing", `"runtimeConfig": {"mac": ""}`, argsMAC, fromArgs},
		{"other spellings", `"runtimeConfig": {"mac": "02-00-00-AB-CD-EF"}`, "", "02:00:00:ab:cd:ef"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			want := bare()
			want.MAC = mac(tc.want)
			if tc.args != "" {
				want.Args.MAC = mac(fromArgs)
			}
			accepts(t, conf(tc.members), tc.args, want)
		})
	}
}

func TestParseDNS(t *testing.T) {
	own := `"dns": {"nameservers": ["192.0.2.1"], "domain": "own", "search": ["own"], "options": ["own"]}`
	ownDNS := types.DNS{Nameservers: []string{"192.0.2.1"}, Domain: "own", Search: []string{"own"}, Options: []string{"own"}}
	for _, tc := range []struct {
		name, members string
		want          types.DNS
	}{
		{"own", own, ownDNS},
		{"a runtime's empty one says nothing", own + `, "runtimeConfig": {"dns": {"servers": [], "searches": []}}`, ownDNS},
		{"the runtime's replaces it whole", own + `, "runtimeConfig": {"dns": {"servers": ["192.0.2.2"]}}`, types.DNS{Nameservers: []string{"192.0.2.2"}}},
		{"searches", own + `, "runtimeConfig": {"dns": {"searches": ["rt"]}}`, types.DNS{Search: []string{"rt"}}},
		{"options", own + `, "runtimeConfig": {"dns": {"options": ["rt"]}}`, types.DNS{Options: []string{"rt"}}},
		{"a name server with a zone", `"dns": {"nameservers": ["fe80::1%eth0"]}`, types.DNS{Nameservers: []string{"fe80::1%eth0"}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			want := bare()
			want.DNS = tc.want
			accepts(t, conf(tc.members), "", want)
		})
	}
}

// TestParseWithoutEffect: a key that has no effect alone is accepted.
//
// Claim: A key with null or with the zero value of its type counts as not set, also in CNI_ARGS
func TestParseWithoutEffect(t *testing.T) {
	accepts(t, conf(`"preserveDefaultVlan": true`), "", bare()) // has an effect only with vlan or vlanTrunk
}

// keysOf are the keys of each section, with the value that asks for nothing; "" where only null does. %s is where a member goes.
func keysOf() map[string]map[string]string {
	const flag, text, number, list, object = `false`, `""`, `0`, `[]`, `{}`
	pool := func(inside string) string {
		return `"ipam": {"type": "patchbay", "subnet": "10.1.2.0/24"` + inside + `}`
	}
	route := `, "routes": [{"dst": "192.0.2.0/24"%s}]`
	return map[string]map[string]string{
		`"a": 1%s`: {
			"cniVersions": list, "capabilities": object, "args": object, "runtimeConfig": object, "prevResult": "", "ipam": object,
			"bridge": text, "isGateway": flag, "isDefaultGateway": flag, "forceAddress": flag, "hairpinMode": flag, "promiscMode": flag,
			"enabledad": flag, "disableContainerInterface": flag, "mtu": number, "dns": object, "statusOnFull": text, "stateDir": text, "logFile": text, "readyFile": text,
			"ipMasq": flag, "masqExclude": list, "masqFamilies": list, "randomFully": flag, "ipMasqBackend": text,
			"snat": "", "masqAll": flag, "markMasqBit": "", "hostLocalhost": "", "backend": text, "externalSetMarkChain": text, "conditionsV4": list,
			"conditionsV6": list, "ingressPolicy": text, "egress": "", "outboundAddr4": text, "outboundAddr6": text, "firewall": text, "spoofCheck": text, "macspoofchk": flag, "stpGuard": "",
			"vlan": number, "vlanTrunk": list, "preserveDefaultVlan": flag, "portIsolation": flag, "sysctl": object, "mac": text, "promisc": flag, "allmulti": "",
			"txQLen": "", "sbr": flag, "ingressRate": number, "ingressBurst": number, "egressRate": number, "egressBurst": number,
			"shapedSubnets": list, "unshapedSubnets": list, "bandwidth": object,
		},
		`"egress": {"default": "accept"%s}`:    {"allow": list},
		`"ipam": {"a": null%s}`:                {"type": text, "subnet": "", "ranges": "", "routes": "", "exclude": "", "dataDir": ""},
		`"dns": {"a": 1%s}`:                    {"nameservers": list, "domain": text, "search": list, "options": list},
		`"args": {"a": 1%s}`:                   {"cni": object},
		`"args": {"cni": {"a": 1%s}}`:          {"mac": text, "ips": list, "sysctl": object, "mtu": number, "promisc": flag, "allmulti": "", "txQLen": ""},
		pool(`}, "sbr": {"a": 1%s`):            {"table": number, "gateways": list, "addSourceHints": flag},
		`"runtimeConfig": {"a": 1%s}`:          {"mac": text, "ips": list, "ipRanges": list, "dns": object, "portMappings": list, "bandwidth": object},
		`"bandwidth": {"a": 1%s}`:              {"ingressRate": number, "ingressBurst": number, "egressRate": number, "egressBurst": number, "shapedSubnets": list, "unshapedSubnets": list},
		`"runtimeConfig": {"dns": {"a": 1%s}}`: {"servers": list, "searches": list, "options": list},
		pool(`%s`):                             {"rangeStart": text, "rangeEnd": text, "gateway": text, "ranges": list, "routes": list, "exclude": list, "resolvConf": text, "dataDir": text, "sticky": flag},
		pool(route):                            {"gw": text, "mtu": number, "advmss": number, "priority": number, "table": "", "scope": ""},
		pool(`}, "runtimeConfig": {"portMappings": [{"containerPort": 80, "hostPort": 81%s}]`): {"hostIP": text, "protocol": text, "range": number},
	}
}

// A key with null or with the zero value of its type is the same as an absent key. CNI SPEC.md does not say so; encoding/json,
// with which the reference plugins read, does. An empty "egress" is an exception, since it would open what a reader takes for closed:
// TestParseEgress.
//
// Claim: A key with null or with the zero value of its type counts as not set, also in CNI_ARGS
func TestParseNothingGiven(t *testing.T) {
	for section, keys := range keysOf() {
		want, err := Parse([]byte(conf(strings.ReplaceAll(section, "%s", ""))), "")
		if err != nil {
			t.Errorf("%s: %v", section, err)
			continue
		}
		for key, zero := range keys {
			for _, nothing := range []string{"null", zero} {
				if nothing == "" {
					continue
				}
				data := conf(strings.ReplaceAll(section, "%s", `, "`+key+`": `+nothing))
				got, err := Parse([]byte(data), "")
				if diff := cmp.Diff(want, got, netips(), cmpopts.EquateEmpty()); err != nil || diff != "" {
					t.Errorf("%s: %v (-want +got):\n%s", data, err, diff)
				}
			}
		}
	}
}

func TestParseUndecodable(t *testing.T) {
	for _, tc := range []struct{ name, data, msg, details string }{
		{"nothing", "", "network configuration is empty", "pass the plugin's configuration on stdin"},
		{"white space", " \n\t", "network configuration is empty", "pass the plugin's configuration on stdin"},
		{"null", "null", "network configuration is not a JSON object: it is null", "pass one object, the plugin's configuration, on stdin"},
		{"a list", "[]", "network configuration is not a JSON object: it is of type array", "pass one object, the plugin's configuration, on stdin"},
		{"cut off", `{"name": "net", "type": "patch`, "network configuration is not a JSON object: unexpected end of JSON input", `reading stopped at byte 30 of 30, after "{\"name\": \"net\", \"type\": \"patch": correct it there`},
		{"broken", `{"cniVersion": "1.0.0", "name": "a-long-name-of-a-network", "mtu": 15oo}`, "network configuration is not a JSON object: invalid character 'o' after object key:value pair", `reading stopped at byte 70 of 72, after "name-of-a-network\", \"mtu\": 15o": correct it there`},
		{"two objects", `{} {}`, "network configuration is not a JSON object: invalid character '{' after top-level value", `reading stopped at byte 4 of 5, after "{} {": correct it there`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			refuses(t, tc.data, "", &Error{Kind: Undecodable, Msg: tc.msg, Details: tc.details})
		})
	}
}

// A large or deep configuration is accepted or rejected without exhausting the stack or the memory.
func TestParseLarge(t *testing.T) {
	accepts(t, conf(`"padding": "`+strings.Repeat("x", 10<<20)+`"`), "", bare())
	deep := strings.Repeat(`{"ipam": `, 100_000)
	if _, err := Parse([]byte(deep), ""); err == nil {
		t.Error("100 000 nested objects, all cut off: no error")
	}
	if id := ParseLenient([]byte(deep)); id.Name != "" {
		t.Errorf("lenient: got the name %q", id.Name)
	}
	if !json.Valid([]byte(everything)) {
		t.Fatal("the test's configuration is not valid JSON")
	}
}
