package reported

import (
	"testing"
)

// Claim: No container gets an address of the bridge, a gateway of the host or of the network's routes, or the network or broadcast
// address: the pool and sticky addresses skip it; a request for it, or an IPAM plugin that returns it, is refused
// Claim: `GATEWAY` in CNI_ARGS changes the default route of its container only; one outside the subnet is refused
// Claim: No container gets the address of a live attachment of another network on the same bridge, or that network's gateway, also when
// both are added at once
// Claim: Sticky addresses keep owners apart whatever characters their names hold; two live pods of one name have separate addresses
// Claim: On a LAN an address that another host answers for, by ARP or neighbour discovery, is refused with that host's MAC, or the pool
// skips it; no neighbour cache changes, and on a bridge without uplink nothing is sent
// Claim: doctor reports an address that is used twice on a bridge by containers, the bridge or a gateway, and one that no host can have;
// CHECK reports an address that the bridge has too
// Claim: A renamed host interface still belongs to its attachment, by its alias, or by its index in a chain; its address is not given
// again, and DEL and GC remove it
// Claim: An attachment whose host and container namespaces no longer exist is stale; one of an existing host is kept, wherever its
// namespace is held
func TestAddresses(t *testing.T) { runRows(t, addresses()) }

func addresses() []row { return append(chosenAddresses(), otherAddresses()...) }

// chosenAddresses returns rows about addresses that must not be assigned to a container.
func chosenAddresses() []row {
	const bridge, gateway, edge = "address of the bridge", "a gateway is not a container's address", "network and broadcast addresses"
	const mates = "address of a live attachment on the bridge"
	return []row{
		{"1", "a pool that is all of an adopted bridge's subnet, dual stack", bridge, poolWithBridgeAddress},
		{"1.1", "a secondary address and a /32 of the bridge", bridge, poolWithSecondaryAddress},
		{"1.2", "the bridge's address requested in every way", bridge, bridgeAddressRequested},
		{"1.3", "the bridge's address from static and host-local", bridge, bridgeAddressFromOtherIPAM},
		{"1.4", "the bridge gets a sticky address of a container that returns", bridge, bridgeAddressSticky},
		{"1.5", "STATUS of a pool of which only the bridge's address is left", bridge, bridgeAddressLast},
		{"1.6", "in a chain after another plugin", bridge, bridgeAddressInChain},
		{"1.7", "CHECK after the bridge got a container's address", bridge, bridgeAddressLater},

		{"1.8", "a second network on the bridge, with the same subnet", mates, secondNetwork},
		{"1.9", "two networks that attach containers at the same time", mates, secondNetworkAtOnce},
		{"1.10", "a second network in another state directory, and one attached by an earlier version", mates, secondNetworkElsewhere},
		{"1.11", "static returns one address twice", mates, staticTwice},

		{"1.12", "doctor finds an address of two containers", mates, duplicatesInDoctor},

		{"2", "the host's default route, and this network's route", gateway, poolWithGateways},
		{"2.1", "a multipath route, one in another table, and an onlink one", gateway, poolWithGatewaysOfAllTables},
		{"2.2", "an IPv6 gateway, and an IPv6 next hop of an IPv4 route", gateway, poolWithGatewayIPv6},
		{"2.3", "a gateway requested, and one from static", gateway, gatewayRequested},
		{"2.4", "the gateway of a route that another IPAM plugin returns", gateway, gatewayOfAnswer},
		{"2.5", "as IPAM of another main plugin", gateway, gatewayDelegated},
		{"2.6", "the gateway of a second network on the bridge", gateway, gatewayOfSecondNetwork},

		{"3", "rangeEnd is the broadcast address, as Podman and nerdctl compute it", edge, rangeEndBroadcast},
		{"3.1", "rangeStart is the network address, IPv4 and IPv6", edge, rangeStartNetwork},
		{"3.2", "requested by CNI_ARGS, args and capability", edge, edgeRequested},
		{"3.3", "static returns the broadcast address", edge, edgeFromStatic},
		{"3.4", "subnets of one and two addresses have none", edge, edgeOfSmallSubnets},
		{"3.5", "as IPAM of another main plugin", edge, edgeDelegated},
	}
}

