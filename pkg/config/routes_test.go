package config

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func sameAddrs(t *testing.T, want, got []netip.Addr) {
	t.Helper()
	if diff := cmp.Diff(want, got, netips()); diff != "" {
		t.Errorf("addresses (-want +got):\n%s", diff)
	}
}

func TestParseRoutes(t *testing.T) {
	zero, high, wide := 0, 1<<32-1, 255
	for _, tc := range []struct {
		routes string
		want   []Route
	}{
		{`[]`, nil},
		{`[{"dst": "0.0.0.0/0"}]`, []Route{{Dst: prefix("0.0.0.0/0")}}},
		{`[{"dst": "::/0", "gw": "2001:db8::1"}, {"dst": "10.9.0.0/16", "gw": "10.1.2.7"}]`, []Route{
			{Dst: prefix("::/0"), GW: addr("2001:db8::1")}, {Dst: prefix("10.9.0.0/16"), GW: addr("10.1.2.7")},
		}},
		{`[{"dst": "10.9.0.0/16", "gw": "", "mtu": 0, "advmss": 0, "priority": 0}]`, []Route{{Dst: prefix("10.9.0.0/16")}}},
		{`[{"dst": "10.9.0.0/16", "mtu": 68, "advmss": 1, "priority": 4294967295, "table": 0, "scope": 0}]`, []Route{
			{Dst: prefix("10.9.0.0/16"), MTU: 68, AdvMSS: 1, Priority: high, Table: &zero, Scope: &zero},
		}},
		{`[{"dst": "10.9.0.0/16", "mtu": 65535, "advmss": 65535, "table": 4294967295, "scope": 255}]`, []Route{
			{Dst: prefix("10.9.0.0/16"), MTU: 65535, AdvMSS: 65535, Table: &high, Scope: &wide},
		}},
		{`[{"dst": "2001:db8:1::9/48"}]`, []Route{{Dst: prefix("2001:db8:1::/48")}}},
		{`[{"dst": "10.9.0.0/16", "gw": "::ffff:10.1.2.7"}]`, []Route{{Dst: prefix("10.9.0.0/16"), GW: addr("10.1.2.7")}}},
	} {
		t.Run(tc.routes, func(t *testing.T) {
			want := withIPAM()
			want.IPAM.Routes = tc.want
			accepts(t, ipamConf(`"routes": `+tc.routes), "", want)
		})
	}
}

