package verbs

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// drifted is an attachment that was changed after ADD.
type drifted struct {
	*attachment
	h    *nettest.Node
	c    *nettest.Container
	host string // name of the host interface
}

func (d *drifted) outside(t *testing.T, command string) {
	t.Helper()
	ip(t, d.h.Netns, strings.ReplaceAll(command, "HOST", d.host))
}

func (d *drifted) inside(t *testing.T, command string) {
	t.Helper()
	ip(t, d.c.Netns, command)
}

// meddling is one change, and the message of CHECK, in which HOST stands for the name of the host interface and ID for
// that of the container.
type meddling struct {
	name string
	conf cni.Conf
	do   func(t *testing.T, d *drifted)
	want string
}

// full returns a network with every setting that the rows change.
func full() cni.Conf {
	return cni.Network(cni.DefaultGateway(), cni.Conf{"promiscMode": true}, cni.IPAM(cni.Conf{
		"ranges": [][]cni.Conf{{{"subnet": "10.1.0.0/24"}}, {{"subnet": "fd00:1::/64"}}},
		"routes": []cni.Conf{{"dst": "198.51.100.0/24", "mtu": 1400, "priority": 7}},
	}))
}

func outside(command string) func(*testing.T, *drifted) {
	return func(t *testing.T, d *drifted) { t.Helper(); d.outside(t, command) }
}

func inside(command string) func(*testing.T, *drifted) {
	return func(t *testing.T, d *drifted) { t.Helper(); d.inside(t, command) }
}

func reconfigure(keys ...cni.Conf) func(*testing.T, *drifted) {
	return func(t *testing.T, d *drifted) {
		t.Helper()
		was := d.conf
		d.conf = was.With(keys...)
		t.Cleanup(func() { d.conf = was })
	}
}

func insideMeddling() []meddling {
	return []meddling{
		{"address removed", full(), inside("addr del 10.1.0.2/24 dev eth0"), "eth0 in the container has lost address 10.1.0.2/24"},
		{"IPv6 address removed", full(), inside("addr del fd00:1::2/64 dev eth0"), "eth0 in the container has lost address fd00:1::2/64"},
		{"prefix length changed", full(), func(t *testing.T, d *drifted) {
			d.inside(t, "addr add 10.1.0.2/16 dev eth0")
			d.inside(t, "addr del 10.1.0.2/24 dev eth0")
		}, "eth0 in the container has lost address 10.1.0.2/24"},
		{"default route removed", full(), inside("route del default"), "eth0 in the container has lost the route 0.0.0.0/0 via 10.1.0.1"},
		{"IPv6 default route removed", full(), inside("-6 route del default"), "eth0 in the container has lost the route ::/0 via fd00:1::1"},
		{"gateway of a route changed", full(), inside("route replace default via 10.1.0.9"), "eth0 in the container has lost the route 0.0.0.0/0 via 10.1.0.1"},
		{"gateway of an IPv6 route changed", full(), inside("-6 route replace default via fd00:1::9"), "eth0 in the container has lost the route ::/0 via fd00:1::1"},
		{"configured route removed", full(), inside("route del 198.51.100.0/24 metric 7"), "eth0 in the container has lost the route 198.51.100.0/24 via 10.1.0.1 metric 7"},
		{"metric of a route changed", full(), func(t *testing.T, d *drifted) {
			d.inside(t, "route del 198.51.100.0/24 metric 7")
			d.inside(t, "route add 198.51.100.0/24 via 10.1.0.1 metric 8 mtu 1400")
		}, "eth0 in the container has lost the route 198.51.100.0/24 via 10.1.0.1 metric 7"},
		{"MTU of a route changed", full(), inside("route change 198.51.100.0/24 via 10.1.0.1 metric 7 mtu 1300"), "eth0 in the container has lost the route 198.51.100.0/24"},
		{"down", full(), inside("link set eth0 down"), "eth0 in the container is down"},
		{"down, layer 2 only", cni.Network(), inside("link set eth0 down"), "eth0 in the container is down"},
		{"MAC changed", full(), inside("link set eth0 address 02:00:00:00:53:99"), "eth0 in the container has MAC 02:00:00:00:53:99, prevResult has 02:"},
		{"deleted", full(), inside("link del eth0"), "eth0 no longer exists in the container"},
		{"renamed", full(), inside("link set eth0 down name eth9"), "eth0 no longer exists in the container"},
		{"replaced by another kind", full(), func(t *testing.T, d *drifted) {
			d.inside(t, "link del eth0")
			d.inside(t, "link add eth0 type bridge")
			t.Cleanup(func() { d.inside(t, "link del eth0") })
		}, "eth0 in the container is of type bridge, not a veth"},
		{"replaced by another veth", cni.Network(), func(t *testing.T, d *drifted) {
			mac := d.c.MAC("eth0")
			d.inside(t, "link set eth0 down name eth9")
			d.inside(t, "link add eth0 type veth peer name eth8")
			d.inside(t, "link set eth0 address "+mac+" up")
			t.Cleanup(func() { d.inside(t, "link del eth0") })
		}, "eth0 in the container is not the peer of HOST"},
	}
}