// otherAddresses returns rows about the LAN, renamed interfaces, nested hosts, gateways and sticky addresses.
func otherAddresses() []row {
	const ownGateway = "GATEWAY of CNI_ARGS is that of one container"
	const renamed, nestedHost = "an attachment with a renamed host interface is live", "a host namespace that no longer exists"
	const lan = "an address that a host of the LAN has"
	const owner = "one sticky address, one owner"
	return []row{
		{"4", "up and attach with an address that a host of the LAN has", lan, probedByPerson},
		{"4.1", "requested by CNI_ARGS and capability, IPv6 and IPv4", lan, probedRequest},
		{"4.2", "it is in the pool, or sticky", lan, probedPool},
		{"4.3", "what the host of the LAN receives and learns", lan, probedQuietly},
		{"4.4", "switched off", lan, probeOff},
		{"4.5", "a bridge that Patchbay created, and one without uplink", lan, probedNowhereElse},

		{"6", "the pool is full, and the only host interface was renamed", renamed, renamedPoolFull},
		{"6.1", "DEL where a process holds the namespace, whose path is gone", renamed, renamedWithoutPath},
		{"6.2", "GC, with and without a record", renamed, renamedGC},
		{"6.3", "gc, ls, show, doctor, CHECK and a second ADD", renamed, renamedCommands},
		{"6.4", "the rules of an isolated container", renamed, renamedRules},
		{"6.5", "the interface of another plugin in a chain", renamed, renamedChained},

		{"7b", "ADD of the same container after a nested node was destroyed", nestedHost, nestedGone},
		{"7b.1", "gc keeps it while the host exists", nestedHost, nestedGoneGC},
		{"7b.2", "an ADD and a STATUS that find no other address", nestedHost, nestedGoneFull},
		{"7b.3", "the namespace is kept by a process, an open file, a mount", nestedHost, nestedHeld},

		{"10", "the first container of the bridge asks for a gateway", ownGateway, gatewayOfOne},
		{"10.1", "a second container asks, dual stack, for one family each", ownGateway, gatewayOfOneFamily},
		{"10.2", "CHECK, and reload after the bridge has lost its addresses", ownGateway, gatewayOfOneReload},
		{"10.3", "static returns it", ownGateway, gatewayOfOneStatic},
		{"10.4", "outside of the subnet, and the container's own address", ownGateway, gatewayOfOneOutside},
		{"10.5", "an adopted bridge, and as IPAM of another main plugin", ownGateway, gatewayOfOneElsewhere},

		{"37", "namespace a/b with pod c, and namespace a with pod b/c", owner, stickyOwnersWithSlash},
		{"37.1", "a pod with a new UID while the old one is attached", owner, stickyOwnerTwice},
		{"37.2", "the same pod on a second interface, and on another network", owner, stickyOwnerInterfaces},
		{"37.3", "a plus sign for the slash, an interface name with an @, a container ID", owner, stickyOwnersThatLookAlike},
		{"37.4", "sticky files of an earlier version", owner, stickyMemoryOfBefore},
	}
}

// poolWithBridgeAddress: the first address of either pool is an address of the bridge.
func poolWithBridgeAddress(t *testing.T) {
	n := newAddrNode(t)
	n.Bridge("br0", "192.0.2.2/24", "2001:db8:1::2/64")
	conf := addrAdopting(`"ranges": [[{"subnet": "192.0.2.0/24"}], [{"subnet": "2001:db8:1::/64"}]]`)
	n.gets(t, "web", conf, "192.0.2.3/24 2001:db8:1::3/64")
	n.reaches(t, "web", "192.0.2.2", "2001:db8:1::2")
	n.del(t, "web", conf)
}

