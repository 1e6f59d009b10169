package verbs

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// TestCheckPassesRightAfterAdd: on networks of every kind.
//
// Claim: CHECK compares the kernel with `prevResult` and the configuration
func TestCheckPassesRightAfterAdd(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		conf cni.Conf
	}{
		{"layer 2 only", cni.Network()},
		{"addresses only", cni.Network(cni.Pool("10.1.0.0/24"))},
		{"gateway", cni.Network(cni.Gateway(), cni.Pool("10.1.0.0/24"))},
		{"default gateway", cni.Network(cni.DefaultGateway(), cni.Pool("10.1.0.0/24"))},
		{"dual stack", cni.Network(cni.DefaultGateway(), cni.Pool("10.1.0.0/24", "fd00:1::/64"))},
		{"IPv6 only", cni.Network(cni.DefaultGateway(), cni.Pool("fd00:1::/64"))},
		{"several addresses", cni.Network(cni.Gateway(), cni.Pool("10.1.0.0/24", "10.2.0.0/24", "fd00:1::/64", "fd00:2::/64"))},
		{"single addresses", cni.Network(cni.DefaultGateway(), singles())},
		{"MTU", cni.Network(cni.DefaultGateway(), cni.Conf{"mtu": 1400}, cni.Pool("10.1.0.0/24", "fd00:1::/64"))},
		{"hairpin", cni.Network(cni.Conf{"hairpinMode": true}, cni.Pool("10.1.0.0/24"))},
		{"promiscuous", cni.Network(cni.Conf{"promiscMode": true}, cni.Pool("10.1.0.0/24"))},
		{"duplicate address detection", cni.Network(cni.Gateway(), cni.Conf{"enabledad": true}, cni.Pool("fd00:1::/64"))},
		{"interface left down", cni.Network(cni.Conf{"disableContainerInterface": true})},
		{"MAC of the runtime", cni.Network(cni.RuntimeConfig(cni.Conf{"mac": "02:00:00:00:53:42"}))},
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

// singles returns pools of one address each, with a gateway outside of the subnet.
func singles() cni.Conf {
	return cni.IPAM(cni.Conf{"ranges": [][]cni.Conf{
		{{"subnet": "10.9.0.5/32", "gateway": "10.9.0.1"}}, {{"subnet": "fd00:9::5/128", "gateway": "fd00:9::1"}},
	}})
}

func TestCheckPassesWithSeveralNetworks(t *testing.T) {
	t.Parallel()
	_, _, a, b := twoNetworks(t)
	a.check(t)
	b.check(t)
}

// TestCheckToleratesAdditions: a later plugin of the chain has added routes and addresses.
//
// Claim: CHECK allows for changes by later plugins of the list: the reference tuning and sbr, flushed routes, addresses removed or added
func TestCheckToleratesAdditions(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c := h.Container("c")
	a, _ := attach(t, h, c, cni.Network(cni.DefaultGateway(), cni.Pool("10.1.0.0/24")))
	ip(t, c.Netns, "addr add 192.0.2.7/32 dev eth0")
	ip(t, c.Netns, "route add 198.51.100.0/24 via 10.1.0.1")
	ip(t, h.Netns, "addr add 192.0.2.8/32 dev cni0")
	a.check(t)
}

// TestCheckNeedsPrevResult: as the specification requires.
func TestCheckNeedsPrevResult(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	a, _ := attach(t, h, h.Container("c"), cni.Network())
	prev := a.prev
	a.prev = nil
	expect.Contains(t, a.fails(t, "CHECK", 7).Msg, "prevResult")
	a.prev = prev
}

// TestCheckBeforeAdd: CHECK fails because the attachment does not exist.
func TestCheckBeforeAdd(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	h.Oracle(nettest.CleanHost)
	a := on(h, h.Container("c"), cni.Network(cni.Conf{"prevResult": cni.Conf{"cniVersion": "1.1.0"}}))
	expect.Contains(t, a.drift(t), "there is no record of container "+a.id)
}

// picture returns the state of host and container as text, with the contents of files.
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

// TestCheckChangesNothing: a CHECK that succeeds leaves host, files and container exactly as they were.
//
// Claim: CHECK changes nothing
func TestCheckChangesNothing(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c := h.Container("c")
	a, _ := attach(t, h, c, full())
	before := picture(t, h, c)
	a.check(t)
	expect.Equal(t, "picture", picture(t, h, c), before)
}

// TestCheckWritesNoFile: strace shows that CHECK opens no file for writing except unnamed temporary files.
//
// Claim: CHECK changes nothing
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

// TestCheckIgnoresMACOfAdoptedBridge: its administrator may change it at any time.
func TestCheckIgnoresMACOfAdoptedBridge(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	adopted(t, h, "52:54:00:00:53:10")
	h.Allow("link br0 mac")
	h.Allow("fdb br0")
	a, _ := attach(t, h, h.Container("c"), cni.Network(cni.Conf{"bridge": "br0"}))
	ip(t, h.Netns, "link set br0 address 02:00:00:00:53:97")
	a.check(t)
}

// TestCheckNamesAllChanges: the first is in the message, the others are in the details.
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
	expect.Contains(t, e.Details, "is not a port of bridge cni0", "has lost the route 0.0.0.0/0 via 10.1.0.1")
}

// TestCheckOfAnotherInterface: prevResult belongs to another attachment.
func TestCheckOfAnotherInterface(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	a, _ := attach(t, h, h.Container("c"), cni.Network())
	a.ifname = "eth1"
	expect.Contains(t, a.drift(t), "there is no record of container "+a.id+" with eth1")
	a.ifname = "eth0"
}

// TestCheckByAnOlderCaller: the libcni of containerd 1.6 and Podman 4 drops the fields of CNI 1.1 from the result that
// it keeps. The configuration still has them, except for the metric of a second default route.
//
// Claim: CHECK accepts a result from which an older libcni has dropped the fields of CNI 1.1
func TestCheckByAnOlderCaller(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c := h.Container("c")
	fields := cni.IPAM(cni.Conf{"ranges": [][]cni.Conf{{{"subnet": "10.1.0.0/24"}}}, "routes": []cni.Conf{
		{"dst": "198.51.100.0/24", "mtu": 1400, "advmss": 1360, "priority": 7, "table": 100}, {"dst": "203.0.113.0/24", "scope": 253},
	}})
	first, _ := attach(t, h, c, cni.Network(cni.DefaultGateway(), fields))
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

// withoutFieldsOf11 returns a result as cni v1.1.2 decodes and encodes it.
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
