package chaos

import (
	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
)

// network is a list of plugins, as a runtime reads it.
type network struct {
	name    string
	plugins []cni.Conf
	sticky  bool // an attachment that comes again gets its address again
	ports   bool // each attachment publishes a port
	limited bool // each attachment has an ifb device
	pings   bool // the gateway answers
}

// cniVersion is that of all networks: it has GC and STATUS.
const cniVersion = "1.1.0"

// networks returns one network of each kind: routed, with published ports, isolated, with sticky addresses and with rate limits; Patchbay
// followed by plugins of a list under the names of the reference plugins, and a list of these names alone; with a VLAN if the kernel has it.
func networks() []network {
	patchbay := func(bridge string, keys ...cni.Conf) cni.Conf {
		return cni.Conf{"type": "patchbay", "bridge": bridge}.With(keys...)
	}
	portmap := cni.Conf{"type": "portmap", "capabilities": cni.Conf{"portMappings": true}}
	rates := cni.Conf{"ingressRate": 100e6, "ingressBurst": 1e6, "egressRate": 100e6, "egressBurst": 1e6}
	all := []network{
		{name: "routed", pings: true, plugins: []cni.Conf{patchbay("br1", cni.DefaultGateway(), cni.Masquerade(), cni.Pool("10.1.0.0/24", "fd00:1::/64"))}},
		{name: "ports", pings: true, ports: true, plugins: []cni.Conf{
			patchbay("br2", cni.DefaultGateway(), cni.Masquerade(), cni.Pool("10.2.0.0/24", "fd00:2::/64"), cni.Conf{"capabilities": cni.Conf{"portMappings": true}}),
		}},
		{name: "isolated", pings: true, plugins: []cni.Conf{patchbay("br3", cni.DefaultGateway(), cni.Conf{"ingressPolicy": "isolated"}, cni.Pool("10.3.0.0/24", "fd00:3::/64"))}},
		{name: "kept", pings: true, sticky: true, plugins: []cni.Conf{
			patchbay("br4", cni.DefaultGateway(), cni.Masquerade(), cni.IPAM(cni.Conf{"sticky": true, "ranges": cni.Ranges("10.4.0.0/24", "fd00:4::/64")})),
		}},
		{name: "limited", pings: true, limited: true, plugins: []cni.Conf{
			patchbay("br5", cni.DefaultGateway(), cni.Pool("10.5.0.0/24"), cni.Conf{"ingressRate": 100e6, "egressRate": 100e6}),
		}},
		{name: "followed", pings: true, ports: true, limited: true, plugins: []cni.Conf{
			patchbay("br6", cni.DefaultGateway(), cni.Masquerade(), cni.Pool("10.6.0.0/24", "fd00:6::/64")), portmap, {"type": "firewall"}, cni.Conf{"type": "bandwidth"}.With(rates),
		}},
		{name: "named", pings: true, ports: true, limited: true, plugins: []cni.Conf{
			{"type": "bridge", "bridge": "br7", "isDefaultGateway": true, "ipMasq": true, "ipam": cni.Conf{"type": "host-local", "ranges": cni.Ranges("10.7.0.0/24", "fd00:7::/64")}},
			portmap,
			{"type": "firewall"},
			cni.Conf{"type": "bandwidth"}.With(rates),
			{"type": "tuning", "sysctl": cni.Conf{"net.ipv4.conf.IFNAME.arp_filter": "1"}},
		}},
		{name: "segment", plugins: []cni.Conf{patchbay("br8", cni.Pool("10.8.0.0/24"), cni.Conf{"portIsolation": nettest.Has(nettest.PortIsolation)})}},
	}
	if nettest.Has(nettest.VLANFiltering) {
		all = append(all, network{name: "vlan", plugins: []cni.Conf{patchbay("br9", cni.Pool("10.9.0.0/24"), cni.Conf{"vlan": 100})}})
	}
	return all
}

// conf returns the configuration of one plugin of the list, as libcni makes it.
func (n network) conf(plugin int, a *attachment) cni.Conf {
	conf := n.plugins[plugin].With(cni.Conf{"name": n.name, "cniVersion": cniVersion})
	if _, capable := conf["capabilities"]; capable && a != nil && n.ports {
		conf = conf.With(cni.Ports(
			cni.Conf{"hostPort": a.port, "containerPort": 80, "protocol": "tcp"}, cni.Conf{"hostPort": a.port, "containerPort": 53, "protocol": "udp"}))
	}
	return conf.With(cni.Conf{"capabilities": cni.Absent})
}
