// Package firstpacket shows that a container can be reached, and can reach others, the moment
// ADD has returned: 100 of 100, one echo and one reply. It never waits between the two.
package firstpacket

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

const rounds = 100

// lost is when a reply is missing: before the kernel would solicit a neighbour a second time
// (after 1000 ms, RFC 4861 section 10, RFC 1122), which would hide that the first was lost.
const lost = 900 * time.Millisecond

const config = `{
  "cniVersion": "1.0.0", "name": "first", "type": "patchbay", "bridge": "br0", "isDefaultGateway": %t,
  "ipam": {"type": "patchbay", "ranges": [
    [{"subnet": "192.0.2.0/24", "rangeStart": "192.0.2.20"}],
    [{"subnet": "2001:db8:0:1::/64", "rangeStart": "2001:db8:0:1::1000"}]]}
}`

const (
	host4, host6           = "192.0.2.1", "2001:db8:0:1::1"
	neighbour4, neighbour6 = "192.0.2.2", "2001:db8:0:1::2"
)

func TestFirstPacketOnANewBridge(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	first := h.Container("first")
	add(t, h, first, true) // makes the bridge; the neighbour needs it
	del(t, h, first, true)
	run(t, h, plugNeighbour(h), true)
}

func TestFirstPacketOnAnAdoptedBridge(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	h.Bridge("br0", host4+"/24", host6+"/64")
	run(t, h, plugNeighbour(h), false)
}

func TestFirstPacketOnABridgeWith300Ports(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	h.Bridge("br0", host4+"/24", host6+"/64")
	plugCrowd(h, 300)
	neighbour := plugNeighbour(h)
	solicits := h.Tcpdump(t, "br0", "icmp6[0] == 133", "and not ether src", h.MAC("br0"), "and not ether src", neighbour.MAC("eth0"))
	run(t, h, neighbour, false)
	if lines := solicits.Stop(t); len(lines) > 0 {
		t.Errorf("the crowd is not quiet, it solicits routers %d times, the first:\n%s", len(lines), lines[0])
	}
}

// plugCrowd makes n ports with a container behind, which does not solicit routers, as one that
// ADD gave an IPv6 address does not. Else all of them do, and again 4 seconds later: each packet
// is then n in the backlog of one CPU, which holds 1000 (net.core.netdev_max_backlog) and drops
// what comes after, of whatever namespace. In that flood the tests beside this one lost packets.
func plugCrowd(h *nettest.Node, n int) {
	crowd := h.Container("crowd")
	crowd.SetSysctl("net/ipv6/conf/default/accept_ra", "0")
	for i := range n {
		name := fmt.Sprintf("port%d", i)
		h.Veth(name, crowd.Netns, name)
		h.Plug(name, "br0")
	}
}

// A bridge that snoops, with a querier, sends a neighbour solicitation only where a listener
// report has come from. A plain veth loses 4 of 60 first packets here: the kernel's report is
// overtaken by the solicitation. Patchbay sends one before ADD returns.
func TestFirstPacketWithSnoopingAndAQuerier(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	h.Bridge("br0", host4+"/24", host6+"/64")
	neighbour := plugNeighbour(h)
	query(t, h, neighbour)
	run(t, h, neighbour, false)
}

// query makes the bridge an active querier, and proves that it is: a solicitation for an
// address that nobody has must not reach the neighbour any more.
func query(t *testing.T, h *nettest.Node, neighbour *nettest.Netns) {
	t.Helper()
	capture := neighbour.Capture(t, "eth0")
	// In centiseconds. The interval counts from when the querier starts, so it comes first.
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
		nobody := netip.MustParseAddr(fmt.Sprintf("2001:db8:0:1::dead:%x", try+1))
		capture := neighbour.Capture(t, "eth0")
		h.Ping(nobody, nettest.PingOptions{Timeout: 100 * time.Millisecond})
		if len(capture.Stop(t).Of(nettest.Solicit)) == 0 {
			return
		}
	}
	t.Fatal("the bridge floods solicitations: it does not snoop")
}

// plugNeighbour is another machine on the bridge, plugged in by hand.
func plugNeighbour(h *nettest.Node) *nettest.Netns {
	n := h.Container("neighbour")
	h.Veth("nb0", n.Netns, "eth0")
	h.Plug("nb0", "br0")
	n.AddAddress("eth0", neighbour4+"/24", neighbour6+"/64")
	h.Baseline()
	return n.Netns
}

// run attaches a container and pings at once, in one of four directions, each family. tcpdump
// on the bridge, which it makes promiscuous, sees all of it and counts: one echo, one reply.
func run(t *testing.T, h *nettest.Node, neighbour *nettest.Netns, gateway bool) {
	t.Helper()
	const echoes = "icmp[0] == 8 or icmp[0] == 0 or icmp6[0] == 128 or icmp6[0] == 129"
	dump := h.Tcpdump(t, "br0", echoes)
	for i := range rounds {
		c := h.Container(fmt.Sprintf("c%d", i))
		addrs := add(t, h, c, gateway)
		ping(t, h.Netns, neighbour, c.Netns, addrs, i)
		del(t, h, c, gateway)
		c.Delete()
	}
	lines := dump.Stop(t)
	requests, replies := count(lines, "echo request"), count(lines, "echo reply")
	if requests != 2*rounds || replies != 2*rounds {
		t.Errorf("tcpdump counted %d requests and %d replies, want %d of each", requests, replies, 2*rounds)
	}
	t.Logf("%d attachments: %d echo requests, %d replies", rounds, requests, replies)
}

// ping goes from the host, from the neighbour, from the container to either of them, in turn;
// the family that goes first alternates too.
func ping(t *testing.T, host, neighbour, c *nettest.Netns, addrs [2]netip.Addr, i int) {
	t.Helper()
	from, to := host, addrs
	switch i % 4 {
	case 1:
		from = neighbour
	case 2:
		from, to = c, [2]netip.Addr{netip.MustParseAddr(host4), netip.MustParseAddr(host6)}
	case 3:
		from, to = c, [2]netip.Addr{netip.MustParseAddr(neighbour4), netip.MustParseAddr(neighbour6)}
	}
	for n := range 2 {
		dst, dropped := to[(n+i/4)%2], backlogDrops(t)
		if r := from.Ping(dst, nettest.PingOptions{Timeout: lost}); !r.OK() {
			t.Errorf("round %d, %s pings %s: %s; meanwhile the machine dropped %d packets of all namespaces at full backlogs",
				i, from.Name(), dst, r, backlogDrops(t)-dropped)
		}
	}
}

func add(t *testing.T, h *nettest.Node, c *nettest.Container, gateway bool) (addrs [2]netip.Addr) {
	t.Helper()
	result := h.CNI(t, call("ADD", c, gateway)).Result(t)
	for i, ip := range result.IPs {
		addr, _ := netip.AddrFromSlice(ip.Address.IP)
		addrs[i] = addr.Unmap()
	}
	return addrs
}

func del(t *testing.T, h *nettest.Node, c *nettest.Container, gateway bool) {
	t.Helper()
	h.CNI(t, call("DEL", c, gateway)).OK(t)
}

func call(command string, c *nettest.Container, gateway bool) nettest.Call {
	return nettest.Call{
		Command: command, ContainerID: c.ID(), Netns: c.Path(), IfName: "eth0",
		Config: fmt.Appendf(nil, config, gateway),
	}
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