func outsideMeddling() []meddling {
	return []meddling{
		{"host interface down", full(), outside("link set HOST down"), "host link HOST is down"},
		{"host interface no bridge port", full(), outside("link set HOST nomaster"), "host link HOST is not a port of bridge cni0"},
		{"host interface in another bridge", full(), func(t *testing.T, d *drifted) {
			d.h.Bridge("br9")
			d.outside(t, "link set br9 address 02:00:00:00:53:09")
			d.h.Allow("link br9 mac")
			d.h.Allow("fdb br9")
			d.outside(t, "link set HOST master br9")
		}, "host link HOST is not a port of bridge cni0"},
		{"hairpin on", full(), outside("link set HOST type bridge_slave hairpin on"), "hairpin mode of HOST is true, hairpinMode is false"},
		{"hairpin off", cni.Network(cni.Conf{"hairpinMode": true}), outside("link set HOST type bridge_slave hairpin off"), "hairpin mode of HOST is false, hairpinMode is true"},
		{"alias of host interface removed", full(), func(t *testing.T, d *drifted) {
			d.h.Run(t, "ip", "link", "set", d.host, "alias", "")
		}, `host link HOST has the alias "", not that of this attachment`},
		{"MTU of host interface changed", full(), outside("link set HOST mtu 1400"), "host link HOST has MTU 1400, not 1500"},
		{"MAC of host interface changed", full(), outside("link set HOST address fe:00:00:00:53:99"), "host link HOST has MAC fe:00:00:00:53:99, prevResult has fe:"},
		{"gateway address removed", full(), outside("addr del 10.1.0.1/24 dev cni0"), "bridge cni0 has lost the gateway address 10.1.0.1/24"},
		{"IPv6 gateway address removed", full(), outside("addr del fd00:1::1/64 dev cni0"), "bridge cni0 has lost the gateway address fd00:1::1/64"},
		{"forwarding off", full(), sysctl("net/ipv4/ip_forward", "0"), "the host no longer forwards IPv4 (net.ipv4.ip_forward)"},
		{"IPv6 forwarding off", full(), sysctl("net/ipv6/conf/all/forwarding", "0"), "the host no longer forwards IPv6 (net.ipv6.conf.all.forwarding)"},
		{"route to a single address removed", cni.Network(cni.DefaultGateway(), singles()), outside("route del 10.9.0.5/32 dev cni0"), "the host has lost the route of 10.9.0.5 to bridge cni0"},
		{"route to a single IPv6 address removed", cni.Network(cni.DefaultGateway(), singles()), outside("-6 route del fd00:9::5/128 dev cni0"), "the host has lost the route of fd00:9::5 to bridge cni0"},
		{"bridge deleted", full(), outside("link del cni0"), "interface cni0: no such interface"},
		{"bridge replaced", full(), func(t *testing.T, d *drifted) {
			d.outside(t, "link del cni0")
			d.outside(t, "link add cni0 type veth peer name cni0b")
			t.Cleanup(func() { d.outside(t, "link del cni0") })
		}, "interface cni0 (veth): not a bridge"},
		{"bridge down", full(), outside("link set cni0 down"), "bridge cni0 is down"},
		{"MAC of our bridge changed", full(), outside("link set cni0 address 02:00:00:00:53:98"), "bridge cni0 has MAC 02:00:00:00:53:98, prevResult has 02:"},
		{"promiscuous mode off", full(), outside("link set cni0 promisc off"), "bridge cni0 is not promiscuous"},
	}
}

func sysctl(name, value string) func(*testing.T, *drifted) {
	return func(t *testing.T, d *drifted) { t.Helper(); d.h.SetSysctl(name, value) }
}

