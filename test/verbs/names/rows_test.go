package names

import (
	"slices"

	"github.com/patchbay-cni/patchbay/test/kit/cni"
)

// parityRows returns the rows of TestParity: each key of each plugin, on and off, and wrong values.
func parityRows() []parityRow {
	return slices.Concat(portmapRows(), firewallRows(), limitRows(), loopbackRows(), tuningRows(), sbrRows())
}

func portmapRows() []parityRow {
	const source = "a neighbour's address is kept where br_netfilter translates bridged packets: its replies are translated back"
	const del = "DEL needs nothing, a valid configuration neither"
	with := func(more ...cni.Conf) cni.Conf { return portmap(web()).With(more...) }
	return []parityRow{
		{plugin: "portmap", name: "no mapping", conf: portmap()},
		{plugin: "portmap", name: "a mapping", conf: with(), differs: source},
		{plugin: "portmap", name: "hostIP", conf: portmap(web().With(cni.Conf{"hostIP": "192.0.2.1"})), differs: source},
		{plugin: "portmap", name: "hostIP 127.0.0.1", conf: portmap(web().With(cni.Conf{"hostIP": "127.0.0.1"}))},
		{plugin: "portmap", name: "snat false", conf: with(cni.Conf{"snat": false})},
		{plugin: "portmap", name: "masqAll", conf: with(cni.Conf{"masqAll": true})},
		{plugin: "portmap", name: "markMasqBit 20", conf: with(cni.Conf{"markMasqBit": 20}), differs: source},
		{plugin: "portmap", name: "markMasqBit 32", conf: with(cni.Conf{"markMasqBit": 32}), differs: del},
		{plugin: "portmap", name: "backend iptables", conf: with(cni.Conf{"backend": "iptables"}), differs: source},
		{plugin: "portmap", name: "backend of another name", conf: with(cni.Conf{"backend": "pf"}), differs: del},
		{plugin: "portmap", name: "conditionsV4", conf: with(cni.Conf{"conditionsV4": []string{"-d", "192.0.2.0/24"}}), differs: "is for iptables, and refused: the mapping would be open to more"},
		{plugin: "portmap", name: "externalSetMarkChain that does not exist", conf: with(cni.Conf{"externalSetMarkChain": "KUBE-MARK-MASQ"}), differs: "is not called; the reference needs the chain of kube-proxy"},
		{plugin: "portmap", name: "hostPort 0", conf: portmap(cni.Conf{"hostPort": 0, "containerPort": 80, "protocol": "tcp"}), differs: "is a port that is not published, as CRI and nerdctl mean it"},
		{plugin: "portmap", name: "containerPort 0", conf: portmap(cni.Conf{"hostPort": 8080, "containerPort": 0, "protocol": "tcp"}), differs: "DEL needs nothing; the reference's fails, too"},
		{plugin: "portmap", name: "protocol of another name", conf: portmap(web().With(cni.Conf{"protocol": "icmp"}))},
	}
}

func firewallRows() []parityRow {
	return []parityRow{
		{plugin: "firewall", name: "no key", conf: cni.Conf{}},
		{plugin: "firewall", name: "ingressPolicy open", conf: cni.Conf{"ingressPolicy": "open"}},
		{plugin: "firewall", name: "ingressPolicy same-bridge", conf: cni.Conf{"ingressPolicy": "same-bridge"}},
		{plugin: "firewall", name: "ingressPolicy isolated", conf: cni.Conf{"ingressPolicy": "isolated"}},
		{plugin: "firewall", name: "backend iptables", conf: cni.Conf{"backend": "iptables"}},
		{plugin: "firewall", name: "iptablesAdminChainName", conf: cni.Conf{"iptablesAdminChainName": "MINE"}},
		{plugin: "firewall", name: "firewalldZone", conf: cni.Conf{"firewalldZone": "work"}},
		{plugin: "firewall", name: "ingressPolicy of another name", conf: cni.Conf{"ingressPolicy": "closed"}, differs: "DEL needs nothing, and CHECK of what ADD refuses fails"},
	}
}

