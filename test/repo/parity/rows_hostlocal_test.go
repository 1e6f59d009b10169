package parity

import (
	"os"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
)

// routes is the section ipam of one range with routes.
func routes(list ...cni.Conf) cni.Conf {
	return ipam(cni.Conf{"ranges": [][]cni.Conf{{{"subnet": "10.1.0.0/24"}}}, "routes": list})
}

// routes6 is the same with a range of each family.
func routes6(list ...cni.Conf) cni.Conf {
	return ipam(cni.Conf{"ranges": [][]cni.Conf{{{"subnet": "10.1.0.0/24"}}, {{"subnet": "fd00:1::/64"}}}, "routes": list})
}

// resolvConf is the section ipam that reads the file of withResolvConf.
func resolvConf() cni.Conf {
	return ipam(cni.Conf{"subnet": "10.1.0.0/24", "resolvConf": "/run/resolv.conf"})
}

func withResolvConf(t *testing.T, h *nettest.Node) {
	t.Helper()
	const text = "# of a test\nnameserver 192.0.2.53\nnameserver 2001:db8::53\n; more\ndomain old.example.org\ndomain example.org\n" +
		"search a.example.org b.example.org\noptions ndots:5 rotate\nsearch c.example.org\n"
	var err error
	h.Do(func() { err = os.WriteFile("/run/resolv.conf", []byte(text), 0o644) })
	if err != nil {
		t.Fatal(err)
	}
}

// ranged is a network with these sets of ranges.
func ranged(sets ...[]cni.Conf) cni.Conf {
	return cni.Conf{"isGateway": true}.With(ipam(cni.Conf{"ranges": sets}))
}

// requests are two containers' capabilities.
func requests(key string, one, two any) map[string]map[string]any {
	return map[string]map[string]any{"one": {key: one}, "two": {key: two}}
}

// hostLocalRows are each key of host-local on and off.
func hostLocalRows() []row { return append(rangeRows(), requestRows()...) }

