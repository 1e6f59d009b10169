package verbs

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/expect"
)

// TestCheckPassesRightAfterAdd on networks of every kind.
func TestCheckPassesRightAfterAdd(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		conf conf
	}{
		{"layer 2 only", network()},
		{"addresses only", network(pool("10.1.0.0/24"))},
		{"gateway", network(gateway(), pool("10.1.0.0/24"))},
		{"default gateway", network(defaultGateway(), pool("10.1.0.0/24"))},
		{"dual stack", network(defaultGateway(), pool("10.1.0.0/24", "fd00:1::/64"))},
		{"IPv6 only", network(defaultGateway(), pool("fd00:1::/64"))},
		{"several addresses", network(gateway(), pool("10.1.0.0/24", "10.2.0.0/24", "fd00:1::/64", "fd00:2::/64"))},
		{"single addresses", network(defaultGateway(), singles())},
		{"MTU", network(defaultGateway(), conf{"mtu": 1400}, pool("10.1.0.0/24", "fd00:1::/64"))},
		{"hairpin", network(conf{"hairpinMode": true}, pool("10.1.0.0/24"))},
		{"promiscuous", network(conf{"promiscMode": true}, pool("10.1.0.0/24"))},
		{"duplicate address detection", network(gateway(), conf{"enabledad": true}, pool("fd00:1::/64"))},
		{"interface left down", network(conf{"disableContainerInterface": true})},
		{"MAC of the runtime", network(runtimeConfig(conf{"mac": "02:00:00:00:53:42"}))},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := nettest.Host(t)
			a, _ := attach(t, h, h.Container("c"), tt.conf)
			a.check(t)
		})
	}
}

// singles are pools of one address each, with a gateway outside.
func singles() conf {
	return ipam(conf{"ranges": [][]conf{
		{{"subnet": "10.9.0.5/32", "gateway": "10.9.0.1"}}, {{"subnet": "fd00:9::5/128", "gateway": "fd00:9::1"}},
	}})
}

func TestCheckPassesWithSeveralNetworks(t *testing.T) {
	t.Parallel()
	_, _, a, b := twoNetworks(t)
	a.check(t)
	b.check(t)
}

// TestCheckToleratesOthersWork: routes and addresses that a later plugin of the chain added.
func TestCheckToleratesOthersWork(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c := h.Container("c")
	a, _ := attach(t, h, c, network(defaultGateway(), pool("10.1.0.0/24")))
	ip(t, c.Netns, "addr add 192.0.2.7/32 dev eth0")
	ip(t, c.Netns, "route add 198.51.100.0/24 via 10.1.0.1")
	ip(t, h.Netns, "addr add 192.0.2.8/32 dev cni0")
	a.check(t)
}

// TestCheckNeedsPrevResult, as the specification says.
func TestCheckNeedsPrevResult(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	a, _ := attach(t, h, h.Container("c"), network())
	prev := a.prev
	a.prev = nil
	expect.Contains(t, a.fails(t, "CHECK", 7).Msg, "prevResult")
	a.prev = prev
}

// TestCheckBeforeAdd finds nothing, and says so.
func TestCheckBeforeAdd(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	h.Oracle(nettest.CleanHost)
	a := on(h, h.Container("c"), network(conf{"prevResult": conf{"cniVersion": "1.1.0"}}))
	expect.Contains(t, a.drift(t), "there is no record of container "+a.id)
}

// drifted is an attachment that somebody has meddled with.
type drifted struct {
	*attachment
	h    *nettest.Node
	c    *nettest.Container
	host string // the host end's name
}

func (d *drifted) outside(t *testing.T, command string) {
	t.Helper()
	ip(t, d.h.Netns, strings.ReplaceAll(command, "HOST", d.host))
}

func (d *drifted) inside(t *testing.T, command string) {
	t.Helper()
	ip(t, d.c.Netns, command)
}

// meddling is one change, and what CHECK must say; HOST stands for the host end's name, ID for the container's.
type meddling struct {
	name string
	conf conf
	do   func(t *testing.T, d *drifted)
	want string
}

// full is a network with everything that can be changed.
func full() conf {
	return network(defaultGateway(), conf{"promiscMode": true}, ipam(conf{
		"ranges": [][]conf{{{"subnet": "10.1.0.0/24"}}, {{"subnet": "fd00:1::/64"}}},
		"routes": []conf{{"dst": "198.51.100.0/24", "mtu": 1400, "priority": 7}},
	}))
}

func outside(command string) func(*testing.T, *drifted) {
	return func(t *testing.T, d *drifted) { t.Helper(); d.outside(t, command) }
}

func inside(command string) func(*testing.T, *drifted) {
	return func(t *testing.T, d *drifted) { t.Helper(); d.inside(t, command) }
}