func limitRows() []parityRow {
	const left = "DEL removes the limit of the host interface; the reference leaves it to the main plugin"
	rates := func(more ...cni.Conf) cni.Conf { return slow().With(more...) }
	return []parityRow{
		{plugin: "bandwidth", name: "both directions", conf: rates(), differs: left},
		{plugin: "bandwidth", name: "ingress", conf: rates(cni.Conf{"egressRate": 0, "egressBurst": 0}), differs: left},
		{plugin: "bandwidth", name: "egress", conf: rates(cni.Conf{"ingressRate": 0, "ingressBurst": 0})},
		{plugin: "bandwidth", name: "of the runtime", conf: cni.RuntimeConfig(cni.Conf{"bandwidth": cni.Conf{"ingressRate": 8000000, "ingressBurst": 800000}}), differs: left},
		{plugin: "bandwidth", name: "of the runtime and of the file", conf: rates(cni.RuntimeConfig(cni.Conf{"bandwidth": cni.Conf{"ingressRate": 1000000, "ingressBurst": 800000}})), differs: left},
		{plugin: "bandwidth", name: "no limit", conf: cni.Conf{}},
		{plugin: "bandwidth", name: "a rate without a burst", conf: cni.Conf{"ingressRate": 8000000}, differs: "has a default burst"},
		{plugin: "bandwidth", name: "a negative rate", conf: rates(cni.Conf{"ingressRate": -1}), differs: "DEL needs nothing"},
	}
}

func loopbackRows() []parityRow {
	return []parityRow{{plugin: "loopback", name: "behind another plugin", conf: cni.Conf{}}}
}

func tuningRows() []parityRow {
	of := func(keys cni.Conf) cni.Conf { return keys }

	return []parityRow{
		{plugin: "tuning", name: "nothing", conf: of(nil)},
		{plugin: "tuning", name: "sysctl", conf: of(cni.Conf{"sysctl": cni.Conf{"net.ipv4.conf.IFNAME.arp_filter": "1", "net.core.somaxconn": "500"}}), differs: "a sysctl of the interface is restored by DEL"},
		{plugin: "tuning", name: "mac", conf: of(cni.Conf{"mac": "02:11:22:33:44:55"})},
		{plugin: "tuning", name: "mac of CNI_ARGS", conf: of(nil), args: "MAC=02:11:22:33:44:55"},
		{plugin: "tuning", name: "mac of all four", conf: of(cni.Conf{"mac": "02:11:22:33:44:50"}).With(cni.RuntimeConfig(cni.Conf{"mac": "02:11:22:33:44:51"}), cni.Args(cni.Conf{"mac": "02:11:22:33:44:52"})), args: "MAC=02:11:22:33:44:53"},
		{plugin: "tuning", name: "mtu", conf: of(cni.Conf{"mtu": 1400})},
		{plugin: "tuning", name: "mtu of args", conf: cni.Args(cni.Conf{"mtu": 1400})},
		{plugin: "tuning", name: "promisc", conf: of(cni.Conf{"promisc": true})},
		{plugin: "tuning", name: "allmulti", conf: of(cni.Conf{"allmulti": true})},
		{plugin: "tuning", name: "txQLen", conf: of(cni.Conf{"txQLen": 500})},
		{plugin: "tuning", name: "sysctl of the host", conf: of(cni.Conf{"sysctl": cni.Conf{"kernel.hostname": "x"}})},
		{plugin: "tuning", name: "sysctl that does not exist", conf: of(cni.Conf{"sysctl": cni.Conf{"net.ipv4.nothing": "1"}})},
	}
}

func sbrRows() []parityRow {
	return []parityRow{
		{plugin: "sbr", name: "no key", conf: cni.Conf{}, differs: "DEL removes the table with the rules; the reference leaves it"},
		{plugin: "sbr", name: "table", conf: cni.Conf{"table": 100}},
	}
}
