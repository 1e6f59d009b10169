package sbr

import (
	"net/netip"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

func addr(text string) netip.Addr { return netip.MustParseAddr(text) }

// TestPackets: packets with an address of the second network leave by it, those of the first by the first, and answers come back, in both
// directions and families, also with strict reverse path filtering. Without the key the container drops the requests to its second address.
//
// Claim: With `sbr` packets leave by the network whose address they have, and answers come back by it, with strict rp_filter too
func TestPackets(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.both(t, second())
	for _, tt := range []struct{ ifname, from, to string }{
		{"eth0", "10.1.0.2", outside4}, {"eth0", "fd00:1::2", outside6}, {"eth1", "10.2.0.2", outside4}, {"eth1", "fd00:2::2", outside6},
	} {
		left, answered := s.pingFrom(t, tt.ifname, addr(tt.from), addr(tt.to))
		expect.Equal(t, tt.from+" to "+tt.to+": left by "+tt.ifname+", answered", []bool{left, answered}, []bool{true, true})
		capture := s.c.Capture(t, tt.ifname)
		if err := s.outside.PingOnce(addr(tt.from)); err != nil {
			t.Error(err)
		}
		replies := capture.Stop(t).Where(func(f nettest.Frame) bool { return f.Kind == nettest.EchoReply && f.Outgoing })
		expect.Equal(t, "replies of "+tt.from+" by "+tt.ifname, len(replies), 1)
	}
	left, answered := s.pingFrom(t, "eth0", netip.Addr{}, addr(outside4))
	expect.Equal(t, "without a source: left by eth0, answered", []bool{left, answered}, []bool{true, true})
	s.detach(t)

	s.both(t, second(cni.Conf{"sbr": false}))
	if err := s.outside.PingOnce(addr("10.2.0.2")); err == nil {
		t.Error("the container answers at its second address without source-based routing too: the test shows nothing")
	}
	s.detach(t)
}

// TestTables: each address has a table with the default route, the subnet and the routes of the configuration; the main table has those of
// the first network only. Routes with a table of their own stay there.
//
// Claim: `sbr` chooses a table that no rule and no route uses for each address, moves the routes of the interface there, and DEL removes all
func TestTables(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.c.Run(t, "ip", "rule", "add", "from", "192.0.2.1", "lookup", "100")
	s.c.Run(t, "ip", "-6", "route", "add", "unreachable", "2001:db8:9::/64", "table", "102")
	s.Baseline()
	conf := s.both(t, second(cni.IPAM(cni.Conf{
		"ranges": cni.Ranges("10.2.0.0/24", "fd00:2::/64"),
		"routes": []cni.Conf{{"dst": "198.51.100.0/24", "gw": "10.2.0.9", "mtu": 1400, "priority": 7}, {"dst": "2001:db8:8::/48"}, {"dst": "192.0.2.0/24", "table": 77}},
	})))
	expect.Equal(t, "rules", s.rules(t), []string{"from 10.2.0.2 lookup 101", "from 192.0.2.1 lookup 100", "from fd00:2::2 lookup 103"})
	expect.Equal(t, "table 101", s.routes(t, "-4", "101"), []string{"default via 10.2.0.1", "10.2.0.0/24 proto kernel scope link src 10.2.0.2", "198.51.100.0/24 via 10.2.0.9 metric 7 mtu 1400"})
	expect.Equal(t, "table 103", s.routes(t, "-6", "103"), []string{"2001:db8:8::/48 via fd00:2::1 metric 1024 pref medium", "fd00:2::/64 proto kernel metric 256 pref medium", "default via fd00:2::1 metric 1024 pref medium"})
	expect.Equal(t, "table 77", s.routes(t, "-4", "77"), []string{"192.0.2.0/24 via 10.2.0.1"})
	expect.Equal(t, "main table, IPv4", s.routes(t, "-4", "main"), nil)
	expect.Equal(t, "main table, IPv6", s.routes(t, "-6", "main"), []string{"fe80::/64 proto kernel metric 256 pref medium"})
	s.CNI(t, s.call(t, "CHECK", "eth1", conf)).OK(t)
	s.detach(t)
	expect.Equal(t, "rules after DEL", s.rules(t), []string{"from 192.0.2.1 lookup 100"})
	s.NoLeaks(t)
}

// TestKeys: the keys of the object, which the reference has since v1.9.1.
func TestKeys(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name                  string
		sbr                   cni.Conf
		table, table6, main   []string
		number, number6, rule string
	}{
		{
			name: "gateways", sbr: cni.Conf{"gateways": []string{"10.2.0.9", "fd00:2::9"}}, number: "100", number6: "101",
			table:  []string{"default via 10.2.0.9", "10.2.0.0/24 proto kernel scope link src 10.2.0.2"},
			table6: []string{"fd00:2::/64 proto kernel metric 256 pref medium", "default via fd00:2::9 metric 1024 pref medium"},
		},
		{
			name: "addSourceHints", sbr: cni.Conf{"addSourceHints": true}, number: "100", number6: "101",
			table:  []string{"default via 10.2.0.1", "10.2.0.0/24 proto kernel scope link src 10.2.0.2"},
			table6: []string{"fd00:2::/64 proto kernel metric 256 pref medium", "default via fd00:2::1 metric 1024 pref medium"},
			main:   []string{"10.2.0.0/24 proto kernel scope link src 10.2.0.2"},
		},
		{
			name: "table", sbr: cni.Conf{"table": 4000000000}, number: "4000000000", number6: "4000000000",
			main: []string{"10.2.0.0/24 proto kernel scope link src 10.2.0.2"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			network := second(cni.Conf{"sbr": tt.sbr})
			if tt.name == "table" { // a default route of the main table has the metric that follows that of eth0
				network["isDefaultGateway"], network["isGateway"] = false, true
			}
			conf := s.both(t, network)
			expect.Equal(t, "rules", s.rules(t), []string{"from 10.2.0.2 lookup " + tt.number, "from fd00:2::2 lookup " + tt.number6})
			expect.Equal(t, "table of IPv4", s.routes(t, "-4", tt.number), tt.table)
			expect.Equal(t, "table of IPv6", s.routes(t, "-6", tt.number6), tt.table6)
			expect.Equal(t, "main table", s.routes(t, "-4", "main"), tt.main)
			s.CNI(t, s.call(t, "CHECK", "eth1", conf)).OK(t)
			s.detach(t)
			expect.Equal(t, "rules after DEL", s.rules(t), nil)
		})
	}
}