// rangeRows are ranges, subnet and routes.
func rangeRows() []row {
	scope, table := 253, 100
	return []row{
		{name: "ranges: rangeStart, rangeEnd", keys: ranged([]cni.Conf{{"subnet": "10.1.0.0/24", "rangeStart": "10.1.0.20", "rangeEnd": "10.1.0.21"}})},
		{name: "ranges: gateway", keys: ranged([]cni.Conf{{"subnet": "10.1.0.0/24", "gateway": "10.1.0.254"}})},
		{name: "ranges: gateway is the first address of the range", keys: ranged([]cni.Conf{{"subnet": "10.1.0.0/24", "rangeStart": "10.1.0.5", "gateway": "10.1.0.5"}})},
		{name: "ranges: several in a set, no gateway", keys: ipam(cni.Conf{"ranges": [][]cni.Conf{{{"subnet": "10.1.0.0/24", "rangeStart": "10.1.0.9", "rangeEnd": "10.1.0.9"}, {"subnet": "10.2.0.0/24"}}}})},
		{name: "ranges: gateway outside the subnet", keys: ranged([]cni.Conf{{"subnet": "10.1.0.0/24", "gateway": "10.9.0.1"}})},
		{name: "ranges: gateway outside the subnet, isGateway false", keys: ipam(cni.Conf{"ranges": [][]cni.Conf{{{"subnet": "10.1.0.0/24", "gateway": "10.9.0.1"}}}})},
		{name: "ranges: several in a set, isGateway", keys: ranged([]cni.Conf{{"subnet": "10.1.0.0/24", "rangeStart": "10.1.0.9", "rangeEnd": "10.1.0.9"}, {"subnet": "10.2.0.0/24"}})},
		{name: "ranges: two of one subnet", keys: ranged([]cni.Conf{
			{"subnet": "10.1.0.0/24", "rangeStart": "10.1.0.9", "rangeEnd": "10.1.0.9"},
			{"subnet": "10.1.0.0/24", "rangeStart": "10.1.0.40", "rangeEnd": "10.1.0.50"},
		})},
		{name: "ranges: two sets of IPv4", keys: pool("10.1.0.0/24", "10.2.0.0/24")},
		{name: "ranges: two sets of IPv6", keys: pool("fd00:1::/64", "fd00:2::/120")},
		{name: "ranges: one set is full", keys: ranged([]cni.Conf{{"subnet": "10.1.0.0/30"}}, []cni.Conf{{"subnet": "fd00:1::/64"}})},
		{name: "subnet", keys: cni.Conf{"isGateway": true}.With(ipam(cni.Conf{"subnet": "10.1.0.0/24"}))},
		{name: "subnet, rangeStart, rangeEnd, gateway", keys: cni.Conf{"isGateway": true}.With(ipam(cni.Conf{
			"subnet": "10.1.0.0/24", "rangeStart": "10.1.0.30", "rangeEnd": "10.1.0.40", "gateway": "10.1.0.33",
		}))},
		{name: "subnet and ranges", keys: cni.Conf{"isGateway": true}.With(ipam(cni.Conf{"subnet": "10.1.0.0/24", "ranges": [][]cni.Conf{{{"subnet": "fd00:1::/64"}}}}))},
		{name: "subnet of IPv6", keys: cni.Conf{"isGateway": true}.With(ipam(cni.Conf{"subnet": "fd00:1::/64", "rangeStart": "fd00:1::100"}))},
		{name: "routes", keys: gatewayed(routes(cni.Conf{"dst": "198.51.100.0/24"}, cni.Conf{"dst": "203.0.113.0/24"}))},
		{name: "routes, IPv6", keys: dual(routes6(cni.Conf{"dst": "198.51.100.0/24"}, cni.Conf{"dst": "2001:db8::/32"}))},
		{name: "routes, default of both families", keys: routes6(cni.Conf{"dst": "0.0.0.0/0"}, cni.Conf{"dst": "::/0"})},
		{name: "routes: gw", keys: routes6(cni.Conf{"dst": "198.51.100.0/24", "gw": "10.1.0.9"}, cni.Conf{"dst": "2001:db8::/32", "gw": "fd00:1::9"})},
		{name: "routes: priority", version: "1.1.0", keys: routes6(cni.Conf{"dst": "198.51.100.0/24", "priority": 7}, cni.Conf{"dst": "2001:db8::/32", "priority": 8})},
		{name: "routes: table", version: "1.1.0", keys: routes6(cni.Conf{"dst": "198.51.100.0/24", "table": table}, cni.Conf{"dst": "2001:db8::/32", "table": table})},
		{name: "routes: scope", version: "1.1.0", keys: ipam(cni.Conf{"ranges": [][]cni.Conf{{{"subnet": "10.1.0.0/24"}}}, "routes": []cni.Conf{{"dst": "198.51.100.0/24", "scope": 0}}})},
		{name: "routes: scope link", version: "1.1.0", keys: routes(cni.Conf{"dst": "198.51.100.0/24", "scope": scope})},
		{name: "routes: scope link, gw 0.0.0.0", version: "1.1.0", keys: routes(cni.Conf{"dst": "198.51.100.0/24", "gw": "0.0.0.0", "scope": scope})},
		{name: "routes: mtu", version: "1.1.0", keys: routes6(cni.Conf{"dst": "198.51.100.0/24", "mtu": 1300}, cni.Conf{"dst": "2001:db8::/32", "mtu": 1320})},
		{name: "routes: advmss", version: "1.1.0", keys: routes6(cni.Conf{"dst": "198.51.100.0/24", "advmss": 1200}, cni.Conf{"dst": "2001:db8::/32", "advmss": 1210})},
		{name: "routes: all fields", version: "1.1.0", keys: routes(cni.Conf{"dst": "198.51.100.0/24", "gw": "10.1.0.9", "mtu": 1300, "advmss": 1200, "priority": 7, "table": table, "scope": 0})},
	}
}