func poolWithSecondaryAddress(t *testing.T) {
	n := newAddrNode(t)
	n.Bridge("br0", "192.0.2.253/24", "192.0.2.2/24", "192.0.2.3/32", "2001:db8:1::2/64", "2001:db8:1::3/128")
	conf := addrAdopting(`"ranges": [[{"subnet": "192.0.2.0/24", "rangeEnd": "192.0.2.4"}], [{"subnet": "2001:db8:1::/64", "rangeEnd": "2001:db8:1::4"}]]`)
	n.gets(t, "web", conf, "192.0.2.4/24 2001:db8:1::4/64")
	n.refused(t, "two", conf, "", 11, "no IP addresses available in range set: 192.0.2.1-192.0.2.4; not assignable: "+
		"192.0.2.2 is an address of bridge br0, 192.0.2.3 is an address of bridge br0")
	n.del(t, "web", conf)
}

func bridgeAddressRequested(t *testing.T) {
	n := newAddrNode(t)
	n.Bridge("br0", "192.0.2.2/24", "2001:db8:1::2/64")
	conf := addrAdopting(`"ranges": [[{"subnet": "192.0.2.0/24"}], [{"subnet": "2001:db8:1::/64"}]]`)
	for _, addr := range []string{"192.0.2.2", "2001:db8:1::2"} {
		says := "requested IP address " + addr + " is an address of bridge br0"
		n.refused(t, "web", conf, "IP="+addr, 7, says)
		n.refused(t, "web", addrWith(conf, `"args": {"cni": {"ips": ["`+addr+`"]}}`), "", 7, says)
		n.refused(t, "web", addrWith(conf, `"runtimeConfig": {"ips": ["`+addr+`"]}`), "", 7, says)
	}
	n.container("web")
	a := n.patchbay(t, "attach", "web", "--network", "br0", "--ip", "192.0.2.2")
	n.says(t, a, 1, "192.0.2.2 is an address of bridge br0")
}

// bridgeAddressFromOtherIPAM: the plugin is also called to release the address.
func bridgeAddressFromOtherIPAM(t *testing.T) {
	n := newAddrNode(t)
	n.Bridge("br0", "192.0.2.2/24", "2001:db8:1::2/64")
	static := `{"cniVersion": "1.0.0", "name": "net", "type": "patchbay", "bridge": "br0", "ipam": {"type": "static", "addresses": [{"address": "%s"}]}}`
	n.refused(t, "web", addrText(static, "192.0.2.2/24"), "", 110, "returned an invalid result: 192.0.2.2/24 cannot be assigned to a container: it is an address of bridge br0")
	n.refused(t, "web", addrText(static, "2001:db8:1::2/64"), "", 110, "2001:db8:1::2/64 cannot be assigned to a container: it is an address of bridge br0")
	hostLocal := `{"cniVersion": "1.0.0", "name": "net", "type": "patchbay", "bridge": "br0", "ipam": {"type": "host-local", "ranges": [[{"subnet": "192.0.2.0/24"}]]}}`
	n.refused(t, "web", hostLocal, "", 110, "192.0.2.2/24 cannot be assigned to a container")
	n.has(t, "/var/lib/cni/networks/net", "last_reserved_ip.0 lock") // and no address
	n.gets(t, "web", hostLocal, "192.0.2.3/24")
	n.del(t, "web", hostLocal)
}

func bridgeAddressSticky(t *testing.T) {
	n := newAddrNode(t)
	n.Bridge("br0", "192.0.2.254/24")
	conf := addrAdopting(`"sticky": true, "ranges": [[{"subnet": "192.0.2.0/24"}]]`)
	pod := "K8S_POD_NAMESPACE=default;K8S_POD_NAME=db-0"
	n.getsAs(t, "db", conf, pod, "192.0.2.2/24")
	n.del(t, "db", conf)
	n.getsAs(t, "db", conf, pod, "192.0.2.2/24")
	n.del(t, "db", conf)
	n.AddAddress("br0", "192.0.2.2/24")
	n.getsAs(t, "db", conf, pod, "192.0.2.3/24")
	n.del(t, "db", conf)
	n.Run(t, "ip", "address", "del", "192.0.2.2/24", "dev", "br0")
}

