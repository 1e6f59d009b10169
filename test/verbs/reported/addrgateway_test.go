package reported

import (
	"strings"
	"testing"
)

const addrRouted = `{"cniVersion": "1.0.0", "name": "net", "type": "patchbay", "bridge": "cni0", "isDefaultGateway": true, "ipam": {"type": "patchbay", "ranges": [[{"subnet": "10.1.2.0/24"}]]}}`

func gatewayOfOne(t *testing.T) {
	n := newAddrNode(t)
	n.getsAs(t, "web", addrRouted, "GATEWAY=10.1.2.9", "10.1.2.2/24")
	n.resultHas(t, "web", `"gateway": "10.1.2.9"`)
	n.route(t, "web", "0.0.0.0/0", "10.1.2.9")
	n.bridgeHas(t, "cni0", "10.1.2.1/24")
	n.gets(t, "two", addrRouted, "10.1.2.3/24")
	n.route(t, "two", "0.0.0.0/0", "10.1.2.1")
	n.getsAs(t, "three", addrRouted, "GATEWAY=10.1.2.3", "10.1.2.4/24") // another container is its router
	n.route(t, "three", "0.0.0.0/0", "10.1.2.3")
	n.bridgeHas(t, "cni0", "10.1.2.1/24")
	n.reaches(t, "two", "10.1.2.1", "10.1.2.2", "10.1.2.4")
	for _, name := range []string{"web", "two", "three"} {
		n.del(t, name, addrRouted)
	}
}

func gatewayOfOneFamily(t *testing.T) {
	n := newAddrNode(t)
	conf := strings.Replace(addrRouted, `[[{`, `[[{"subnet": "2001:db8:1::/64"}], [{`, 1)
	n.gets(t, "web", conf, "2001:db8:1::2/64 10.1.2.2/24")
	n.getsAs(t, "two", conf, "GATEWAY=2001:db8:1::9", "2001:db8:1::3/64 10.1.2.3/24")
	n.route(t, "two", "::/0", "2001:db8:1::9")
	n.route(t, "two", "0.0.0.0/0", "10.1.2.1")
	n.getsAs(t, "three", conf, "GATEWAY=10.1.2.9,2001:db8:1::9", "2001:db8:1::4/64 10.1.2.4/24")
	n.route(t, "three", "0.0.0.0/0", "10.1.2.9")
	n.bridgeHas(t, "cni0", "10.1.2.1/24 2001:db8:1::1/64")
	for _, name := range []string{"web", "two", "three"} {
		n.del(t, name, conf)
	}
}

// gatewayOfOneReload: CHECK compares the bridge with the network's gateway, and reload restores that.
func gatewayOfOneReload(t *testing.T) {
	n := newAddrNode(t)
	n.getsAs(t, "web", addrRouted, "GATEWAY=10.1.2.9", "10.1.2.2/24")
	check := n.call(t, "CHECK", "web", addrWith(addrRouted, `"prevResult": `+string(n.prev["web"])))
	check.Args = "GATEWAY=10.1.2.9"
	n.CNI(t, check).OK(t)
	n.Run(t, "ip", "address", "flush", "dev", "cni0", "scope", "global")
	n.says(t, n.CNI(t, check), 106, "bridge cni0 has lost the gateway address 10.1.2.1/24")
	if a := n.patchbay(t, "reload"); a.Exit != 0 {
		t.Fatal(a)
	}
	n.bridgeHas(t, "cni0", "10.1.2.1/24")
	n.CNI(t, check).OK(t)
	n.del(t, "web", addrRouted)
}

func gatewayOfOneStatic(t *testing.T) {
	n := newAddrNode(t)
	conf := `{"cniVersion": "1.0.0", "name": "net", "type": "patchbay", "bridge": "cni0", "isDefaultGateway": true, "ipam": {"type": "static"}}`
	n.getsAs(t, "web", conf, "IP=10.1.2.2/24;GATEWAY=10.1.2.1", "10.1.2.2/24") // nothing else has the network's gateway
	n.bridgeHas(t, "cni0", "10.1.2.1/24")
	n.getsAs(t, "two", conf, "IP=10.1.2.3/24;GATEWAY=10.1.2.9", "10.1.2.3/24")
	n.route(t, "two", "0.0.0.0/0", "10.1.2.9")
	n.getsAs(t, "three", conf, "IP=10.1.2.4/24", "10.1.2.4/24")
	n.route(t, "three", "0.0.0.0/0", "10.1.2.1")
	n.bridgeHas(t, "cni0", "10.1.2.1/24")
	for _, name := range []string{"web", "two", "three"} {
		n.del(t, name, conf)
	}
}

func gatewayOfOneOutside(t *testing.T) {
	n := newAddrNode(t)
	n.refused(t, "web", addrRouted, "GATEWAY=10.9.9.9", 4, "CNI_ARGS: GATEWAY: 10.9.9.9 is in no subnet of the network")
	n.refused(t, "web", addrRouted, "IP=10.1.2.7;GATEWAY=10.1.2.7", 4, "GATEWAY: 10.1.2.7 is also requested as the container's address")
	n.refused(t, "web", addrRouted, "GATEWAY=2001:db8::1", 4, "GATEWAY: 2001:db8::1 is in no subnet of the network")
	n.gets(t, "web", addrRouted, "10.1.2.2/24")
	n.bridgeHas(t, "cni0", "10.1.2.1/24")
	n.del(t, "web", addrRouted)
}

func gatewayOfOneElsewhere(t *testing.T) {
	n := newAddrNode(t)
	n.Bridge("br0", "192.0.2.254/24")
	conf := addrAdopting(`"routes": [{"dst": "0.0.0.0/0"}], "ranges": [[{"subnet": "192.0.2.0/24", "gateway": "192.0.2.1"}]]`)
	n.getsAs(t, "web", conf, "GATEWAY=192.0.2.9", "192.0.2.2/24")
	n.route(t, "web", "0.0.0.0/0", "192.0.2.9")
	n.gets(t, "two", conf, "192.0.2.3/24")
	n.route(t, "two", "0.0.0.0/0", "192.0.2.1")
	n.bridgeHas(t, "br0", "192.0.2.254/24")
	n.del(t, "web", conf)
	n.del(t, "two", conf)
	delegated := `{"cniVersion": "1.0.0", "name": "macvlans", "type": "macvlan", "master": "eth0", "ipam": {"type": "patchbay", "ranges": [[{"subnet": "10.1.2.0/24"}]]}}`
	n.getsAs(t, "web", delegated, "GATEWAY=10.1.2.9", "10.1.2.2/24")
	n.resultHas(t, "web", `"gateway": "10.1.2.9"`)
	n.gets(t, "two", delegated, "10.1.2.3/24")
	n.resultHas(t, "two", `"gateway": "10.1.2.1"`)
	n.del(t, "web", delegated)
	n.del(t, "two", delegated)
}