func TestParseRefusesRoutes(t *testing.T) {
	const (
		addrHelp  = "give an address like 10.1.2.3 or 2001:db8::3"
		cidrHelp  = "give a subnet like 10.1.2.0/24 or 2001:db8::/64"
		listHelp  = "give a list of objects, or leave the key out"
		textHelp  = "give a string, or leave the key out"
		numHelp   = "give a whole number, or leave the key out"
		mtuHelp   = "give a number from 68 to 65535, or 0 for the default"
		noDst     = `give a CIDR; the default route is "0.0.0.0/0" or "::/0"`
		sameHelp  = "give a gateway of the destination's family"
		tableHelp = "give a number from 0 to 4294967295, or leave the key out"
		scopeHelp = "give a number from 0 to 255, or leave the key out"
	)
	for _, tc := range []struct{ routes, msg, details string }{
		{`{}`, `ipam.routes: want a list of objects, got {}`, listHelp},
		{`["10.0.0.0/8"]`, `ipam.routes: want a list of objects, got ["10.0.0.0/8"]`, listHelp},
		{`[{}]`, `ipam.routes[0].dst: missing`, noDst},
		{`[null]`, `ipam.routes[0].dst: missing`, noDst},
		{`[{"dst": "0.0.0.0/0"}, {"gw": "10.1.2.1"}]`, `ipam.routes[1].dst: missing`, noDst},
		{`[{"dst": 5}]`, `ipam.routes[0].dst: want a string, got 5`, textHelp},
		{`[{"dst": "default"}]`, `ipam.routes[0].dst: "default" is not a CIDR`, cidrHelp},
		{`[{"dst": "10.9.0.1/16"}]`, `ipam.routes[0].dst: 10.9.0.1/16 has host bits set`, "write 10.9.0.0/16"},
		{`[{"dst": "0.0.0.0/0", "gw": 5}]`, `ipam.routes[0].gw: want a string, got 5`, textHelp},
		{`[{"dst": "0.0.0.0/0", "gw": "10.1.2"}]`, `ipam.routes[0].gw: "10.1.2" is not an IP address`, addrHelp},
		{`[{"dst": "0.0.0.0/0", "gw": "2001:db8::1"}]`, `ipam.routes[0].gw: 2001:db8::1 cannot be the gateway to 0.0.0.0/0`, sameHelp},
		{`[{"dst": "::/0", "gw": "10.1.2.1"}]`, `ipam.routes[0].gw: 10.1.2.1 cannot be the gateway to ::/0`, sameHelp},
		{`[{"dst": "0.0.0.0/0", "gw": "224.0.0.1"}]`, `ipam.routes[0].gw: 224.0.0.1 is multicast`, "give unicast addresses, such as 10.1.2.3 or 2001:db8::3"},
		{`[{"dst": "0.0.0.0/0", "mtu": "x"}]`, `ipam.routes[0].mtu: want a whole number, got "x"`, numHelp},
		{`[{"dst": "0.0.0.0/0", "mtu": 67}]`, `ipam.routes[0].mtu: 67 is out of range`, mtuHelp},
		{`[{"dst": "0.0.0.0/0", "mtu": 65536}]`, `ipam.routes[0].mtu: 65536 is out of range`, mtuHelp},
		{`[{"dst": "0.0.0.0/0", "advmss": true}]`, `ipam.routes[0].advmss: want a whole number, got true`, numHelp},
		{`[{"dst": "0.0.0.0/0", "advmss": -1}]`, `ipam.routes[0].advmss: -1 is out of range`, "give a number from 1 to 65535, or 0 for the default"},
		{`[{"dst": "0.0.0.0/0", "advmss": 65536}]`, `ipam.routes[0].advmss: 65536 is out of range`, "give a number from 1 to 65535, or 0 for the default"},
		{`[{"dst": "0.0.0.0/0", "priority": "x"}]`, `ipam.routes[0].priority: want a whole number, got "x"`, numHelp},
		{`[{"dst": "0.0.0.0/0", "priority": -1}]`, `ipam.routes[0].priority: -1 is out of range`, "give a number from 0 to 4294967295, or 0 for the default"},
		{`[{"dst": "0.0.0.0/0", "priority": 4294967296}]`, `ipam.routes[0].priority: 4294967296 is out of range`, "give a number from 0 to 4294967295, or 0 for the default"},
		{`[{"dst": "0.0.0.0/0", "table": "main"}]`, `ipam.routes[0].table: want a whole number, got "main"`, numHelp},
		{`[{"dst": "0.0.0.0/0", "table": -1}]`, `ipam.routes[0].table: -1 is out of range`, tableHelp},
		{`[{"dst": "0.0.0.0/0", "table": 4294967296}]`, `ipam.routes[0].table: 4294967296 is out of range`, tableHelp},
		{`[{"dst": "0.0.0.0/0", "scope": "link"}]`, `ipam.routes[0].scope: want a whole number, got "link"`, numHelp},
		{`[{"dst": "0.0.0.0/0", "scope": -1}]`, `ipam.routes[0].scope: -1 is out of range`, scopeHelp},
		{`[{"dst": "0.0.0.0/0", "scope": 256}]`, `ipam.routes[0].scope: 256 is out of range`, scopeHelp},
	} {
		t.Run(tc.routes, func(t *testing.T) {
			refuses(t, ipamConf(`"routes": `+tc.routes), "", &Error{Kind: Invalid, Msg: tc.msg, Details: tc.details})
		})
	}
}
