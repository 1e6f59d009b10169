package reported

import (
	"fmt"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// wayTo requires words in the route that the kernel of a container chooses for an address.
func (n *addrNode) wayTo(t *testing.T, name, addr, words string) {
	t.Helper()
	if got := n.container(name).Run(t, "ip", "route", "get", addr); !strings.Contains(got, words) {
		t.Errorf("%s sends to %s: %q, not %q", name, addr, got, words)
	}
}

// lists requires the routes of a container to a destination, as `ip route` prints them.
func (n *addrNode) lists(t *testing.T, name, dst string, want ...string) {
	t.Helper()
	family := "-4"
	if strings.Contains(dst, ":") {
		family = "-6"
	}
	var got []string
	for line := range strings.Lines(n.container(name).Run(t, "ip", family, "route", "show", "table", "all", dst)) {
		got = append(got, strings.Join(strings.Fields(line), " "))
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("%s has the routes %q to %s, not %q", name, got, dst, want)
	}
}

func connectedWithGateway(t *testing.T) {
	n := newAddrNode(t)
	conf := brRoutes(brConf("10.1.2.0/24"), `{"dst": "10.1.2.0/24", "gw": "10.1.2.1"}`)
	n.adds(t, conf, "web", "db")
	n.lists(t, "web", "10.1.2.0/24", "10.1.2.0/24 via 10.1.2.1 dev eth0", "10.1.2.0/24 dev eth0 proto kernel scope link src 10.1.2.2")
	n.wayTo(t, "web", "10.1.2.3", "via 10.1.2.1 dev eth0 src 10.1.2.2")
	n.reaches(t, "web", "10.1.2.1", "10.1.2.3")
	n.dels(t, conf, "web", "db")
}

func connectedWithout(t *testing.T) {
	n := newAddrNode(t)
	conf := brRoutes(brConf("10.1.2.0/24"), `{"dst": "10.1.2.0/24", "mtu": 1400}`)
	n.adds(t, conf, "web", "db")
	n.lists(t, "web", "10.1.2.0/24", "10.1.2.0/24 via 10.1.2.1 dev eth0 mtu 1400", "10.1.2.0/24 dev eth0 proto kernel scope link src 10.1.2.2")
	n.wayTo(t, "web", "10.1.2.3", "via 10.1.2.1 dev eth0")
	n.reaches(t, "web", "10.1.2.1", "10.1.2.3")
	n.dels(t, conf, "web", "db")
}

func connected6(t *testing.T) {
	n := newAddrNode(t)
	for _, route := range []string{`{"dst": "fd00:1::/64", "gw": "fd00:1::1"}`, `{"dst": "fd00:1::/64"}`} {
		conf := brRoutes(brConf("fd00:1::/64"), route)
		n.adds(t, conf, "web", "db")
		n.lists(t, "web", "fd00:1::/64", "fd00:1::/64 dev eth0 proto kernel metric 256 pref medium", "fd00:1::/64 via fd00:1::1 dev eth0 metric 1024 pref medium")
		n.reaches(t, "web", "fd00:1::1", n.addressOf(t, "db"))
		n.dels(t, conf, "web", "db")
	}
	conf := brRoutes(brConf("fd00:1::/64"), `{"dst": "fd00:1::/64", "gw": "fd00:1::1", "priority": 256}`) // the kernel's own metric
	n.adds(t, conf, "web", "db")
	n.reaches(t, "web", "fd00:1::1", n.addressOf(t, "db"))
	n.dels(t, conf, "web", "db")
}

// addressOf returns the first address of a container's result.
func (n *addrNode) addressOf(t *testing.T, name string) string {
	t.Helper()
	r := nettest.Answer{Stdout: n.prev[name]}.Result(t)
	return r.IPs[0].Address.IP.String()
}

func connectedOnLink(t *testing.T) {
	n := newAddrNode(t)
	conf := brRoutes(addrWith(brConf("10.1.2.0/24"), `"isDefaultGateway": false`), `{"dst": "10.1.2.0/24", "scope": 253}`)
	n.adds(t, conf, "web", "db")
	n.lists(t, "web", "10.1.2.0/24", "10.1.2.0/24 dev eth0 scope link", "10.1.2.0/24 dev eth0 proto kernel scope link src 10.1.2.2")
	n.reaches(t, "web", "10.1.2.3")
	n.dels(t, conf, "web", "db")
	static := `{"cniVersion": "1.1.0", "name": "bare", "type": "patchbay", "bridge": "cni0", "ipam": {"type": "static", "addresses": [{"address": "10.1.2.7/24"}], "routes": [{"dst": "10.1.2.0/24"}]}}`
	n.adds(t, static, "web")
	n.lists(t, "web", "10.1.2.0/24", "10.1.2.0/24 dev eth0", "10.1.2.0/24 dev eth0 proto kernel scope link src 10.1.2.7")
	n.dels(t, static, "web")
}

func connectedTwice(t *testing.T) {
	n := newAddrNode(t)
	first := brConf("10.1.2.0/24")
	second := addrWith(brRoutes(brSets(`[{"subnet": "10.1.2.0/24", "rangeStart": "10.1.2.50"}]`), `{"dst": "10.1.2.0/24"}`), `"name": "second", "bridge": "cni1", "isDefaultGateway": false`)
	n.adds(t, first, "web", "db")
	call := n.call(t, "ADD", "web", second)
	call.IfName = "eth1"
	n.CNI(t, call).Result(t)
	n.wayTo(t, "web", "10.1.2.3", "dev eth0 src 10.1.2.2")
	n.reaches(t, "web", "10.1.2.3")
	if got := n.container("web").Run(t, "ip", "route", "show", "10.1.2.0/24", "dev", "eth1"); !strings.Contains(got, "via 10.1.2.1 metric 100") {
		t.Errorf("routes by eth1: %q", got)
	}
	call.Command = "DEL"
	n.CNI(t, call).OK(t)
	n.dels(t, first, "web", "db")
}

func connectedInChain(t *testing.T) {
	n := newAddrNode(t)
	web := n.container("web")
	n.Veth("theirs", web.Netns, "eth0")
	web.AddAddress("eth0", "172.16.5.4/16") // so that the kernel keeps the routes with our address
	n.Baseline()
	prev := fmt.Sprintf(`"prevResult": {"cniVersion": "1.1.0", "interfaces": [{"name": "theirs"}, {"name": "eth0", "sandbox": %q}]}`, web.Path())
	for _, route := range []string{`{"dst": "10.1.2.0/24", "gw": "10.1.2.1"}`, `{"dst": "10.1.2.0/24", "scope": 253}`, `{"dst": "10.7.0.0/16", "scope": 253}`} {
		conf := brRoutes(addrWith(brConf("10.1.2.0/24"), `"isDefaultGateway": false`), route)
		chained := addrWith(conf, prev)
		a := n.addAs(t, "web", chained, "")
		a.Result(t)
		n.prev["web"] = a.Stdout
		n.check(t, "web", conf).OK(t)
		n.del(t, "web", chained)
		n.lists(t, "web", "10.1.2.0/24")
		n.lists(t, "web", "10.7.0.0/16")
	}
}

// strayRoute returns a network on a bridge of its own with a route.
func strayRoute(dst, gw string) string {
	return brRoutes(brConf("10.1.2.0/24", "fd00:1::/64"), fmt.Sprintf(`{"dst": %q, "gw": %q}`, dst, gw))
}

func strayUplink(t *testing.T) {
	n := newAddrNode(t)
	n.LAN(t)
	n.everyFails(t, strayRoute("203.0.113.0/24", nettest.LANRouter4), 7, "route 203.0.113.0/24 via 192.0.2.1: gateway not on bridge cni0: the host reaches it through br0")
	// The host reaches it through its default route.
	n.everyFails(t, strayRoute("203.0.113.0/24", nettest.LANOutside4), 7, "route 203.0.113.0/24 via 198.51.100.7: gateway not on bridge cni0: the host reaches it through br0")
	n.adds(t, strayRoute("203.0.113.0/24", "10.1.2.9"), "web")
	n.everyFails(t, strayRoute("203.0.113.0/24", nettest.LANRouter4), 7, "the host reaches it through br0") // the bridge exists now
	n.dels(t, brConf(), "web")
}

func strayUplink6(t *testing.T) {
	n := newAddrNode(t)
	n.LAN(t)
	n.everyFails(t, strayRoute("2001:db8:9::/48", nettest.LANRouter6), 7, "route 2001:db8:9::/48 via 2001:db8:0:1::1: gateway not on bridge cni0: the host reaches it through br0")
	n.everyFails(t, strayRoute("::/0", nettest.LANOutside6), 7, "route ::/0 via 2001:db8:0:2::7: gateway not on bridge cni0: the host reaches it through br0")
	conf := strayRoute("2001:db8:9::/48", "fe80::1") // link-local is on every link
	n.adds(t, conf, "web")
	n.dels(t, conf, "web")
}

func strayOwnAddress(t *testing.T) {
	n := newAddrNode(t)
	n.LAN(t)
	n.everyFails(t, strayRoute("203.0.113.0/24", nettest.LANHost4), 7, "route 203.0.113.0/24 via 192.0.2.10: gateway not on bridge cni0: the host has that address on br0")
	n.everyFails(t, strayRoute("2001:db8:9::/48", nettest.LANHost6), 7, "gateway not on bridge cni0: the host has that address on br0")
	// On the bridge itself it can be reached, whatever its subnet is.
	n.Bridge("br1", "10.1.2.1/24", "fd00:1::1/64", "172.16.5.4/32")
	conf := brOn("br1", strayRoute("203.0.113.0/24", "172.16.5.4"))
	n.adds(t, conf, "web")
	n.reaches(t, "web", "172.16.5.4")
	n.wayTo(t, "web", "203.0.113.1", "via 172.16.5.4 dev eth0")
	n.dels(t, conf, "web")
}

func strayNowhere(t *testing.T) {
	n := newAddrNode(t)
	n.everyFails(t, strayRoute("203.0.113.0/24", "172.16.5.4"), 7, "route 203.0.113.0/24 via 172.16.5.4: gateway not on bridge cni0: the host has no route to it")
	n.everyFails(t, strayRoute("2001:db8:9::/48", "2001:db8::5"), 7, "gateway not on bridge cni0: the host has no route to it")
	n.ip(t, "route add blackhole 172.16.0.0/16")
	n.ip(t, "-6 route add unreachable 2001:db8::/64")
	n.Baseline()
	n.everyFails(t, strayRoute("203.0.113.0/24", "172.16.5.4"), 7, "gateway not on bridge cni0: the host has no route to it")
	n.everyFails(t, strayRoute("2001:db8:9::/48", "2001:db8::5"), 7, "gateway not on bridge cni0: the host has no route to it")
}

func strayRange(t *testing.T) {
	n := newAddrNode(t)
	n.LAN(t)
	sets := `[{"subnet": "10.1.2.0/24"}, {"subnet": "10.1.3.0/24", "gateway": "192.0.2.1"}]`
	conf := brRoutes(addrWith(brSets(sets), `"isDefaultGateway": false`), `{"dst": "0.0.0.0/0"}`)
	n.everyFails(t, conf, 7, "route 0.0.0.0/0 via 192.0.2.1: gateway not on bridge cni0: the host reaches it through br0")
}

func strayForeign(t *testing.T) {
	n := newAddrNode(t)
	n.LAN(t)
	const static = `{"cniVersion": "1.1.0", "name": "net", "type": "patchbay", "bridge": "cni0", "ipam": {"type": "static", "addresses": [{"address": "10.1.2.7/24"}], "routes": [{"dst": "203.0.113.0/24", "gw": "192.0.2.1"}]}}`
	n.refused(t, "web", static, "", 110, "route 203.0.113.0/24 via 192.0.2.1: gateway not on bridge cni0: the host reaches it through br0")
	if leaks := n.Leaks(); len(leaks) > 0 {
		t.Errorf("left behind: %q", leaks)
	}
}

func routerOnLAN(t *testing.T) {
	n := newAddrNode(t)
	n.LAN(t)
	sets := `[{"subnet": "192.0.2.77/32", "gateway": "192.0.2.1"}], [{"subnet": "2001:db8:0:1::77/128", "gateway": "2001:db8:0:1::1"}]`
	conf := brOn("br0", brRoutes(addrWith(brSets(sets), `"isDefaultGateway": false`), `{"dst": "0.0.0.0/0"}, {"dst": "::/0"}`))
	n.adds(t, conf, "web")
	n.reaches(t, "web", nettest.LANOutside4, nettest.LANOutside6)
	n.wayTo(t, "web", nettest.LANOutside4, "via 192.0.2.1 dev eth0")
	n.dels(t, conf, "web")
	// The host has no address on the bridge, so its routes do not describe that link.
	n.Bridge("br1")
	conf = brOn("br1", addrWith(strayRoute("203.0.113.0/24", "172.16.5.4"), `"isDefaultGateway": false`))
	n.adds(t, conf, "web")
	n.wayTo(t, "web", "203.0.113.1", "via 172.16.5.4 dev eth0")
	n.dels(t, conf, "web")
	n.everyFails(t, brOn("br1", addrWith(strayRoute("203.0.113.0/24", nettest.LANRouter4), `"isDefaultGateway": false`)), 7, "gateway not on bridge br1: the host reaches it through br0")
}

func routerDeclared(t *testing.T) {
	n := newAddrNode(t)
	n.LAN(t)
	router := n.container("router")
	routes := `{"dst": "172.16.5.4/32", "scope": 253}, {"dst": "203.0.113.0/24", "gw": "172.16.5.4"}, {"dst": "2001:db8:5::4/128", "scope": 253}, {"dst": "2001:db8:9::/48", "gw": "2001:db8:5::4"}`
	conf := brRoutes(brConf("10.1.2.0/24", "fd00:1::/64"), routes)
	n.adds(t, brConf("10.1.2.0/24", "fd00:1::/64"), "router")
	n.adds(t, conf, "web")
	router.AddAddress("eth0", "172.16.5.4/32", "2001:db8:5::4/128")
	n.wayTo(t, "web", "203.0.113.1", "via 172.16.5.4 dev eth0")
	n.reaches(t, "web", "172.16.5.4", "2001:db8:5::4")
	n.dels(t, conf, "web", "router")
}