// requestRows are resolvConf, dataDir, ipRanges, ips and CNI_ARGS.
func requestRows() []row {
	ips := cni.Conf{"capabilities": cni.Conf{"ips": true}}
	ipRanges := cni.Conf{"capabilities": cni.Conf{"ipRanges": true}}
	return []row{
		{name: "resolvConf", keys: resolvConf(), host: withResolvConf},
		{name: "resolvConf that is not there", keys: resolvConf()},
		{name: "dataDir", keys: gatewayed(ipam(cni.Conf{"subnet": "10.1.0.0/24", "dataDir": "/var/lib/cni/other"})), dataDir: "/var/lib/cni/other"},
		{
			name: "ipRanges", keys: pool("10.1.0.0/24").With(ipRanges),
			capabilities: requests("ipRanges", [][]cni.Conf{{{"subnet": "10.5.0.0/24"}}}, [][]cni.Conf{{{"subnet": "10.5.0.0/24"}}}),
		},
		{
			name: "ipRanges alone", keys: cni.Conf{"ipam": cni.Conf{"type": "host-local"}}.With(ipRanges),
			capabilities: requests("ipRanges", [][]cni.Conf{{{"subnet": "10.5.0.0/24"}}, {{"subnet": "fd00:5::/64"}}}, [][]cni.Conf{{{"subnet": "10.5.0.0/24"}}, {{"subnet": "fd00:5::/64"}}}),
		},
		{name: "ipRanges that no runtime gives", keys: gatewayed(ipRanges)},
		{name: "ips of runtimeConfig", keys: dual(ips), capabilities: requests("ips", []string{"10.1.0.77", "fd00:1::77/64"}, []string{"10.1.0.78/24"})},
		{name: "ips of args", keys: dual(), own: map[string]cni.Conf{
			"one": {"args": cni.Conf{"cni": cni.Conf{"ips": []string{"10.1.0.77/24", "fd00:1::77"}}}},
			"two": {"args": cni.Conf{"cni": cni.Conf{"ips": []string{"fd00:1::78"}}}},
		}},
		{name: "ips of CNI_ARGS", keys: dual(), args: map[string][][2]string{"one": {{"IgnoreUnknown", "1"}, {"IP", "10.1.0.77"}}, "two": {{"IgnoreUnknown", "1"}, {"IP", "fd00:1::78"}}}},
		{
			name: "ips of all three", keys: pool("10.1.0.0/24", "10.2.0.0/24", "fd00:1::/64").With(ips),
			capabilities: requests("ips", []string{"10.1.0.77"}, []string{"10.1.0.78"}),
			own: map[string]cni.Conf{
				"one": {"args": cni.Conf{"cni": cni.Conf{"ips": []string{"10.2.0.77"}}}},
				"two": {"args": cni.Conf{"cni": cni.Conf{"ips": []string{"10.2.0.78"}}}},
			},
			args: map[string][][2]string{"one": {{"IgnoreUnknown", "1"}, {"IP", "fd00:1::77"}}, "two": {{"IgnoreUnknown", "1"}, {"IP", "fd00:1::78"}}},
		},
		{name: "ips that are taken", keys: gatewayed(ips), capabilities: requests("ips", []string{"10.1.0.77"}, []string{"10.1.0.77"})},
		{name: "ips outside the ranges", keys: gatewayed(ips), capabilities: requests("ips", []string{"10.9.0.77"}, []string{"10.1.0.77"})},
		{name: "ips: the gateway", keys: gatewayed(ips), capabilities: requests("ips", []string{"10.1.0.1"}, []string{"10.1.0.77"})},
		{name: "CNI_ARGS without IgnoreUnknown", keys: gatewayed(), args: map[string][][2]string{"one": {{"IP", "10.1.0.77"}}, "two": {{"MAC", "0a:00:00:00:00:02"}}}},
		{name: "CNI_ARGS that nobody knows", keys: gatewayed(), args: map[string][][2]string{"one": {{"COLOUR", "red"}}, "two": {{"IP", "no"}}}},
		{name: "CNI_ARGS of Kubernetes", keys: gatewayed(), args: map[string][][2]string{
			"one": {{"IgnoreUnknown", "1"}, {"K8S_POD_NAMESPACE", "default"}, {"K8S_POD_NAME", "one"}, {"K8S_POD_INFRA_CONTAINER_ID", "one"}, {"K8S_POD_UID", "1"}},
		}},
	}
}