func bridgeAddressLast(t *testing.T) {
	n := newAddrNode(t)
	n.Bridge("br0", "192.0.2.3/24")
	conf := addrWith(addrAdopting(`"ranges": [[{"subnet": "192.0.2.0/24", "rangeStart": "192.0.2.2", "rangeEnd": "192.0.2.3"}]]`), `"cniVersion": "1.1.0"`)
	n.status(t, conf).OK(t)
	n.gets(t, "web", conf, "192.0.2.2/24")
	if e := n.status(t, conf).Error(t); e.Code != 50 {
		t.Errorf("STATUS of a pool without a free address: %v", e)
	}
	n.del(t, "web", conf)
}

// bridgeAddressInChain: ptp creates the interface, and Patchbay makes it a bridge port.
func bridgeAddressInChain(t *testing.T) {
	n := newAddrNode(t)
	n.Bridge("br0", "192.0.2.2/24")
	c := n.container("web")
	n.Veth("tap0", c.Netns, "eth0")
	conf := addrWith(addrAdopting(`"ranges": [[{"subnet": "192.0.2.0/24"}]]`),
		`"prevResult": {"cniVersion": "1.0.0", "interfaces": [{"name": "tap0"}, {"name": "eth0", "sandbox": "`+c.Path()+`"}]}`)
	n.gets(t, "web", conf, "192.0.2.3/24")
	n.del(t, "web", conf)
	n.refused(t, "web", conf, "IP=192.0.2.2", 7, "requested IP address 192.0.2.2 is an address of bridge br0")
	n.Run(t, "ip", "link", "del", "tap0")
}

func bridgeAddressLater(t *testing.T) {
	n := newAddrNode(t)
	n.Bridge("br0", "192.0.2.254/24")
	conf := addrAdopting(`"ranges": [[{"subnet": "192.0.2.0/24"}]]`)
	n.gets(t, "web", conf, "192.0.2.2/24")
	n.check(t, "web", conf).OK(t)
	n.AddAddress("br0", "192.0.2.2/32")
	n.says(t, n.check(t, "web", conf), 106, "192.0.2.2 is an address of the container and of bridge br0")
	n.Run(t, "ip", "address", "del", "192.0.2.2/32", "dev", "br0")
	n.check(t, "web", conf).OK(t)
	n.del(t, "web", conf)
}

// poolWithGateways: the range has two addresses, and one of them is a gateway.
func poolWithGateways(t *testing.T) {
	n := newAddrNode(t)
	n.Bridge("br0", "192.0.2.2/24")
	n.Run(t, "ip", "route", "add", "default", "via", "192.0.2.254", "dev", "br0")
	const full = "no IP addresses available in range set: 192.0.2.253-192.0.2.254; not assignable: 192.0.2.254 is "
	conf := addrAdopting(`"ranges": [[{"subnet": "192.0.2.0/24", "rangeStart": "192.0.2.253", "rangeEnd": "192.0.2.254"}]]`)
	n.gets(t, "web", conf, "192.0.2.253/24")
	n.refused(t, "two", conf, "", 11, full+"a gateway of the host through bridge br0")
	n.del(t, "web", conf)
	n.Run(t, "ip", "route", "del", "default")
	addrRouted := addrAdopting(`"routes": [{"dst": "0.0.0.0/0", "gw": "192.0.2.254"}], "ranges": [[{"subnet": "192.0.2.0/24", "rangeStart": "192.0.2.253", "rangeEnd": "192.0.2.254"}]]`)
	n.gets(t, "web", addrRouted, "192.0.2.253/24")
	n.refused(t, "two", addrRouted, "", 11, full+"the gateway of this network's route to 0.0.0.0/0")
	n.del(t, "web", addrRouted)
}