func reconfigure(keys ...conf) func(*testing.T, *drifted) {
	return func(t *testing.T, d *drifted) {
		t.Helper()
		was := d.conf
		d.conf = was.with(keys...)
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
		{"down, layer 2 only", network(), inside("link set eth0 down"), "eth0 in the container is down"},
		{"MAC changed", full(), inside("link set eth0 address 02:00:00:00:53:99"), "eth0 in the container has MAC 02:00:00:00:53:99, it had 02:"},
		{"MTU changed", full(), inside("link set eth0 mtu 1400"), "eth0 in the container has MTU 1400, not 1500"},
		{"deleted", full(), inside("link del eth0"), "eth0 does not exist in the container any more"},
		{"renamed", full(), inside("link set eth0 down name eth9"), "eth0 does not exist in the container any more"},
		{"replaced by another kind", full(), func(t *testing.T, d *drifted) {
			d.inside(t, "link del eth0")
			d.inside(t, "link add eth0 type bridge")
			t.Cleanup(func() { d.inside(t, "link del eth0") })
		}, "eth0 in the container is of type bridge, not a veth"},
		{"replaced by another veth", network(), func(t *testing.T, d *drifted) {
			mac := d.c.MAC("eth0")
			d.inside(t, "link set eth0 down name eth9")
			d.inside(t, "link add eth0 type veth peer name eth8")
			d.inside(t, "link set eth0 address "+mac+" up")
			t.Cleanup(func() { d.inside(t, "link del eth0") })
		}, "eth0 in the container is not the other end of HOST"},
	}
}

func outsideMeddling() []meddling {
	return []meddling{
		{"host end down", full(), outside("link set HOST down"), "host link HOST is down"},
		{"host end unplugged", full(), outside("link set HOST nomaster"), "host link HOST is not plugged into bridge cni0"},
		{"host end in another bridge", full(), func(t *testing.T, d *drifted) {
			d.h.Bridge("br9")
			d.outside(t, "link set br9 address 02:00:00:00:53:09")
			d.h.Allow("link br9 mac")
			d.h.Allow("fdb br9")
			d.outside(t, "link set HOST master br9")
		}, "host link HOST is not plugged into bridge cni0"},
		{"hairpin on", full(), outside("link set HOST type bridge_slave hairpin on"), "hairpin mode of HOST is true, hairpinMode is false"},
		{"hairpin off", network(conf{"hairpinMode": true}), outside("link set HOST type bridge_slave hairpin off"), "hairpin mode of HOST is false, hairpinMode is true"},
		{"host end's alias removed", full(), func(t *testing.T, d *drifted) {
			d.h.Run(t, "ip", "link", "set", d.host, "alias", "")
		}, `host link HOST carries the alias "", not this attachment's`},
		{"host end's MTU changed", full(), outside("link set HOST mtu 1400"), "host link HOST has MTU 1400, not 1500"},
		{"host end's MAC changed", full(), outside("link set HOST address fe:00:00:00:53:99"), "host link HOST has MAC fe:00:00:00:53:99, it had fe:"},
		{"gateway address removed", full(), outside("addr del 10.1.0.1/24 dev cni0"), "bridge cni0 has lost the gateway address 10.1.0.1/24"},
		{"IPv6 gateway address removed", full(), outside("addr del fd00:1::1/64 dev cni0"), "bridge cni0 has lost the gateway address fd00:1::1/64"},
		{"forwarding off", full(), sysctl("net/ipv4/ip_forward", "0"), "the host does not forward IPv4 (net.ipv4.ip_forward) any more"},
		{"IPv6 forwarding off", full(), sysctl("net/ipv6/conf/all/forwarding", "0"), "the host does not forward IPv6 (net.ipv6.conf.all.forwarding) any more"},
		{"route to a single address removed", network(defaultGateway(), singles()), outside("route del 10.9.0.5/32 dev cni0"), "the host has lost the route of 10.9.0.5 to bridge cni0"},
		{"route to a single IPv6 address removed", network(defaultGateway(), singles()), outside("-6 route del fd00:9::5/128 dev cni0"), "the host has lost the route of fd00:9::5 to bridge cni0"},
		{"bridge deleted", full(), outside("link del cni0"), "interface cni0: does not exist"},
		{"bridge replaced", full(), func(t *testing.T, d *drifted) {
			d.outside(t, "link del cni0")
			d.outside(t, "link add cni0 type veth peer name cni0b")
			t.Cleanup(func() { d.outside(t, "link del cni0") })
		}, "interface cni0 is not a bridge but of type veth"},
		{"bridge down", full(), outside("link set cni0 down"), "bridge cni0 is down"},
		{"MAC of our bridge changed", full(), outside("link set cni0 address 02:00:00:00:53:98"), "bridge cni0 has MAC 02:00:00:00:53:98, it had 02:"},
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
		}, "address 10.1.0.2 is not reserved in /run/patchbay/ipam/net any more"},
		{"IPv6 address file removed", full(), func(t *testing.T, d *drifted) {
			removeAll(t, d.h, addressDir(d.attachment)+"/fd00:1::2")
		}, "address fd00:1::2 is not reserved in /run/patchbay/ipam/net any more"},
		{"address file empty", full(), func(t *testing.T, d *drifted) {
			writeFile(t, d.h, addressDir(d.attachment)+"/10.1.0.2", "")
		}, "address 10.1.0.2 is not reserved in /run/patchbay/ipam/net any more"},
		{"address of another", full(), func(t *testing.T, d *drifted) {
			writeFile(t, d.h, addressDir(d.attachment)+"/10.1.0.2", "another\r\neth0")
			d.h.Allow("file /run/patchbay/ipam/net/10.1.0.2") // it is not ours to remove
		}, "address 10.1.0.2 is reserved for another/eth0 in /run/patchbay/ipam/net"},
		{"another namespace behind the path", network(), func(t *testing.T, d *drifted) {
			other := d.h.Container("other")
			other.Run(t, "ip", "link", "add", "eth0", "type", "veth", "peer", "name", "x")
			other.Run(t, "ip", "link", "set", "eth0", "up")
			t.Cleanup(func() { ip(t, other.Netns, "link del eth0") })
			was := d.netns
			d.netns = other.Path()
			t.Cleanup(func() { d.netns = was })
		}, "/run/netns/other is another namespace than the one that was attached"},
	}
}

