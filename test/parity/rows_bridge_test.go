package parity

import (
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// bridgeRows are each key of the reference bridge on and off.
func bridgeRows() []row {
	own := map[string]conf{"one": {"args": conf{"cni": conf{"mac": "0a:00:00:00:00:01"}}}, "two": {"args": conf{"cni": conf{"mac": "0a:00:00:00:00:02"}}}}
	args := map[string][][2]string{
		"one": {{"IgnoreUnknown", "true"}, {"MAC", "0a:00:00:00:00:03"}}, "two": {{"IgnoreUnknown", "1"}, {"MAC", "0a:00:00:00:00:04"}},
	}
	capabilities := map[string]map[string]any{"one": {"mac": "0a:00:00:00:00:05"}, "two": {"mac": "0a:00:00:00:00:06"}}
	offered := conf{"capabilities": conf{"mac": true}}
	return []row{
		{name: "no ipam"},
		{name: "no key but ipam", keys: pool("10.1.0.0/24")},
		{name: "no key but ipam, both families", keys: pool("10.1.0.0/24", "fd00:1::/64")},
		{name: "bridge of another name", keys: gatewayed(conf{"bridge": "br1"})},
		{name: "bridge that is there", keys: gatewayed(), host: plainBridge},
		{name: "bridge that is there, no ipam", host: plainBridge},
		{name: "bridge with a port that is there", keys: pool("10.1.0.0/24"), host: bridgeWithPort},
		{name: "isGateway", keys: conf{"isGateway": true}.with(pool("10.1.0.0/24"))},
		{name: "isGateway, both families", keys: conf{"isGateway": true}.with(pool("10.1.0.0/24", "fd00:1::/64"))},
		{name: "isGateway, no ipam", keys: conf{"isGateway": true}},
		{name: "isGateway, two subnets of IPv6", keys: conf{"isGateway": true}.with(pool("fd00:1::/64", "fd00:2::/64"))},
		{name: "isDefaultGateway", keys: gatewayed()},
		{name: "isDefaultGateway, IPv6", keys: conf{"isDefaultGateway": true}.with(pool("fd00:1::/64"))},
		{name: "isDefaultGateway, both families", keys: dual()},
		{name: "isDefaultGateway, isGateway false", keys: gatewayed(conf{"isGateway": false})},
		{name: "isDefaultGateway, a default route of ipam", keys: gatewayed(routes(conf{"dst": "0.0.0.0/0"}))},
		{name: "isDefaultGateway, a default route with gw of ipam", keys: gatewayed(routes(conf{"dst": "0.0.0.0/0", "gw": "10.1.0.9"}))},
		{name: "forceAddress", keys: dual(conf{"forceAddress": true}), host: bridgeWithAddresses, replaces: []string{"address cni0 ", "route "}},
		{name: "forceAddress false", keys: dual(conf{"forceAddress": false}), host: bridgeWithAddresses},
		{name: "mtu", keys: gatewayed(conf{"mtu": 1400})},
		{name: "mtu, no ipam", keys: conf{"mtu": 1400}},
		{name: "mtu, a bridge that is there", keys: gatewayed(conf{"mtu": 1400}), host: plainBridge},
		{name: "mtu 0, a bridge of 1300", keys: gatewayed(), host: bridgeOf1300},
		{name: "mtu 0, an uplink of 1400", keys: gatewayed(), host: uplinkOf1400},
		{name: "hairpinMode", keys: gatewayed(conf{"hairpinMode": true})},
		{name: "hairpinMode false", keys: gatewayed(conf{"hairpinMode": false})},
		{name: "hairpinMode, no ipam", keys: conf{"hairpinMode": true}},
		{name: "promiscMode", keys: gatewayed(conf{"promiscMode": true})},
		{name: "promiscMode false", keys: gatewayed(conf{"promiscMode": false})},
		{name: "promiscMode, a bridge that is there", keys: gatewayed(conf{"promiscMode": true}), host: plainBridge},
		{name: "promiscMode and hairpinMode", keys: gatewayed(conf{"promiscMode": true, "hairpinMode": true})},
		{name: "enabledad", keys: dual(conf{"enabledad": true})},
		{name: "enabledad false", keys: dual(conf{"enabledad": false})},
		{name: "enabledad, IPv4", keys: gatewayed(conf{"enabledad": true})},
		{name: "disableContainerInterface", keys: conf{"disableContainerInterface": true}},
		{name: "disableContainerInterface false", keys: conf{"disableContainerInterface": false}},
		{name: "disableContainerInterface, ipam", keys: gatewayed(conf{"disableContainerInterface": true})},
		{name: "dns", keys: gatewayed(conf{"dns": conf{"nameservers": []string{"10.1.0.1"}, "domain": "example.org", "search": []string{"a.example.org"}, "options": []string{"ndots:5"}}})},
		{name: "dns with one field, resolvConf", keys: conf{"dns": conf{"search": []string{"a.example.org"}}}.with(resolvConf()), host: withResolvConf},
		{name: "dns, no ipam", keys: conf{"dns": conf{"nameservers": []string{"10.1.0.1"}}}},
		{name: "mac of args", keys: gatewayed(), own: own},
		{name: "mac of CNI_ARGS", keys: gatewayed(), args: args},
		{name: "mac of runtimeConfig", keys: gatewayed(offered), capabilities: capabilities},
		{name: "mac of all three", keys: gatewayed(offered), own: own, args: args, capabilities: capabilities},
		{name: "mac of args and CNI_ARGS", keys: gatewayed(), own: own, args: args},
		{name: "mac, no ipam", args: args},
		{name: "ipMasq false", keys: gatewayed(conf{"ipMasq": false})},
	}
}

// versionRows are every version of the protocol, with one family and with all that a result can hold.
func versionRows() []row {
	var rows []row
	for _, version := range []string{"0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"} {
		rows = append(
			rows,
			row{name: version + ", IPv4", version: version, keys: gatewayed(conf{"mtu": 1400})},
			row{name: version + ", everything", version: version, host: withResolvConf, keys: conf{"isDefaultGateway": true, "hairpinMode": true}.with(ipam(conf{
				"ranges":     [][]conf{{{"subnet": "10.1.0.0/24"}}, {{"subnet": "fd00:1::/64"}}},
				"resolvConf": "/run/resolv.conf",
				"routes":     []conf{{"dst": "198.51.100.0/24"}, {"dst": "2001:db8::/32", "gw": "fd00:1::9"}, {"dst": "203.0.113.0/24", "priority": 7}},
			}))},
			row{name: version + ", no ipam", version: version},
		)
	}
	return rows
}

func plainBridge(_ *testing.T, h *nettest.Node) { h.Bridge("cni0") }

func bridgeWithAddresses(_ *testing.T, h *nettest.Node) {
	h.Bridge("cni0", "10.9.0.1/24", "fd00:1::99/48", "fd00:2::1/64")
}

func bridgeWithPort(_ *testing.T, h *nettest.Node) {
	h.Bridge("cni0")
	h.Veth("port", h.Container("neighbour").Netns, "eth0")
	h.Plug("port", "cni0")
	h.Settle("cni0")
}

func bridgeOf1300(t *testing.T, h *nettest.Node) {
	t.Helper()
	h.Bridge("cni0")
	setMTU(t, h, "cni0", 1300)
}

func uplinkOf1400(t *testing.T, h *nettest.Node) {
	t.Helper()
	h.Veth("eth0", h.Container("lan").Netns, "host")
	h.AddAddress("eth0", nettest.LANHost4+"/24")
	setMTU(t, h, "eth0", 1400)
	h.AddRoute("0.0.0.0/0", nettest.LANRouter4)
}

func setMTU(t *testing.T, h *nettest.Node, name string, mtu int) {
	t.Helper()
	l, err := h.Netlink().LinkByName(name)
	if err == nil {
		err = h.Netlink().LinkSetMTU(l, mtu)
	}
	if err != nil {
		t.Fatal(err)
	}
}
