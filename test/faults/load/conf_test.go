package load

import "github.com/patchbay-cni/patchbay/test/kit/cni"

// network returns the configuration of a network on a bridge for cniVersion 1.0.0, with further keys.
func network(name, bridge string, keys ...cni.Conf) cni.Conf {
	return cni.Network(cni.Conf{"cniVersion": "1.0.0", "name": name, "bridge": bridge}).With(keys...)
}

// sticky returns the section ipam of a network with sticky addresses.
func sticky(subnets ...string) cni.Conf {
	return cni.IPAM(cni.Conf{"sticky": true, "ranges": cni.Ranges(subnets...)})
}

// publishing returns a section runtimeConfig with one host port for TCP and UDP. hostIP may be empty.
func publishing(port int, hostIP string) cni.Conf {
	var mappings []cni.Conf
	for _, protocol := range []string{"tcp", "udp"} {
		mappings = append(mappings, cni.Conf{"hostPort": port, "containerPort": 80, "protocol": protocol, "hostIP": hostIP})
	}
	return cni.Ports(mappings...)
}

// Addresses of the host with which containers of network "policies" reach the outside.
const (
	outbound4 = "203.0.113.5"
	outbound6 = "2001:db8::5"
)

// policies returns the keys of containers that are reached by published ports alone, and reach a list of destinations.
func policies() cni.Conf {
	return cni.Conf{
		"ingressPolicy": "published", "outboundAddr4": outbound4, "outboundAddr6": outbound6,
		"egress": cni.Conf{"allow": []string{"198.51.100.0/24", "2001:db8:1::/48"}},
	}
}