func stateMeddling() []meddling {
	return []meddling{
		{"record removed", full(), func(t *testing.T, d *drifted) {
			removeAll(t, d.h, recordPath(d.attachment))
		}, "there is no record of container ID with eth0 on network net"},
		{"record torn", full(), func(t *testing.T, d *drifted) {
			writeFile(t, d.h, recordPath(d.attachment), `{"version": 1, "netw`)
		}, "the record cannot be read"},
		{"address file removed", full(), func(t *testing.T, d *drifted) {
			removeAll(t, d.h, addressDir(d.attachment)+"/10.1.0.2")
		}, "address 10.1.0.2 is no longer reserved in /run/patchbay/ipam/net"},
		{"IPv6 address file removed", full(), func(t *testing.T, d *drifted) {
			removeAll(t, d.h, addressDir(d.attachment)+"/fd00:1::2")
		}, "address fd00:1::2 is no longer reserved in /run/patchbay/ipam/net"},
		{"address file empty", full(), func(t *testing.T, d *drifted) {
			writeFile(t, d.h, addressDir(d.attachment)+"/10.1.0.2", "")
		}, "address 10.1.0.2 is no longer reserved in /run/patchbay/ipam/net"},
		{"address of another", full(), func(t *testing.T, d *drifted) {
			writeFile(t, d.h, addressDir(d.attachment)+"/10.1.0.2", "another\r\neth0")
			d.h.Allow("file /run/patchbay/ipam/net/10.1.0.2") // DEL does not remove another owner's file
		}, "address 10.1.0.2 is reserved for another/eth0 in /run/patchbay/ipam/net"},
		{"another namespace behind the path", cni.Network(), func(t *testing.T, d *drifted) {
			other := d.h.Container("other")
			other.Run(t, "ip", "link", "add", "eth0", "type", "veth", "peer", "name", "x")
			other.Run(t, "ip", "link", "set", "eth0", "up")
			t.Cleanup(func() { ip(t, other.Netns, "link del eth0") })
			was := d.netns
			d.netns = other.Path()
			t.Cleanup(func() { d.netns = was })
		}, "/run/netns/other is not the network namespace that was attached"},
	}
}

func configMeddling() []meddling {
	return []meddling{
		{"mtu", full(), reconfigure(cni.Conf{"mtu": 1400}), "host link HOST has MTU 1500, not 1400"},
		{"hairpinMode", cni.Network(), reconfigure(cni.Conf{"hairpinMode": true}), "hairpin mode of HOST is false, hairpinMode is true"},
		{"promiscMode", cni.Network(), reconfigure(cni.Conf{"promiscMode": true}), "bridge cni0 is not promiscuous"},
		{"ranges", cni.Network(cni.Pool("10.1.0.0/24")), reconfigure(cni.Pool("10.2.0.0/24")), "address 10.1.0.2/24 is outside the ranges of the configuration"},
		{"isGateway", cni.Network(cni.Pool("10.1.0.0/24")), reconfigure(cni.Gateway()), "bridge cni0 has lost the gateway address 10.1.0.1/24"},
		{"isDefaultGateway", cni.Network(cni.Gateway(), cni.Pool("10.1.0.0/24")), reconfigure(cni.DefaultGateway()), "the attachment was made without the route 0.0.0.0/0 via 10.1.0.1, which the configuration now has"},
		{"routes", cni.Network(cni.Gateway(), cni.Pool("10.1.0.0/24")), reconfigure(cni.IPAM(cni.Conf{
			"ranges": [][]cni.Conf{{{"subnet": "10.1.0.0/24"}}}, "routes": []cni.Conf{{"dst": "203.0.113.0/24"}},
		})), "the attachment was made without the route 203.0.113.0/24 via 10.1.0.1, which the configuration now has"},
		{"bridge", cni.Network(), reconfigure(cni.Conf{"bridge": "cni7"}), "interface cni7: no such interface"},
		{"disableContainerInterface", cni.Network(cni.Conf{"disableContainerInterface": true}), reconfigure(cni.Conf{"disableContainerInterface": cni.Absent}), "eth0 in the container is down"},
	}
}

// findAll runs each row on a host of its own: CHECK succeeds; after one change it reports that change, and changes
// nothing itself.
func findAll(t *testing.T, rows []meddling) {
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			h := nettest.Host(t)
			c := h.Container("c")
			a, r := attach(t, h, c, row.conf)
			a.check(t)
			d := &drifted{attachment: a, h: h, c: c, host: hostEnd(t, r)}
			row.do(t, d)
			before := picture(t, h, c)
			expect.Contains(t, d.drift(t), strings.NewReplacer("HOST", d.host, "ID", a.id).Replace(row.want))
			if diff := cmp.Diff(before, picture(t, h, c)); diff != "" {
				t.Errorf("CHECK changed something:\n%s", diff)
			}
		})
	}
}

// Claim: CHECK compares the kernel with `prevResult` and the configuration
func TestCheckFindsChangesInTheContainer(t *testing.T) { t.Parallel(); findAll(t, insideMeddling()) }

// Claim: CHECK compares the kernel with `prevResult` and the configuration
func TestCheckFindsChangesOnTheHost(t *testing.T) { t.Parallel(); findAll(t, outsideMeddling()) }

// Claim: CHECK compares the kernel with `prevResult` and the configuration
func TestCheckFindsChangesOfState(t *testing.T) { t.Parallel(); findAll(t, stateMeddling()) }

// Claim: CHECK compares the kernel with `prevResult` and the configuration
func TestCheckFindsChangesOfConfig(t *testing.T) { t.Parallel(); findAll(t, configMeddling()) }