func poolWithGatewaysOfAllTables(t *testing.T) {
	n := newAddrNode(t)
	n.Bridge("br0", "192.0.2.254/24")
	n.Bridge("br1", "198.51.100.1/24")
	n.Run(t, "ip", "link", "set", "br0", "address", "02:00:00:00:00:01") // a MAC that does not change with the ports
	n.Baseline()
	n.Veth("port", n.Netns, "wire") // without carrier the kernel removes next hop objects
	n.Plug("port", "br0")
	n.Run(t, "ip", "route", "add", "203.0.113.0/25", "nexthop", "via", "192.0.2.2", "dev", "br0", "nexthop", "via", "198.51.100.2", "dev", "br1")
	n.Run(t, "ip", "route", "add", "203.0.113.128/25", "via", "192.0.2.3", "dev", "br0", "table", "77")
	n.Run(t, "ip", "route", "add", "203.0.113.64/26", "via", "192.0.2.4", "dev", "br0", "onlink")
	n.Run(t, "ip", "nexthop", "add", "id", "5", "via", "192.0.2.6", "dev", "br0")
	n.Run(t, "ip", "route", "add", "203.0.113.32/27", "nhid", "5")
	n.Run(t, "ip", "route", "add", "203.0.113.16/28", "via", "198.51.100.5", "dev", "br1") // a route through another bridge
	conf := addrAdopting(`"ranges": [[{"subnet": "192.0.2.0/24", "rangeEnd": "192.0.2.6"}]]`)
	n.gets(t, "web", conf, "192.0.2.5/24")
	n.refused(t, "two", conf, "", 11, "not assignable: 192.0.2.2 is a gateway of the host through bridge br0, ")
	other := addrWith(addrAdopting(`"ranges": [[{"subnet": "198.51.100.0/24", "rangeStart": "198.51.100.2"}]]`), `"bridge": "br1"`)
	n.gets(t, "two", other, "198.51.100.3/24")
	n.Run(t, "ip", "route", "flush", "table", "77")
	for _, dst := range []string{"203.0.113.0/25", "203.0.113.64/26", "203.0.113.32/27", "203.0.113.16/28"} {
		n.Run(t, "ip", "route", "del", dst)
	}
	n.Run(t, "ip", "nexthop", "del", "id", "5")
	n.del(t, "two", other)
	n.del(t, "web", conf)
	n.Run(t, "ip", "link", "del", "port")
}

func poolWithGatewayIPv6(t *testing.T) {
	n := newAddrNode(t)
	n.Bridge("br0", "192.0.2.254/24", "2001:db8:1::ff/64")
	n.Run(t, "ip", "-6", "route", "add", "2001:db8:2::/48", "via", "2001:db8:1::2", "dev", "br0")
	n.Run(t, "ip", "-6", "route", "add", "2001:db8:3::/48", "nexthop", "via", "2001:db8:1::3", "dev", "br0", "nexthop", "via", "2001:db8:1::4", "dev", "br0")
	n.Run(t, "ip", "route", "add", "203.0.113.0/24", "via", "inet6", "2001:db8:1::5", "dev", "br0")
	conf := addrAdopting(`"ranges": [[{"subnet": "192.0.2.0/24"}], [{"subnet": "2001:db8:1::/64"}]]`)
	n.gets(t, "web", conf, "192.0.2.2/24 2001:db8:1::6/64")
	n.del(t, "web", conf)
	n.Run(t, "ip", "-6", "route", "del", "2001:db8:2::/48")
	n.Run(t, "ip", "-6", "route", "del", "2001:db8:3::/48")
	n.Run(t, "ip", "route", "del", "203.0.113.0/24")
}

