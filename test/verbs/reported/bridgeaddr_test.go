package reported

import (
	"testing"
)

func vipBesideGateway(t *testing.T) {
	n := newAddrNode(t)
	n.Bridge("br0", "10.1.2.100/32", "10.1.2.1/24")
	conf := brOn("br0", brConf("10.1.2.0/24"))
	n.adds(t, conf, "web")
	n.adds(t, addrWith(conf, `"forceAddress": true`), "db")
	n.status(t, conf).OK(t)
	n.bridgeHas(t, "br0", "10.1.2.1/24 10.1.2.100/32")
	n.reaches(t, "web", "10.1.2.1", "10.1.2.100", "10.1.2.3")
	n.dels(t, conf, "web", "db")
	n.bridgeHas(t, "br0", "10.1.2.1/24 10.1.2.100/32")
}

func vipBesideGateway6(t *testing.T) {
	n := newAddrNode(t)
	n.Bridge("br0", "fd00:1::100/128", "fd00:1::1/64", "fd00:1::200/128")
	conf := brOn("br0", brConf("fd00:1::/64"))
	n.adds(t, conf, "web")
	n.adds(t, addrWith(conf, `"forceAddress": true`), "db")
	n.status(t, conf).OK(t)
	n.bridgeHas(t, "br0", "fd00:1::1/64 fd00:1::100/128 fd00:1::200/128")
	n.reaches(t, "web", "fd00:1::1", "fd00:1::100", "fd00:1::3")
	n.dels(t, conf, "web", "db")
}

func manyBesideGateway(t *testing.T) {
	n := newAddrNode(t)
	const all = "10.1.2.1/24 10.1.2.9/24 172.16.5.4/16 192.0.2.7/32 2001:db8::7/64 fd00:1::1/64 fd00:1::9/64"
	n.Bridge("br0", "172.16.5.4/16", "192.0.2.7/32", "10.1.2.9/24", "10.1.2.1/24", "2001:db8::7/64", "fd00:1::9/64", "fd00:1::1/64")
	conf := brOn("br0", brConf("10.1.2.0/24", "fd00:1::/64"))
	n.adds(t, conf, "web")
	n.adds(t, addrWith(conf, `"forceAddress": true`), "db", "mq")
	n.status(t, addrWith(conf, `"forceAddress": true`)).OK(t)
	n.bridgeHas(t, "br0", all)
	n.reaches(t, "mq", "10.1.2.1", "fd00:1::1", "172.16.5.4", "192.0.2.7")
	n.dels(t, conf, "web", "db", "mq")
	n.bridgeHas(t, "br0", all)
}

func twoGatewaysAndVIP(t *testing.T) {
	n := newAddrNode(t)
	n.Bridge("br0", "10.1.2.1/24", "10.1.2.100/32", "10.1.3.100/32")
	conf := brOn("br0", brConf("10.1.2.0/24", "10.1.3.0/24"))
	n.adds(t, conf, "web")
	n.bridgeHas(t, "br0", "10.1.2.1/24 10.1.2.100/32 10.1.3.1/24 10.1.3.100/32")
	n.adds(t, addrWith(conf, `"forceAddress": true`), "db")
	n.reaches(t, "db", "10.1.2.1", "10.1.3.1", "10.1.2.100", "10.1.3.100")
	n.bridgeHas(t, "br0", "10.1.2.1/24 10.1.2.100/32 10.1.3.1/24 10.1.3.100/32")
	n.dels(t, conf, "web", "db")
}

func forceOverlapping(t *testing.T) {
	n := newAddrNode(t)
	n.Bridge("br0", "10.1.2.9/24", "10.1.2.100/32", "172.16.5.4/16", "fd00:1::9/64", "fd00:1::100/128", "fd00:9::1/64")
	n.Allow("address br0 ")
	n.Allow("route ")
	conf := brOn("br0", brConf("10.1.2.0/24", "fd00:1::/64"))
	n.refused(t, "web", conf, "", 105, "bridge br0: conflicting addresses: present is 10.1.2.9/24, required is 10.1.2.1/24")
	n.adds(t, addrWith(conf, `"forceAddress": true`), "web")
	n.bridgeHas(t, "br0", "10.1.2.1/24 10.1.2.100/32 172.16.5.4/16 fd00:1::1/64 fd00:1::100/128 fd00:9::1/64")
	n.reaches(t, "web", "10.1.2.1", "10.1.2.100", "fd00:1::1")
	n.adds(t, conf, "db") // the address is there now
	n.dels(t, conf, "web", "db")
}

func gatewayMissing(t *testing.T) {
	n := newAddrNode(t)
	n.Bridge("br0", "10.1.2.100/32", "fd00:1::100/128")
	n.Bridge("br1", "172.16.5.4/16")
	conf := brConf("10.1.2.0/24", "fd00:1::/64")
	n.adds(t, brOn("br0", conf), "web")
	n.bridgeHas(t, "br0", "10.1.2.1/24 10.1.2.100/32 fd00:1::1/64 fd00:1::100/128")
	n.reaches(t, "web", "10.1.2.1", "10.1.2.100", "fd00:1::1", "fd00:1::100")
	n.dels(t, brOn("br0", conf), "web")
	other := addrWith(brOn("br1", conf), `"name": "other"`)
	n.everyFails(t, other, 105, "bridge br1: conflicting addresses: present is 172.16.5.4/16, required is 10.1.2.1/24")
	n.bridgeHas(t, "br1", "172.16.5.4/16")
	n.adds(t, addrWith(other, `"forceAddress": true`), "db")
	n.bridgeHas(t, "br1", "10.1.2.1/24 172.16.5.4/16 fd00:1::1/64")
	n.dels(t, other, "db")
}

func vipOnOwnBridge(t *testing.T) {
	n := newAddrNode(t)
	conf := brConf("10.1.2.0/24", "fd00:1::/64")
	n.adds(t, conf, "web")
	n.AddAddress("cni0", "10.1.2.100/32", "172.16.5.4/16", "fd00:1::100/128")
	const all = "10.1.2.1/24 10.1.2.100/32 172.16.5.4/16 fd00:1::1/64 fd00:1::100/128"
	n.adds(t, conf, "db")
	n.adds(t, addrWith(conf, `"forceAddress": true`), "mq")
	n.bridgeHas(t, "cni0", all)
	n.dels(t, conf, "web", "db", "mq")
	n.bridgeHas(t, "cni0", all)
	n.gc(t, conf)
	n.adds(t, conf, "web")
	n.bridgeHas(t, "cni0", all)
	n.dels(t, conf, "web")
}
