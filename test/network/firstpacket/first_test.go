// Package firstpacket tests that a container is reachable, and reaches others, as soon as ADD has returned: in 100 of 100 runs one echo request
// gets one reply. It does not wait between the two.
package firstpacket

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// rounds is the number of attachments.
func rounds() int { return expect.Rounds(100) }

// lost is the time after which a reply counts as lost. It is shorter than the interval between neighbour solicitations: a second one would
// hide that the first was lost. The kernel's interval of 1000 ms (RFC 4861 section 10, RFC 1122) is too short for an emulated CPU, which may
// need as long for a reply; the interfaces that send have a longer one.
const (
	lost     = 9 * time.Second
	interval = "10000" // milliseconds
)

// solicitRarely sets the interval of an interface.
func solicitRarely(n *nettest.Netns, link string) {
	for _, family := range []string{"ipv4", "ipv6"} {
		n.SetSysctl("net/"+family+"/neigh/"+link+"/retrans_time_ms", interval)
	}
}

func config(gateway bool) cni.Conf {
	return cni.Network(cni.Conf{"cniVersion": "1.0.0", "name": "first", "bridge": "br0", "isDefaultGateway": gateway}, cni.IPAM(cni.Conf{"ranges": [][]cni.Conf{
		{{"subnet": "192.0.2.0/24", "rangeStart": "192.0.2.20"}},
		{{"subnet": "2001:db8:0:1::/64", "rangeStart": "2001:db8:0:1::1000"}},
	}}))
}

const (
	host4, host6           = "192.0.2.1", "2001:db8:0:1::1"
	neighbour4, neighbour6 = "192.0.2.2", "2001:db8:0:1::2"
)

// Claim: The first packet right after ADD arrives, in 100 of 100 runs, with one reply per echo request
func TestFirstPacketOnANewBridge(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	first := h.Container("first")
	add(t, h, first, true) // creates the bridge for the neighbour
	del(t, h, first, true)
	run(t, h, plugNeighbour(h), true)
}

// Claim: The first packet right after ADD arrives, in 100 of 100 runs, with one reply per echo request
func TestFirstPacketOnAnAdoptedBridge(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	h.Bridge("br0", host4+"/24", host6+"/64")
	run(t, h, plugNeighbour(h), false)
}

// Claim: The first packet right after ADD arrives, in 100 of 100 runs, with one reply per echo request
func TestFirstPacketOnABridgeWith300Ports(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	h.Bridge("br0", host4+"/24", host6+"/64")
	addPorts(h, 300)
	neighbour := plugNeighbour(h)
	solicits := h.Tcpdump(t, "br0", "icmp6[0] == 133", "and not ether src", h.MAC("br0"), "and not ether src", neighbour.MAC("eth0"))
	run(t, h, neighbour, false)
	if lines := solicits.Stop(t); len(lines) > 0 {
		t.Errorf("the other ports send %d router solicitations, the first:\n%s", len(lines), lines[0])
	}
}

// addPorts adds n bridge ports with peers in a container that does not solicit routers, as one that
// ADD gave an IPv6 address does not. Otherwise all of them would, and again 4 seconds later: each packet
// is then n in the backlog of one CPU, which holds 1000 (net.core.netdev_max_backlog) and drops
// further packets of every namespace: concurrent tests would lose packets.
func addPorts(h *nettest.Node, n int) {
	others := h.Container("crowd")
	others.SetSysctl("net/ipv6/conf/default/accept_ra", "0")
	for i := range n {
		name := fmt.Sprintf("port%d", i)
		h.Veth(name, others.Netns, name)
		h.Plug(name, "br0")
	}
}

// TestFirstPacketWithSnoopingAndAQuerier: a bridge with multicast snooping and a querier forwards a neighbour solicitation only to ports with a
// listener report. A plain veth pair loses 4 of 60 first packets here, because the solicitation comes before the kernel's report. Patchbay sends
// a report before ADD returns.
//
// Claim: The first packet right after ADD arrives, in 100 of 100 runs, with one reply per echo request
func TestFirstPacketWithSnoopingAndAQuerier(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	h.Bridge("br0", host4+"/24", host6+"/64")
	neighbour := plugNeighbour(h)
	query(t, h, neighbour)
	run(t, h, neighbour, false)
}