func gatewayRequested(t *testing.T) {
	n := newAddrNode(t)
	n.Bridge("br0", "192.0.2.2/24")
	n.Run(t, "ip", "route", "add", "default", "via", "192.0.2.254", "dev", "br0")
	conf := addrAdopting(`"routes": [{"dst": "203.0.113.0/24", "gw": "192.0.2.253"}], "ranges": [[{"subnet": "192.0.2.0/24"}]]`)
	n.refused(t, "web", conf, "IP=192.0.2.254", 7, "requested IP address 192.0.2.254 is a gateway of the host through bridge br0")
	n.refused(t, "web", conf, "IP=192.0.2.253", 7, "requested IP address 192.0.2.253 is the gateway of this network's route to 203.0.113.0/24")
	static := `{"cniVersion": "1.0.0", "name": "net", "type": "patchbay", "bridge": "br0", "ipam": {"type": "static", "addresses": [{"address": "192.0.2.254/24"}]}}`
	n.refused(t, "web", static, "", 110, "192.0.2.254/24 cannot be assigned to a container: it is a gateway of the host through bridge br0")
	n.Run(t, "ip", "route", "del", "default")
	n.gets(t, "web", static, "192.0.2.254/24")
	n.del(t, "web", static)
}

func gatewayOfAnswer(t *testing.T) {
	n := newAddrNode(t)
	n.Bridge("br0")
	static := `{"cniVersion": "1.0.0", "name": "net", "type": "patchbay", "bridge": "br0", "ipam": {"type": "static", "addresses": [%s], "routes": [%s]}}`
	n.refused(t, "web", addrText(static, `{"address": "192.0.2.7/24"}`, `{"dst": "0.0.0.0/0", "gw": "192.0.2.7"}`), "", 110,
		"192.0.2.7/24 cannot be assigned to a container: it is the gateway of this network's route to 0.0.0.0/0")
	n.refused(t, "web", addrText(static, `{"address": "2001:db8::7/64"}`, `{"dst": "2001:db8:9::/48", "gw": "2001:db8::7"}`), "", 110,
		"it is the gateway of this network's route to 2001:db8:9::/48")
	n.refused(t, "web", addrText(static, `{"address": "192.0.2.7/24", "gateway": "192.0.2.7"}`, ``), "", 110, "it is the gateway of its own result")
}

func gatewayDelegated(t *testing.T) {
	n := newAddrNode(t)
	conf := `{"cniVersion": "1.0.0", "name": "net", "type": "macvlan", "master": "eth0", "ipam": {"type": "patchbay",
		"routes": [{"dst": "0.0.0.0/0", "gw": "192.0.2.2"}], "ranges": [[{"subnet": "192.0.2.0/24"}]]}}`
	n.gets(t, "web", conf, "192.0.2.3/24")
	n.del(t, "web", conf)
	n.refused(t, "web", conf, "IP=192.0.2.2", 7, "requested IP address 192.0.2.2 is the gateway of this network's route to 0.0.0.0/0")
}

func rangeEndBroadcast(t *testing.T) {
	n := newAddrNode(t)
	conf := `{"cniVersion": "0.4.0", "name": "podman", "type": "patchbay", "bridge": "cni-podman0", "isGateway": true, "ipam": {"type": "patchbay",
		"routes": [{"dst": "0.0.0.0/0"}], "ranges": [[{"subnet": "10.89.0.0/24", "gateway": "10.89.0.1", "rangeStart": "10.89.0.254", "rangeEnd": "10.89.0.255"}]]}}`
	n.gets(t, "web", conf, "10.89.0.254/24")
	n.reaches(t, "web", "10.89.0.1")
	n.refused(t, "two", conf, "", 11, "no IP addresses available in range set: 10.89.0.254-10.89.0.255; not assignable: 10.89.0.255 is the broadcast address of 10.89.0.0/24")
	n.del(t, "web", conf)
	n.refused(t, "web", `{"cniVersion": "0.4.0", "name": "podman", "type": "patchbay", "ipam": {"type": "patchbay",
		"ranges": [[{"subnet": "10.89.0.0/24", "rangeStart": "10.89.0.255"}]]}}`, "", 7, "ipam.ranges: invalid address range: rangeEnd 10.89.0.254 comes before rangeStart 10.89.0.255")
}

