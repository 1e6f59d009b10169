package names

import (
	"slices"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/test/kit/cni"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
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
		{plugin: "portmap", name: "hostIP 0.0.0.0", conf: portmap(web().With(cni.Conf{"hostIP": "0.0.0.0"})), differs: source},
		{plugin: "portmap", name: "hostIP ::", conf: portmap(web().With(cni.Conf{"hostIP": "::"}))},
		{plugin: "portmap", name: "hostIP of no form", conf: portmap(web().With(cni.Conf{"hostIP": "host"}))},
		{plugin: "portmap", name: "hostIP 127.0.0.1", conf: portmap(web().With(cni.Conf{"hostIP": "127.0.0.1"}))},
		{plugin: "portmap", name: "snat false", conf: with(cni.Conf{"snat": false})},
		{plugin: "portmap", name: "snat true", conf: with(cni.Conf{"snat": true}), differs: source},
		{plugin: "portmap", name: "masqAll false", conf: with(cni.Conf{"masqAll": false}), differs: source},
		{plugin: "portmap", name: "masqAll", conf: with(cni.Conf{"masqAll": true})},
		{plugin: "portmap", name: "markMasqBit 20", conf: with(cni.Conf{"markMasqBit": 20}), differs: source},
		{plugin: "portmap", name: "markMasqBit 32", conf: with(cni.Conf{"markMasqBit": 32}), differs: del},
		{plugin: "portmap", name: "backend iptables", conf: with(cni.Conf{"backend": "iptables"}), differs: source},
		{plugin: "portmap", name: "backend nftables", conf: with(cni.Conf{"backend": "nftables"})},
		{plugin: "portmap", name: "backend of another name", conf: with(cni.Conf{"backend": "pf"}), differs: del},
		{plugin: "portmap", name: "conditionsV4", conf: with(cni.Conf{"conditionsV4": []string{"-d", "192.0.2.0/24"}}), differs: "is for iptables, and refused: the mapping would be open to more"},
		{plugin: "portmap", name: "conditionsV6", conf: with(cni.Conf{"conditionsV6": []string{"-d", "2001:db8::/32"}}), differs: "is for iptables, and refused: the mapping would be open to more"},
		{plugin: "portmap", name: "conditionsV4 and conditionsV6 of nothing", conf: with(cni.Conf{"conditionsV4": []string{}, "conditionsV6": []string{}}), differs: source},
		{plugin: "portmap", name: "externalSetMarkChain and markMasqBit", conf: with(cni.Conf{"externalSetMarkChain": "KUBE-MARK-MASQ", "markMasqBit": 20}), differs: del},
		{plugin: "portmap", name: "externalSetMarkChain that does not exist", conf: with(cni.Conf{"externalSetMarkChain": "KUBE-MARK-MASQ"}), differs: "is not called; the reference needs the chain of kube-proxy"},
		{plugin: "portmap", name: "hostPort 0", conf: portmap(cni.Conf{"hostPort": 0, "containerPort": 80, "protocol": "tcp"}), differs: "is a port that is not published, as CRI and nerdctl mean it"},
		{plugin: "portmap", name: "containerPort 0", conf: portmap(cni.Conf{"hostPort": 8080, "containerPort": 0, "protocol": "tcp"}), differs: "DEL needs nothing; the reference's fails, too"},
		{plugin: "portmap", name: "hostPort 70000", conf: portmap(web().With(cni.Conf{"hostPort": 70000}))},
		{plugin: "portmap", name: "protocol udp", conf: portmap(web().With(cni.Conf{"protocol": "udp"})), differs: source},
		{plugin: "portmap", name: "protocol sctp", conf: portmap(web().With(cni.Conf{"protocol": "sctp"}))},
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
		{plugin: "firewall", name: "backend firewalld", conf: cni.Conf{"backend": "firewalld"}, differs: "is accepted where firewalld does not run"},
		{plugin: "firewall", name: "backend of another name", conf: cni.Conf{"backend": "nftables"}},
		{plugin: "firewall", name: "iptablesAdminChainName", conf: cni.Conf{"iptablesAdminChainName": "MINE"}},
		{plugin: "firewall", name: "firewalldZone", conf: cni.Conf{"firewalldZone": "work"}},
		{plugin: "firewall", name: "ingressPolicy of another name", conf: cni.Conf{"ingressPolicy": "closed"}, differs: "DEL needs nothing, and CHECK of what ADD refuses fails"},
	}
}