func configMeddling() []meddling {
	return []meddling{
		{"mtu", full(), reconfigure(conf{"mtu": 1400}), "eth0 in the container has MTU 1500, not 1400"},
		{"hairpinMode", network(), reconfigure(conf{"hairpinMode": true}), "hairpin mode of HOST is false, hairpinMode is true"},
		{"promiscMode", network(), reconfigure(conf{"promiscMode": true}), "bridge cni0 is not promiscuous"},
		{"ranges", network(pool("10.1.0.0/24")), reconfigure(pool("10.2.0.0/24")), "address 10.1.0.2/24 is outside the ranges of the configuration"},
		{"isGateway", network(pool("10.1.0.0/24")), reconfigure(gateway()), "bridge cni0 has lost the gateway address 10.1.0.1/24"},
		{"isDefaultGateway", network(gateway(), pool("10.1.0.0/24")), reconfigure(defaultGateway()), "eth0 in the container has lost the route 0.0.0.0/0 via 10.1.0.1"},
		{"routes", network(gateway(), pool("10.1.0.0/24")), reconfigure(ipam(conf{
			"ranges": [][]conf{{{"subnet": "10.1.0.0/24"}}}, "routes": []conf{{"dst": "203.0.113.0/24"}},
		})), "eth0 in the container has lost the route 203.0.113.0/24 via 10.1.0.1"},
		{"bridge", network(), reconfigure(conf{"bridge": "cni7"}), "interface cni7: does not exist"},
		{"disableContainerInterface", network(conf{"disableContainerInterface": true}), reconfigure(conf{"disableContainerInterface": nil}), "eth0 in the container is down"},
	}
}

// findAll runs each row on a host of its own: CHECK passes; after one change it names the thing, and itself changes nothing.
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

func TestCheckFindsChangesInTheContainer(t *testing.T) { t.Parallel(); findAll(t, insideMeddling()) }

func TestCheckFindsChangesOnTheHost(t *testing.T) { t.Parallel(); findAll(t, outsideMeddling()) }
func TestCheckFindsChangesOfState(t *testing.T)   { t.Parallel(); findAll(t, stateMeddling()) }
func TestCheckFindsChangesOfConfig(t *testing.T)  { t.Parallel(); findAll(t, configMeddling()) }

// picture is all there is to see of host and container, files with their contents.
func picture(t *testing.T, h *nettest.Node, c *nettest.Container) []string {
	t.Helper()
	c.Settle("eth0")
	text := h.Snapshot().String()
	for _, command := range []string{"-d addr show", "route show table all", "-6 route show table all"} {
		text += ip(t, c.Netns, command)
	}
	text += c.Run(t, "sh", "-c", "cd /proc/sys/net && grep -rs . ipv4/conf ipv6/conf ipv4/ip_forward | grep -v stable_secret | sort")
	return strings.Split(text, "\n")
}

// TestCheckChangesNothing where all is well either: host, files and container are as they were, to the letter.
func TestCheckChangesNothing(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c := h.Container("c")
	a, _ := attach(t, h, c, full())
	before := picture(t, h, c)
	a.check(t)
	expect.Equal(t, "picture", picture(t, h, c), before)
}

