package parity

import (
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
)

// bridgeRows are each key of the reference bridge on and off.
func bridgeRows() []row {
	own := map[string]cni.Conf{"one": {"args": cni.Conf{"cni": cni.Conf{"mac": "0a:00:00:00:00:01"}}}, "two": {"args": cni.Conf{"cni": cni.Conf{"mac": "0a:00:00:00:00:02"}}}}
	args := map[string][][2]string{
		"one": {{"IgnoreUnknown", "true"}, {"MAC", "0a:00:00:00:00:03"}}, "two": {{"IgnoreUnknown", "1"}, {"MAC", "0a:00:00:00:00:04"}},
	}
	capabilities := map[string]map[string]any{"one": {"mac": "0a:00:00:00:00:05"}, "two": {"mac": "0a:00:00:00:00:06"}}
	offered := cni.Conf{"capabilities": cni.Conf{"mac": true}}
	return []row{
		{name: "no ipam"},
		{name: "no key but ipam", keys: pool("10.1.0.0/24")},
		{name: "no key but ipam, both families", keys: pool("10.1.0.0/24", "fd00:1::/64")},
		{name: "bridge of another name", keys: gatewayed(cni.Conf{"bridge": "br1"})},
		{name: "bridge that is there", keys: gatewayed(), host: plainBridge},
		{name: "bridge that is there, no ipam", host: plainBridge},
		{name: "bridge with a port that is there", keys: pool("10.1.0.0/24"), host: bridgeWithPort},
		{name: "isGateway", keys: cni.Conf{"isGateway": true}.With(pool("10.1.0.0/24"))},
		{name: "isGateway, both families", keys: cni.Conf{"isGateway": true}.With(pool("10.1.0.0/24", "fd00:1::/64"))},
		{name: "isGateway, no ipam", keys: cni.Conf{"isGateway": true}},
		{name: "isGateway, two subnets of IPv6", keys: cni.Conf{"isGateway": true}.With(pool("fd00:1::/64", "fd00:2::/64"))},
		{name: "isDefaultGateway", keys: gatewayed()},
		{name: "isDefaultGateway, IPv6", keys: cni.Conf{"isDefaultGateway": true}.With(pool("fd00:1::/64"))},
		{name: "isDefaultGateway, both families", keys: dual()},
		{name: "isDefaultGateway, isGateway false", keys: gatewayed(cni.Conf{"isGateway": false})},
		{name: "isDefaultGateway, a default route of ipam", keys: gatewayed(routes(cni.Conf{"dst": "0.0.0.0/0"}))},
		{name: "isDefaultGateway, a default route with gw of ipam", keys: gatewayed(routes(cni.Conf{"dst": "0.0.0.0/0", "gw": "10.1.0.9"}))},
		{name: "forceAddress", keys: dual(cni.Conf{"forceAddress": true}), host: bridgeWithAddresses, replaces: []string{"address cni0 ", "route "}},
		{name: "forceAddress false", keys: dual(cni.Conf{"forceAddress": false}), host: bridgeWithAddresses},
		{name: "mtu", keys: gatewayed(cni.Conf{"mtu": 1400})},
		{name: "mtu, no ipam", keys: cni.Conf{"mtu": 1400}},
		{name: "mtu, a bridge that is there", keys: gatewayed(cni.Conf{"mtu": 1400}), host: plainBridge},
		{name: "mtu 0, a bridge of 1300", keys: gatewayed(), host: bridgeOf1300},
		{name: "mtu 0, an uplink of 1400", keys: gatewayed(), host: uplinkOf1400},
		{name: "hairpinMode", keys: gatewayed(cni.Conf{"hairpinMode": true})},
		{name: "hairpinMode false", keys: gatewayed(cni.Conf{"hairpinMode": false})},
		{name: "hairpinMode, no ipam", keys: cni.Conf{"hairpinMode": true}},
		{name: "portIsolation", keys: gatewayed(cni.Conf{"portIsolation": true})},
		{name: "portIsolation false", keys: gatewayed(cni.Conf{"portIsolation": false})},
		{name: "portIsolation, no ipam", keys: cni.Conf{"portIsolation": true}},
		{name: "promiscMode", keys: gatewayed(cni.Conf{"promiscMode": true})},
		{name: "promiscMode false", keys: gatewayed(cni.Conf{"promiscMode": false})},
		{name: "promiscMode, a bridge that is there", keys: gatewayed(cni.Conf{"promiscMode": true}), host: plainBridge},
		{name: "promiscMode and hairpinMode", keys: gatewayed(cni.Conf{"promiscMode": true, "hairpinMode": true})},
		{name: "enabledad", keys: dual(cni.Conf{"enabledad": true})},
		{name: "enabledad false", keys: dual(cni.Conf{"enabledad": false})},
		{name: "enabledad, IPv4", keys: gatewayed(cni.Conf{"enabledad": true})},
		{name: "disableContainerInterface", keys: cni.Conf{"disableContainerInterface": true}},
		{name: "disableContainerInterface false", keys: cni.Conf{"disableContainerInterface": false}},
		{name: "disableContainerInterface, ipam", keys: gatewayed(cni.Conf{"disableContainerInterface": true})},
		{name: "dns", keys: gatewayed(cni.Conf{"dns": cni.Conf{"nameservers": []string{"10.1.0.1"}, "domain": "example.org", "search": []string{"a.example.org"}, "options": []string{"ndots:5"}}})},
		{name: "dns with one field, resolvConf", keys: cni.Conf{"dns": cni.Conf{"search": []string{"a.example.org"}}}.With(resolvConf()), host: withResolvConf},
		{name: "dns, no ipam", keys: cni.Conf{"dns": cni.Conf{"nameservers": []string{"10.1.0.1"}}}},
		{name: "mac of args", keys: gatewayed(), own: own},
		{name: "mac of CNI_ARGS", keys: gatewayed(), args: args},
		{name: "mac of runtimeConfig", keys: gatewayed(offered), capabilities: capabilities},
		{name: "mac of all three", keys: gatewayed(offered), own: own, args: args, capabilities: capabilities},
		{name: "mac of args and CNI_ARGS", keys: gatewayed(), own: own, args: args},
		{name: "mac, no ipam", args: args},
		{name: "ipMasq false", keys: gatewayed(cni.Conf{"ipMasq": false})},
	}
}