// limitRows have bursts of 100 ms, beyond which this program bounds them, and rates whose queue of 25 ms is more than its least one.
func limitRows() []parityRow {
	const left = "DEL removes limit and filter of the host interface; the reference leaves them to the main plugin"
	const unknown = "the reference v1.9.1 has no such key, and limits all traffic"
	ingress := cni.Conf{"ingressRate": 8000000, "ingressBurst": 800000}
	egress := cni.Conf{"egressRate": 16000000, "egressBurst": 1600000}
	both := ingress.With(egress)
	runtime := func(keys ...cni.Conf) cni.Conf {
		return cni.RuntimeConfig(cni.Conf{"bandwidth": cni.Conf{}.With(keys...)})
	}
	shaped, unshaped := cni.Conf{"shapedSubnets": []string{"192.0.2.0/24", "2001:db8::/32"}}, cni.Conf{"unshapedSubnets": []string{"192.0.2.0/24", "2001:db8::/32"}}
	return []parityRow{
		{plugin: "bandwidth", name: "both directions", conf: both, differs: left},
		{plugin: "bandwidth", name: "ingress", conf: ingress, differs: left},
		{plugin: "bandwidth", name: "ingress, egress 0", conf: ingress.With(cni.Conf{"egressRate": 0, "egressBurst": 0}), differs: left},
		{plugin: "bandwidth", name: "egress", conf: egress, differs: left},
		{plugin: "bandwidth", name: "egress, ingress 0", conf: egress.With(cni.Conf{"ingressRate": 0, "ingressBurst": 0}), differs: left},
		{plugin: "bandwidth", name: "of the runtime", conf: runtime(both), differs: left},
		{plugin: "bandwidth", name: "ingress of the runtime", conf: runtime(ingress), differs: left},
		{plugin: "bandwidth", name: "egress of the runtime", conf: runtime(egress), differs: left},
		{plugin: "bandwidth", name: "of the runtime and of the file", conf: both.With(runtime(cni.Conf{"ingressRate": 1000000, "ingressBurst": 100000})), differs: left},
		{plugin: "bandwidth", name: "ingress of the runtime, egress of the file", conf: egress.With(runtime(ingress)), differs: left},
		{plugin: "bandwidth", name: "0 of the file, ingress of the runtime", conf: cni.Conf{"ingressRate": 0, "ingressBurst": 0}.With(runtime(ingress)), differs: "0 counts as not given"},
		{plugin: "bandwidth", name: "a burst of 200 ms", conf: cni.Conf{"ingressRate": 4000000, "ingressBurst": 800000}, differs: "a burst is at most what the rate sends in 100 ms"},
		{plugin: "bandwidth", name: "shapedSubnets", conf: both.With(shaped), differs: unknown},
		{plugin: "bandwidth", name: "unshapedSubnets", conf: both.With(unshaped), differs: unknown},
		{plugin: "bandwidth", name: "shapedSubnets of the runtime", conf: runtime(both, shaped), differs: unknown},
		{plugin: "bandwidth", name: "unshapedSubnets of the runtime", conf: runtime(egress, unshaped), differs: unknown},
		{plugin: "bandwidth", name: "shapedSubnets without a rate", conf: shaped},
		{plugin: "bandwidth", name: "no limit", conf: cni.Conf{}},
		{plugin: "bandwidth", name: "no limit of the runtime", conf: runtime()},
		{plugin: "bandwidth", name: "a rate without a burst", conf: cni.Conf{"ingressRate": 8000000}, differs: "has a default burst"},
		{plugin: "bandwidth", name: "a burst without a rate", conf: cni.Conf{"egressBurst": 800000}, differs: "DEL needs nothing"},
		{plugin: "bandwidth", name: "a negative rate", conf: both.With(cni.Conf{"ingressRate": -1}), differs: "DEL needs nothing"},
		{plugin: "bandwidth", name: "a negative burst of the runtime", conf: runtime(egress, cni.Conf{"egressBurst": -1}), differs: "DEL needs nothing"},
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
		{plugin: "tuning", name: "sysctl of args", conf: of(cni.Conf{"sysctl": cni.Conf{}}).With(cni.Args(cni.Conf{"sysctl": cni.Conf{"net.core.somaxconn": "500"}}))},
		{plugin: "tuning", name: "sysctl of args alone", conf: cni.Args(cni.Conf{"sysctl": cni.Conf{"net.core.somaxconn": "500"}}), differs: "the reference ends with an error of the Go runtime where the file has no sysctl"},
		{plugin: "tuning", name: "mac of args", conf: cni.Args(cni.Conf{"mac": "02:11:22:33:44:55"})},
		{plugin: "tuning", name: "mac of the runtime", conf: cni.RuntimeConfig(cni.Conf{"mac": "02:11:22:33:44:55"})},
		{plugin: "tuning", name: "mac of no form", conf: of(cni.Conf{"mac": "02:11"})},
		{plugin: "tuning", name: "mac of CNI_ARGS", conf: of(nil), args: "MAC=02:11:22:33:44:55"},
		{plugin: "tuning", name: "mac of all four", conf: of(cni.Conf{"mac": "02:11:22:33:44:50"}).With(cni.RuntimeConfig(cni.Conf{"mac": "02:11:22:33:44:51"}), cni.Args(cni.Conf{"mac": "02:11:22:33:44:52"})), args: "MAC=02:11:22:33:44:53"},
		{plugin: "tuning", name: "mtu", conf: of(cni.Conf{"mtu": 1400})},
		{plugin: "tuning", name: "mtu of args", conf: cni.Args(cni.Conf{"mtu": 1400})},
		{plugin: "tuning", name: "mtu 0", conf: of(cni.Conf{"mtu": 0})},
		{plugin: "tuning", name: "promisc false", conf: of(cni.Conf{"promisc": false})},
		{plugin: "tuning", name: "promisc of args", conf: cni.Args(cni.Conf{"promisc": true})},
		{plugin: "tuning", name: "promisc, false of args", conf: of(cni.Conf{"promisc": true}).With(cni.Args(cni.Conf{"promisc": false}))},
		{plugin: "tuning", name: "allmulti false", conf: of(cni.Conf{"allmulti": false})},
		{plugin: "tuning", name: "allmulti of args", conf: cni.Args(cni.Conf{"allmulti": true})},
		{plugin: "tuning", name: "txQLen 0", conf: of(cni.Conf{"txQLen": 0})},
		{plugin: "tuning", name: "txQLen of args", conf: of(cni.Conf{"txQLen": 400}).With(cni.Args(cni.Conf{"txQLen": 500}))},
		{plugin: "tuning", name: "dataDir", conf: of(cni.Conf{"dataDir": "/run/tuning", "mtu": 1400})},
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
		{plugin: "sbr", name: "table 200", conf: cni.Conf{"table": 200}},
		{plugin: "sbr", name: "table 0", conf: cni.Conf{"table": 0}, differs: "0 is as without the key; the reference fails"},
		{plugin: "sbr", name: "table -1", conf: cni.Conf{"table": -1}, differs: "an ADD that fails leaves nothing, and CHECK of what ADD refuses fails"},
	}
}

// TestEveryKey: each key of the reference's plugins occurs in a row of TestParity, and those of static in one of TestStaticAsTheReference.
func TestEveryKey(t *testing.T) {
	for _, plugin := range []string{"portmap", "firewall", "bandwidth", "tuning", "sbr"} {
		var values []any
		for _, r := range parityRows() {
			if r.plugin == plugin {
				values = append(values, r.conf)
			}
		}
		expect.Equal(t, "keys of "+plugin+" without a row", cni.Missing(t, cni.ReferenceKeys(t, "plugins/meta/"+plugin), values...), []string{})
	}
	var values []any
	for _, r := range staticRows() {
		values = append(values, r.conf)
		for arg := range strings.SplitSeq(r.args, ";") { // of CNI_ARGS
			name, value, _ := strings.Cut(strings.ToLower(arg), "=")
			values = append(values, cni.Conf{name: value})
		}
	}
	expect.Equal(t, "keys of static without a row", cni.Missing(t, cni.ReferenceKeys(t, "plugins/ipam/static"), values...), []string{})
}