func rangeStartNetwork(t *testing.T) {
	n := newAddrNode(t)
	conf := addrAdopting(`"ranges": [[{"subnet": "192.0.2.0/24", "rangeStart": "192.0.2.0", "gateway": "192.0.2.254"}], [{"subnet": "2001:db8:1::/64", "rangeStart": "2001:db8:1::", "gateway": "2001:db8:1::ff"}]]`)
	n.Bridge("br0")
	n.gets(t, "web", conf, "192.0.2.1/24 2001:db8:1::1/64")
	n.del(t, "web", conf)
}

func edgeRequested(t *testing.T) {
	n := newAddrNode(t)
	n.Bridge("br0")
	conf := addrAdopting(`"ranges": [[{"subnet": "192.0.2.0/24", "rangeStart": "192.0.2.0", "rangeEnd": "192.0.2.255"}], [{"subnet": "2001:db8:1::/64", "rangeStart": "2001:db8:1::"}]]`)
	n.refused(t, "web", conf, "IP=192.0.2.255", 7, "requested IP address 192.0.2.255 is the broadcast address of 192.0.2.0/24")
	n.refused(t, "web", addrWith(conf, `"args": {"cni": {"ips": ["192.0.2.0"]}}`), "", 7, "requested IP address 192.0.2.0 is the network address of 192.0.2.0/24")
	n.refused(t, "web", addrWith(conf, `"runtimeConfig": {"ips": ["2001:db8:1::"]}`), "", 7, "requested IP address 2001:db8:1:: is the router anycast address of 2001:db8:1::/64")
}

func edgeFromStatic(t *testing.T) {
	n := newAddrNode(t)
	n.Bridge("br0")
	static := `{"cniVersion": "1.0.0", "name": "net", "type": "patchbay", "bridge": "br0", "ipam": {"type": "static", "addresses": [{"address": "%s"}]}}`
	n.refused(t, "web", addrText(static, "192.0.2.255/24"), "", 110, "192.0.2.255/24 cannot be assigned to a container: it is the broadcast address of 192.0.2.0/24")
	n.refused(t, "web", addrText(static, "192.0.2.128/25"), "", 110, "it is the network address of 192.0.2.128/25")
	n.refused(t, "web", addrText(static, "2001:db8::/64"), "", 110, "it is the router anycast address of 2001:db8::/64")
	n.gets(t, "web", addrText(static, "192.0.2.255/23"), "192.0.2.255/23") // not the broadcast address of this subnet
	n.del(t, "web", addrText(static, "192.0.2.255/23"))
}

func edgeOfSmallSubnets(t *testing.T) {
	n := newAddrNode(t)
	n.Bridge("br0")
	for subnet, gives := range map[string]string{
		"192.0.2.254/31": "192.0.2.254/31", "192.0.2.255/32": "192.0.2.255/32", "2001:db8:1::/127": "2001:db8:1::/127", "2001:db8:1::/128": "2001:db8:1::/128",
	} {
		conf := addrAdopting(`"ranges": [[{"subnet": "` + subnet + `"}]]`)
		n.gets(t, "web", conf, gives)
		n.del(t, "web", conf)
	}
}

func edgeDelegated(t *testing.T) {
	n := newAddrNode(t)
	conf := `{"cniVersion": "1.0.0", "name": "net", "type": "macvlan", "master": "eth0", "ipam": {"type": "patchbay",
		"ranges": [[{"subnet": "192.0.2.0/24", "rangeStart": "192.0.2.254", "rangeEnd": "192.0.2.255"}]]}}`
	n.gets(t, "web", conf, "192.0.2.254/24")
	n.refused(t, "two", conf, "", 11, "192.0.2.255 is the broadcast address of 192.0.2.0/24")
	n.del(t, "web", conf)
}