// portRows have the spoof check of a port, and VLANs where none is asked for or both sides refuse them. Those with VLANs are in package
// test/network/vlan.
func portRows() []row {
	return []row{
		{name: "vlan 0", keys: gatewayed(cni.Conf{"vlan": 0, "preserveDefaultVlan": true})},
		{name: "vlan 0, preserveDefaultVlan false, no ipam", keys: cni.Conf{"vlan": 0, "preserveDefaultVlan": false}},
		{name: "vlan 4095", keys: gatewayed(cni.Conf{"vlan": 4095})},
		{name: "vlanTrunk: minID without maxID", keys: gatewayed(cni.Conf{"vlanTrunk": []cni.Conf{{"minID": 20}}})},
		{name: "vlanTrunk: id 4095", keys: gatewayed(cni.Conf{"vlanTrunk": []cni.Conf{{"minID": 20, "maxID": 22}, {"id": 4095}}})},
		{name: "macspoofchk", keys: gatewayed(cni.Conf{"macspoofchk": true})},
		{name: "macspoofchk false", keys: gatewayed(cni.Conf{"macspoofchk": false})},
	}
}

// versionRows are every version of the protocol, with one family and with all that a result can hold.
func versionRows() []row {
	var rows []row
	for _, version := range []string{"0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"} {
		rows = append(
			rows,
			row{name: version + ", IPv4", version: version, keys: gatewayed(cni.Conf{"mtu": 1400})},
			row{name: version + ", everything", version: version, host: withResolvConf, keys: cni.Conf{"isDefaultGateway": true, "hairpinMode": true}.With(ipam(cni.Conf{
				"ranges":     [][]cni.Conf{{{"subnet": "10.1.0.0/24"}}, {{"subnet": "fd00:1::/64"}}},
				"resolvConf": "/run/resolv.conf",
				"routes":     []cni.Conf{{"dst": "198.51.100.0/24"}, {"dst": "2001:db8::/32", "gw": "fd00:1::9"}, {"dst": "203.0.113.0/24", "priority": 7}},
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
