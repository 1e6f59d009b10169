package networks

import (
	"slices"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
)

// Family is a kind of network.
type Family struct {
	Name   string
	IfName string
	conf   cni.Conf
	// host prepares the host before the first attachment; may be nil.
	host func(testing.TB, *nettest.Node)
	// container prepares a container before its ADD and returns keys to add to its configuration; may be nil.
	container func(*Scene, *nettest.Container) cni.Conf
	mates     []string // names of further containers of the network, for a GC of many
	// Begins is part of the text of the first call of an ADD that differs from another family's: the harness stops the ADD there and
	// at later calls. Empty means at every call.
	Begins string
	lost   bool // the records are deleted while the containers are attached
	// publishes is set if containers publish ports, to which clients send.
	publishes bool
	// main is the configuration of Patchbay as the main plugin of the list, if conf is that of a plugin which follows it. Its ADD was called
	// before the verb, and its DEL follows that of the plugin, as in a runtime.
	main cni.Conf
	// theirs is set if the interface is a port of a bridge that another main plugin made, with addresses and routes.
	theirs bool
	// moves is set if the plugin moves routes out of the main table of the container and its DEL does not return them, as the
	// reference's does not: the DEL of the main plugin, or the end of the namespace, follows.
	moves bool
}

// All returns the families of one container. Their names appear in test/faults/crash/table.md.
func All() []Family { return slices.Concat(mains(), Named()) }

// mains returns the families of Patchbay as a main plugin.
func mains() []Family {
	gateway := cni.Conf{"isDefaultGateway": true}
	return []Family{
		{Name: "l2", conf: cni.Network()},
		{Name: "gateway", conf: cni.Network(gateway, cni.Pool("10.1.0.0/24"))},
		{Name: "dual stack", conf: cni.Network(gateway, cni.Pool("10.1.0.0/24", "fd00:1::/64"))},
		{Name: "IPv6 only", conf: cni.Network(gateway, cni.Pool("fd00:1::/64"))},
		{Name: "adopted bridge", conf: cni.Network(gateway, cni.Conf{"bridge": "br0"}, cni.Pool("10.1.0.0/24", "fd00:1::/64")), host: adopted},
		{Name: "single addresses", conf: cni.Network(gateway, singles())},
		{Name: "sticky", conf: cni.Network(gateway, cni.IPAM(cni.Conf{"sticky": true, "ranges": cni.Ranges("10.1.0.0/24")}))},
		{Name: "shared directory", conf: cni.Network(gateway, cni.IPAM(cni.Conf{"dataDir": "/var/lib/cni/networks", "ranges": cni.Ranges("10.1.0.0/24")}))},
		{Name: "several networks", IfName: "eth1", conf: second(), container: first},
		{Name: "chained", conf: cni.Network(cni.Pool("10.1.0.0/24", "fd00:1::/64")), container: earlierPlugin},
		{Name: "masquerade", Begins: "nftables", conf: cni.Network(gateway, cni.Masquerade(), cni.Pool("10.1.0.0/24", "fd00:1::/64")), container: neighbour},
		{Name: "first masquerade", Begins: "nftables", conf: cni.Network(gateway, cni.Masquerade(), cni.Pool("10.1.0.0/24", "fd00:1::/64"))},
		{Name: "another IPAM", Begins: "start a process", conf: cni.Network(gateway, cni.IPAM(cni.Conf{"type": "host-local", "ranges": cni.Ranges("10.1.0.0/24", "fd00:1::/64")})), container: neighbour},
		{Name: "chained, masquerade", Begins: "nftables", conf: cni.Network(cni.Masquerade(), cni.Pool("10.1.0.0/24", "fd00:1::/64")), container: earlierPlugin},
		{Name: "ports", Begins: "nftables", publishes: true, conf: cni.Network(gateway, cni.Masquerade(), cni.Pool("10.1.0.0/24", "fd00:1::/64")), host: uplink, container: published},
		{Name: "ports, isolated", Begins: ".isolating", publishes: true, conf: cni.Network(gateway, cni.Conf{"ingressPolicy": "isolated"}, cni.Pool("10.1.0.0/24", "fd00:1::/64")), host: uplink, container: firstPublished},
		{Name: "bandwidth", Begins: "RTM_NEWQDISC", conf: cni.Network(gateway, limits(), cni.Pool("10.1.0.0/24"))},
		{Name: "chained, bandwidth", Begins: "RTM_NEWQDISC", conf: cni.Network(limits(), cni.Pool("10.1.0.0/24")), container: earlierPlugin},
		{Name: "policies", Begins: "nftables", conf: cni.Network(gateway, policies(), cni.Pool("10.1.0.0/24", "fd00:1::/64")), container: neighbour},
		{Name: "first policies", Begins: "nftables", conf: cni.Network(gateway, policies(), cni.Pool("10.1.0.0/24", "fd00:1::/64"))},
		{Name: "tuning and sbr", IfName: "eth1", Begins: "RTM_NEWRULE", conf: second().With(tuned()), container: first},
		{Name: "chained, tuning and sbr", conf: cni.Network(cni.Pool("10.1.0.0/24", "fd00:1::/64"), tuned()), container: earlierPlugin},
		{Name: "tap", Begins: "TUNSETIFF", conf: cni.Network(gateway, cni.Conf{"tap": cni.Conf{"owner": 12345}}, cni.Pool("10.1.0.0/24", "fd00:1::/64"))},
		{Name: "addresses only", conf: cni.Network(cni.Conf{"type": "macvlan", "master": "eth0"}, cni.Pool("10.1.0.0/24", "fd00:1::/64"))},
	}
}

