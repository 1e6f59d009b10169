package parity

import "github.com/patchbay-cni/patchbay/test/kit/cni"

// tuningRows are the keys of the reference tuning behind bridge, and in the one plugin of Patchbay. Its mtu has no row: the key of Patchbay sets both
// ends of the veth pair, as that of bridge does.
func tuningRows() []row {
	behind := func(keys ...cni.Conf) []cni.Conf { return []cni.Conf{cni.Conf{"type": "tuning"}.With(keys...)} }
	sysctl := cni.Conf{"sysctl": cni.Conf{"net.ipv4.conf.IFNAME.arp_filter": "1", "net.core.somaxconn": "500", "net.ipv6.conf.IFNAME.accept_ra": "2"}}
	all := sysctl.With(cni.Conf{"promisc": true, "allmulti": true, "txQLen": 500, "mac": "0a:00:00:00:00:07"})
	own := func(keys cni.Conf) map[string]cni.Conf {
		return map[string]cni.Conf{"one": {"args": cni.Conf{"cni": keys}}}
	}
	return []row{
		{name: "tuning, no key", keys: gatewayed(), behind: behind()},
		{name: "tuning, sysctl", keys: dual(), behind: behind(sysctl)},
		{name: "tuning, sysctl, no ipam", behind: behind(sysctl)},
		{name: "tuning, sysctl that does not exist", keys: gatewayed(), behind: behind(cni.Conf{"sysctl": cni.Conf{"net.ipv4.nosuch": "1"}})},
		{name: "tuning, sysctl of the host", keys: gatewayed(), behind: behind(cni.Conf{"sysctl": cni.Conf{"kernel.pid_max": "99999"}})},
		{name: "tuning, mac", keys: gatewayed(), behind: behind(cni.Conf{"mac": "0a:00:00:00:00:07"})},
		{name: "tuning, promisc", keys: gatewayed(), behind: behind(cni.Conf{"promisc": true})},
		{name: "tuning, promisc false", keys: gatewayed(), behind: behind(cni.Conf{"promisc": false})},
		{name: "tuning, allmulti", keys: gatewayed(), behind: behind(cni.Conf{"allmulti": true})},
		{name: "tuning, allmulti false", keys: gatewayed(), behind: behind(cni.Conf{"allmulti": false})},
		{name: "tuning, txQLen", keys: gatewayed(), behind: behind(cni.Conf{"txQLen": 500})},
		{name: "tuning, txQLen 0", keys: gatewayed(), behind: behind(cni.Conf{"txQLen": 0})},
		{name: "tuning, everything", keys: dual(), behind: behind(all)},
		{
			name: "tuning, args", keys: dual(), own: own(all), behind: behind(sysctl, cni.Conf{"args": cni.Conf{"cni": all.With(cni.Conf{"mac": "0a:00:00:00:00:08"})}}),
		},
	}
}

// sbrRows are the keys of the reference sbr behind bridge, and in the one plugin of Patchbay.
func sbrRows() []row {
	sbr := func(keys ...cni.Conf) []cni.Conf { return []cni.Conf{cni.Conf{"type": "sbr"}.With(keys...)} }
	routed := func(table ...cni.Conf) cni.Conf {
		return cni.Conf{"isGateway": true}.With(ipam(cni.Conf{"ranges": cni.Ranges("10.1.0.0/24", "fd00:1::/64"), "routes": []cni.Conf{
			cni.Conf{"dst": "198.51.100.0/24"}.With(table...), cni.Conf{"dst": "2001:db8::/32", "gw": "fd00:1::9"}.With(table...),
		}}))
	}
	return []row{
		{name: "sbr", keys: gatewayed(), version: "1.1.0", behind: sbr()},
		{name: "sbr, both families", keys: dual(), version: "1.1.0", behind: sbr()},
		{name: "sbr, isGateway", keys: cni.Conf{"isGateway": true}.With(pool("10.1.0.0/24")), version: "1.1.0", behind: sbr()},
		{name: "sbr, routes", keys: routed(), version: "1.1.0", behind: sbr()},
		{name: "sbr, table", keys: routed(cni.Conf{"table": 300}), version: "1.1.0", behind: sbr(cni.Conf{"table": 300})},
	}
}