// query makes the bridge an active querier, and checks it: a solicitation for an unused address must not reach the neighbour any more.
func query(t *testing.T, h *nettest.Node, neighbour *nettest.Netns) {
	t.Helper()
	capture := neighbour.Capture(t, "eth0")
	// In centiseconds. The interval applies when the querier starts, so it must be set first.
	h.Run(t, "ip", "link", "set", "br0", "type", "bridge", "mcast_snooping", "1", "mcast_mld_version", "2",
		"mcast_query_response_interval", "10", "mcast_startup_query_interval", "10")
	h.Run(t, "ip", "link", "set", "br0", "type", "bridge", "mcast_querier", "1")
	h.Baseline()
	queries := func(f nettest.Frame) bool { return f.Kind == nettest.MLDQuery && f.Dst.Is6() }
	if err := capture.Wait(2, 10*time.Second, queries); err != nil {
		t.Fatalf("the bridge does not query: %v", err)
	}
	capture.Stop(t)
	for try := range 20 {
		unused := netip.MustParseAddr(fmt.Sprintf("2001:db8:0:1::f00:%x", try+1))
		capture := neighbour.Capture(t, "eth0")
		h.Ping(unused, nettest.PingOptions{Timeout: 100 * time.Millisecond})
		if len(capture.Stop(t).Of(nettest.Solicit)) == 0 {
			return
		}
	}
	t.Fatal("the bridge floods solicitations: multicast snooping is not active")
}

// plugNeighbour adds a machine to the bridge, without Patchbay.
func plugNeighbour(h *nettest.Node) *nettest.Netns {
	n := h.Container("neighbour")
	h.Veth("nb0", n.Netns, "eth0")
	h.Plug("nb0", "br0")
	n.AddAddress("eth0", neighbour4+"/24", neighbour6+"/64")
	h.Baseline()
	return n.Netns
}

// run attaches a container and pings immediately, in one of four directions, over both families. tcpdump on the bridge, which it sets
// promiscuous, counts requests and replies: one each.
func run(t *testing.T, h *nettest.Node, neighbour *nettest.Netns, gateway bool) {
	t.Helper()
	const echoes = "icmp[0] == 8 or icmp[0] == 0 or icmp6[0] == 128 or icmp6[0] == 129"
	dump := h.Tcpdump(t, "br0", echoes)
	for i := range rounds() {
		c := h.Container(fmt.Sprintf("c%d", i))
		addrs := add(t, h, c, gateway)
		ping(t, h.Netns, neighbour, c.Netns, addrs, i)
		del(t, h, c, gateway)
		c.Delete()
	}
	lines := dump.Stop(t)
	requests, replies := count(lines, "echo request"), count(lines, "echo reply")
	if requests != 2*rounds() || replies != 2*rounds() {
		t.Errorf("tcpdump counted %d requests and %d replies, want %d of each", requests, replies, 2*rounds())
	}
	t.Logf("%d attachments: %d echo requests, %d replies", rounds(), requests, replies)
}

// ping pings from the host, from the neighbour, or from the container to either of them, in turn; the first family alternates too.
func ping(t *testing.T, host, neighbour, c *nettest.Netns, addrs [2]netip.Addr, i int) {
	t.Helper()
	from, to, link := host, addrs, "eth0"
	switch i % 4 {
	case 0:
		link = "br0"
	case 1:
		from = neighbour
	case 2:
		from, to = c, [2]netip.Addr{netip.MustParseAddr(host4), netip.MustParseAddr(host6)}
	case 3:
		from, to = c, [2]netip.Addr{netip.MustParseAddr(neighbour4), netip.MustParseAddr(neighbour6)}
	}
	solicitRarely(from, link)
	for n := range 2 {
		dst, dropped := to[(n+i/4)%2], backlogDrops(t)
		if r := from.Ping(dst, nettest.PingOptions{Timeout: lost}); !r.OK() {
			t.Errorf("round %d, %s pings %s: %s; in that time the CPUs dropped %d packets of all namespaces at full backlogs",
				i, from.Name(), dst, r, backlogDrops(t)-dropped)
		}
	}
}

func add(t *testing.T, h *nettest.Node, c *nettest.Container, gateway bool) [2]netip.Addr {
	t.Helper()
	return [2]netip.Addr(cni.Addresses(cni.Add(t, h, c, config(gateway)).Result(t)))
}

func del(t *testing.T, h *nettest.Node, c *nettest.Container, gateway bool) {
	t.Helper()
	cni.Del(t, h, c, config(gateway))
}

func count(lines []string, what string) int {
	n := 0
	for _, line := range lines {
		if strings.Contains(line, what) {
			n++
		}
	}
	return n
}
