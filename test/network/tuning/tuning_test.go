package tuning

import (
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

func everything() cni.Conf {
	return network(cni.Conf{"promisc": true, "allmulti": true, "txQLen": 500, "mtu": 1400, "mac": "02:00:00:00:53:01"}, sysctls(
		"net.ipv4.conf.IFNAME.arp_filter", "1", "net.core.somaxconn", "500", "net.ipv4.ip_local_port_range", "2000 3000", "net/ipv6/conf/IFNAME/accept_ra", "2",
	))
}

// TestSettings: each key has its effect in the container and none on the host, and CHECK reports each setting that has changed.
//
// Claim: The keys of tuning have their effect in the container, CHECK compares each, and the host's sysctls stay as they are
func TestSettings(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c := h.Container("c")
	host := h.Sysctl("net/core/somaxconn")
	a := attach(t, h, c, everything())
	promisc, allMulti, txQLen := a.link(t)
	expect.Equal(t, "promisc, allmulti", []bool{promisc, allMulti}, []bool{true, true})
	expect.Equal(t, "txqueuelen", txQLen, 500)
	expect.Equal(t, "MAC", c.MAC("eth0"), "02:00:00:00:53:01")
	for name, want := range map[string]string{
		"net/ipv4/conf/eth0/arp_filter": "1", "net/core/somaxconn": "500", "net/ipv4/ip_local_port_range": "2000\t3000", "net/ipv6/conf/eth0/accept_ra": "2",
		"net/ipv4/conf/lo/arp_filter": "0",
	} {
		expect.Equal(t, name, c.Sysctl(name), want)
	}
	expect.Equal(t, "somaxconn of the host", h.Sysctl("net/core/somaxconn"), host)
	a.passes(t)
	for _, change := range []struct{ do, undo, says string }{
		{"sysctl -qw net.core.somaxconn=7", "sysctl -qw net.core.somaxconn=500", "in the container net.core.somaxconn is 7, not 500"},
		{"sysctl -qw net.ipv4.conf.eth0.arp_filter=0", "sysctl -qw net.ipv4.conf.eth0.arp_filter=0x1", "in the container net.ipv4.conf.eth0.arp_filter is 0, not 1"},
		{"ip link set eth0 promisc off", "ip link set eth0 promisc on", "in the container promiscuous mode of eth0 is false, not true"},
		{"ip link set eth0 allmulticast off", "ip link set eth0 allmulticast on", "in the container all-multicast mode of eth0 is false, not true"},
		{"ip link set eth0 txqueuelen 77", "ip link set eth0 txqueuelen 500", "in the container the transmit queue length of eth0 is 77, not 500"},
	} {
		c.Run(t, "sh", "-c", change.do)
		a.drifts(t, change.says)
		c.Run(t, "sh", "-c", change.undo)
		a.passes(t)
	}
	a.detach(t)
}

// TestOtherPromiscuity: CHECK does not mistake a packet socket for the setting, nor demand that it is off where the key is absent.
func TestOtherPromiscuity(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c := h.Container("c")
	a := attach(t, h, c, network(cni.Conf{"promisc": false}))
	c.Run(t, "ip", "link", "set", "eth0", "promisc", "on")
	a.passes(t)
	a.detach(t)
}

// TestArgs: args.cni of one container precedes the network.
func TestArgs(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	own := cni.Args(cni.Conf{
		"promisc": false, "allmulti": false, "txQLen": 0, "mtu": 1300, "mac": "02:00:00:00:53:02",
		"sysctl": cni.Conf{"net.core.somaxconn": "600", "net.ipv4.conf.IFNAME.arp_ignore": "1"},
	})
	a := attach(t, h, h.Container("c"), everything().With(own))
	promisc, allMulti, txQLen := a.link(t)
	expect.Equal(t, "promisc, allmulti", []bool{promisc, allMulti}, []bool{false, false})
	expect.Equal(t, "txqueuelen", txQLen, 0)
	expect.Equal(t, "MAC", a.c.MAC("eth0"), "02:00:00:00:53:02")
	expect.Equal(t, "MTU", strings.Fields(a.c.Run(t, "ip", "-o", "link", "show", "eth0"))[4], "1300")
	expect.Equal(t, "somaxconn", a.c.Sysctl("net/core/somaxconn"), "600")
	expect.Equal(t, "arp_filter", a.c.Sysctl("net/ipv4/conf/eth0/arp_filter"), "1")
	expect.Equal(t, "arp_ignore", a.c.Sysctl("net/ipv4/conf/eth0/arp_ignore"), "1")
	a.passes(t)
	a.detach(t)
}

// TestOrder: a sysctl of the interface has the last word over one that sets all interfaces, whatever their names are.
//
// Claim: Sysctls of `sysctl` are written in one order: those of all interfaces before those of one
func TestOrder(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	for range 3 {
		a := attach(t, h, h.Container("c"), network(sysctls(
			"net.ipv4.ip_forward", "1", "net.ipv4.conf.IFNAME.forwarding", "0", "net.ipv4.conf.all.forwarding", "1",
		)))
		expect.Equal(t, "forwarding of eth0", a.c.Sysctl("net/ipv4/conf/eth0/forwarding"), "0")
		expect.Equal(t, "forwarding of lo", a.c.Sysctl("net/ipv4/conf/lo/forwarding"), "1")
		a.passes(t)
		a.detach(t)
		a.c.Delete()
	}
}

// TestKernelsValue: a value that the kernel rounds is a warning, and CHECK compares with the rounded one. One that can only be written
// has no value to compare.
func TestKernelsValue(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c := h.Container("c")
	conf := network(sysctls("net.ipv4.ip_local_reserved_ports", "90,80,70-75", "net.ipv4.route.flush", "1"))
	answer := cni.Add(t, h, c, conf)
	expect.Contains(t, string(answer.Stderr), `net.ipv4.ip_local_reserved_ports of the container is "70-75,80,90" after "90,80,70-75" was written`)
	a := &attached{h, c, conf.With(cni.Conf{"prevResult": answer.Result(t)})}
	a.passes(t)
	c.SetSysctl("net/ipv4/ip_local_reserved_ports", "80")
	a.drifts(t, "in the container net.ipv4.ip_local_reserved_ports is 80, not 70-75,80,90")
	a.detach(t)
}

// TestKeptInterfaceIsRestored: the interface that an earlier plugin of the list made has its settings back after DEL, from the record alone.
//
// Claim: DEL restores the settings of an interface that an earlier plugin made, also without a namespace and a configuration
func TestKeptInterfaceIsRestored(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c := h.Container("c")
	h.Veth("theirs", c.Netns, "eth0")
	c.Run(t, "ip", "link", "set", "eth0", "allmulticast", "on", "txqueuelen", "700")
	c.SetSysctl("net/ipv4/conf/eth0/arp_filter", "1")
	h.Baseline()
	prev := cni.Conf{"prevResult": cni.Conf{"cniVersion": "1.1.0", "interfaces": []cni.Conf{
		{"name": "theirs", "mac": h.MAC("theirs")}, {"name": "eth0", "mac": c.MAC("eth0"), "sandbox": c.Path()},
	}}}
	a := attach(t, h, c, network(cni.Conf{"promisc": true, "allmulti": false, "txQLen": 500}, sysctls("net.ipv4.conf.IFNAME.arp_filter", "0", "net.core.somaxconn", "500"), prev))
	promisc, allMulti, txQLen := a.link(t)
	expect.Equal(t, "promisc, allmulti", []bool{promisc, allMulti}, []bool{true, false})
	expect.Equal(t, "txqueuelen", txQLen, 500)
	expect.Equal(t, "arp_filter", c.Sysctl("net/ipv4/conf/eth0/arp_filter"), "0")
	a.passes(t)
	a.detach(t)
	promisc, allMulti, txQLen = a.link(t)
	expect.Equal(t, "promisc, allmulti after DEL", []bool{promisc, allMulti}, []bool{false, true})
	expect.Equal(t, "txqueuelen after DEL", txQLen, 700)
	expect.Equal(t, "arp_filter after DEL", c.Sysctl("net/ipv4/conf/eth0/arp_filter"), "1")
	expect.Equal(t, "somaxconn after DEL: of the container, not of the interface", c.Sysctl("net/core/somaxconn"), "500")
}