// TestCheckWritesNoFile: seen by strace, it opens none for writing but what has no name.
func TestCheckWritesNoFile(t *testing.T) {
	t.Parallel()
	nettest.Need(t, nettest.Tool("strace"))
	h := nettest.Host(t)
	a, _ := attach(t, h, h.Container("c"), full())
	call := a.call(t, "CHECK")
	call.Env = []string{"GODEBUG=asyncpreemptoff=1"}
	trace := traced(t, h, call, "openat,creat,mkdirat,unlinkat,renameat,renameat2,write,pwrite64,ftruncate")
	for _, line := range strings.Split(trace, "\n") {
		written := strings.Contains(line, "O_WRONLY") || strings.Contains(line, "O_RDWR") || strings.Contains(line, "O_CREAT")
		if written && !strings.Contains(line, "/dev/null") && !strings.Contains(line, "/sys/kernel/mm/") {
			t.Errorf("CHECK opens for writing: %s", line)
		}
		for _, change := range []string{"mkdirat(", "unlinkat(", "renameat(", "renameat2(", "ftruncate("} {
			if strings.Contains(line, change) {
				t.Errorf("CHECK changes files: %s", line)
			}
		}
	}
}

// TestCheckIgnoresMACOfAdoptedBridge: it may change under us, and is its owner's business.
func TestCheckIgnoresMACOfAdoptedBridge(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	adopted(t, h, "52:54:00:00:53:10")
	h.Allow("link br0 mac")
	h.Allow("fdb br0")
	a, _ := attach(t, h, h.Container("c"), network(conf{"bridge": "br0"}))
	ip(t, h.Netns, "link set br0 address 02:00:00:00:53:97")
	a.check(t)
}

// TestCheckNamesAllChanges: the first in the message, the others in the details.
func TestCheckNamesAllChanges(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c := h.Container("c")
	a, r := attach(t, h, c, full())
	ip(t, h.Netns, "link set cni0 promisc off")
	ip(t, h.Netns, "link set "+hostEnd(t, r)+" nomaster")
	ip(t, c.Netns, "route del default")
	e := a.fails(t, "CHECK", codeDrift)
	expect.Equal(t, "msg", e.Msg, "bridge cni0 is not promiscuous")
	expect.Contains(t, e.Details, "is not plugged into bridge cni0", "has lost the route 0.0.0.0/0 via 10.1.0.1")
}

// TestCheckOfAnotherInterface: prevResult belongs to another attachment.
func TestCheckOfAnotherInterface(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	a, _ := attach(t, h, h.Container("c"), network())
	a.ifname = "eth1"
	expect.Contains(t, a.drift(t), "there is no record of container "+a.id+" with eth1")
	a.ifname = "eth0"
}

// TestCheckByAnOlderCaller: the libcni of containerd 1.6 and Podman 4 drops the fields of CNI 1.1 from the result that it keeps. The
// configuration still has them, but for the metric of a second default route.
func TestCheckByAnOlderCaller(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c := h.Container("c")
	fields := ipam(conf{"ranges": [][]conf{{{"subnet": "10.1.0.0/24"}}}, "routes": []conf{
		{"dst": "198.51.100.0/24", "mtu": 1400, "advmss": 1360, "priority": 7, "table": 100}, {"dst": "203.0.113.0/24", "scope": 253},
	}})
	first, _ := attach(t, h, c, network(defaultGateway(), fields))
	_, network := pair()
	second := on(h, c, network)
	second.ifname = "eth1"
	second.add(t)
	for _, a := range []*attachment{first, second} {
		a.prev = withoutFieldsOf11(t, a.prev)
		a.check(t)
	}
	c.Run(t, "ip", "route", "change", "198.51.100.0/24", "via", "10.1.0.1", "metric", "7", "table", "100", "mtu", "1300")
	expect.Contains(t, first.drift(t), "eth0 in the container has lost the route 198.51.100.0/24")
	c.Run(t, "ip", "-6", "route", "del", "default", "dev", "eth1")
	expect.Contains(t, second.drift(t), "eth1 in the container has lost the route ::/0")
}

// withoutFieldsOf11 is a result as cni v1.1.2 decodes and encodes it.
func withoutFieldsOf11(t *testing.T, result []byte) []byte {
	t.Helper()
	var tree map[string]any
	if err := json.Unmarshal(result, &tree); err != nil {
		t.Fatal(err)
	}
	for list, fields := range map[string][]string{"interfaces": {"mtu", "socketPath", "pciID"}, "routes": {"mtu", "advmss", "priority", "table", "scope"}} {
		entries, _ := tree[list].([]any)
		for _, entry := range entries {
			for _, field := range fields {
				e, _ := entry.(map[string]any)
				delete(e, field)
			}
		}
	}
	tree["cniVersion"] = "1.0.0"
	text, err := json.Marshal(tree)
	if err != nil {
		t.Fatal(err)
	}
	return text
}