// policies returns the keys of a network whose containers leave with an address of their own, open connections to a list of destinations, and
// are reached by published ports alone.
func policies() cni.Conf {
	return cni.Conf{
		"outboundAddr4": "203.0.113.5", "ingressPolicy": "published",
		"egress": cni.Conf{"allow": []string{"198.51.100.0/24", "192.0.2.0/25", "2001:db8::/32", "fd00:7::7"}},
		"dns":    cni.Conf{"nameservers": []string{"192.0.2.53", "2001:db8::53"}},
	}
}

// Groups returns families of several containers with masquerading, for a GC that removes several attachments.
func Groups() []Family {
	conf, mates := cni.Network(cni.Conf{"isDefaultGateway": true}, cni.Masquerade(), cni.Pool("10.1.0.0/24", "fd00:1::/64")), []string{"two", "three"}
	return []Family{
		{Name: "three at once", conf: conf, mates: mates},
		{Name: "three without records", conf: conf, mates: mates, lost: true},
	}
}

// singles returns a pool of /32 and /128 subnets: the host has a route to each address.
func singles() cni.Conf {
	one := func(subnet, gateway string) cni.Conf { return cni.Conf{"subnet": subnet, "gateway": gateway} }
	return cni.IPAM(cni.Conf{"ranges": [][]cni.Conf{
		{one("10.9.0.5/32", "10.9.0.1"), one("10.9.0.6/32", "10.9.0.1")}, {one("fd00:9::5/128", "fd00:9::1"), one("fd00:9::6/128", "fd00:9::1")},
	}})
}

// limits returns bandwidth limits for which the kernel has every kind of object: two qdiscs with and one without classes, filters in both
// directions, and an ifb device.
func limits() cni.Conf {
	return cni.Conf{"ingressRate": 10e6, "egressRate": 10e6, "unshapedSubnets": []string{"10.8.0.0/16"}}
}

// adopted creates a bridge with an address and a port. The port has a low MAC address: a random one of the kernel's choice could be
// higher than that of the host interface, and then ADD would make one more call to restore the MAC address of the bridge.
func adopted(t testing.TB, h *nettest.Node) {
	h.Bridge("br0", "2001:db8::10/64")
	h.Veth("port", h.Netns, "wire")
	h.Run(t, "ip", "link", "set", "port", "address", "52:54:00:00:53:10")
	h.Plug("port", "br0")
}

func second() cni.Conf {
	return cni.Network(cni.Conf{"isDefaultGateway": true, "name": "second", "bridge": "cni1"}, cni.Pool("10.2.0.0/24", "fd00:2::/64"))
}

// first attaches the container to another network.
func first(s *Scene, c *nettest.Container) cni.Conf {
	before := cni.Network(cni.Conf{"isDefaultGateway": true}, cni.Pool("10.1.0.0/24", "fd00:1::/64"))
	s.CNI(s.t, nettest.Call{Command: "ADD", ContainerID: c.ID(), Netns: c.Path(), IfName: "eth0", Config: before.JSON(s.t)}).OK(s.t)
	return nil
}

// tuned returns settings of the container interface, sysctls of it and of its namespace, and source-based routing.
func tuned() cni.Conf {
	return cni.Conf{
		"sbr": true, "promisc": true, "allmulti": true, "txQLen": 500,
		"sysctl": cni.Conf{"net.ipv4.conf.IFNAME.arp_filter": "1", "net.core.somaxconn": "500"},
	}
}

// neighbour attaches another container to the same network, once: the nftables table exists then, and its elements of that container
// must stay.
func neighbour(s *Scene, _ *nettest.Container) cni.Conf {
	if len(s.kept) > 0 {
		return nil
	}
	other := s.prepared("beside")
	if s.publishes {
		other.more = other.more.With(firstPublished(s, other.c))
	}
	other.attachMain(s.t)
	other.Do(s.t, other.Call("ADD")).OK(s.t)
	s.kept = append(s.kept, cni.Conf{"containerID": other.c.ID(), "ifname": s.IfName})
	return nil
}

// earlierPlugin creates the veth pair of a plugin that comes earlier in the list, and returns its prevResult.
func earlierPlugin(s *Scene, c *nettest.Container) cni.Conf {
	host := "their-" + c.Name()
	s.Veth(host, c.Netns, "eth0")
	return cni.Conf{"prevResult": cni.Conf{"cniVersion": "1.1.0", "interfaces": []cni.Conf{
		{"name": host, "mac": s.MAC(host)}, {"name": "eth0", "mac": c.MAC("eth0"), "sandbox": c.Path()},
	}}}
}

// Some returns the families of these names.
func Some(t testing.TB, names ...string) []Family {
	t.Helper()
	var out []Family
	all := slices.Concat(All(), Groups())
	for _, name := range names {
		i := slices.IndexFunc(all, func(f Family) bool { return f.Name == name })
		if i < 0 {
			t.Fatalf("there is no family %q", name)
		}
		out = append(out, all[i])
	}
	return out
}
