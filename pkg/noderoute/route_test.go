package noderoute

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// open opens a table of a host with two other nodes on its LAN, at .20 and .21.
func open(t *testing.T) (*nettest.Node, *nettest.LAN, *Table) {
	t.Helper()
	nettest.Need(t, nettest.IPv6)
	h := nettest.Host(t)
	lan := h.LAN(t)
	var table *Table
	var err error
	h.Do(func() { table, err = Open() })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(table.Close)
	return h, lan, table
}

// listed returns the routes of List as text, sorted.
func listed(t *testing.T, table *Table) (lines []string) {
	t.Helper()
	routes, err := table.List()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range routes {
		lines = append(lines, fmt.Sprintf("%s via %s", r.Dst, r.Via))
	}
	slices.Sort(lines)
	return lines
}

// destinations of the tests: two nodes that may have them, in both families.
func pairs() [][3]string {
	return [][3]string{
		{"10.244.2.0/24", "192.0.2.20", "192.0.2.21"},
		{"fd00:10:244:2::/64", "2001:db8:0:1::20", "2001:db8:0:1::21"},
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestMove: a route is added, moved to another gateway, and deleted. At each step but the last the destination has a route.
//
// Claim: A route to another node is moved without a moment in which the destination has none
func TestMove(t *testing.T) {
	h, _, table := open(t)
	for _, p := range pairs() {
		dst, first, second := netip.MustParsePrefix(p[0]), netip.MustParseAddr(p[1]), netip.MustParseAddr(p[2])
		uses := func(want ...netip.Addr) {
			t.Helper()
			found, err := h.Netlink().RouteGet(dst.Addr().Next().AsSlice())
			if err != nil || len(found) != 1 {
				t.Fatalf("route of %s: %v, %v", dst, found, err)
			}
			if gw, _ := netip.AddrFromSlice(found[0].Gw); !slices.Contains(want, gw.Unmap()) {
				t.Errorf("%s by %s, want %s", dst, gw, want)
			}
		}
		must(t, table.Add(Route{Dst: dst, Via: first}))
		uses(first)
		if err := table.Add(Route{Dst: dst, Via: second}); !errors.Is(err, ErrTaken) {
			t.Errorf("a second Add: %v", err)
		}
		must(t, table.AddBeside(Route{Dst: dst, Via: second}))
		uses(first, second)
		if diff := cmp.Diff([]string{p[0] + " via " + p[1], p[0] + " via " + p[2]}, listed(t, table)); diff != "" {
			t.Errorf("during the move (-want +got):\n%s", diff)
		}
		must(t, table.Delete(Route{Dst: dst, Via: first}))
		uses(second)
		must(t, table.Delete(Route{Dst: dst, Via: first}))
		must(t, table.Delete(Route{Dst: dst, Via: second}))
		if rest := listed(t, table); rest != nil {
			t.Errorf("left: %q", rest)
		}
	}
}

// TestForeign: routes of other programs to the same destinations, with other metrics and in another table, are not listed, not replaced and
// not deleted, also if they have the same gateway.
//
// Claim: Routes of other programs to the pods of other nodes are never replaced or deleted
func TestForeign(t *testing.T) {
	h, _, table := open(t)
	for i, args := range [][]string{
		{"10.244.2.0/24", "via", "192.0.2.20", "proto", "static"},
		{"10.244.2.0/24", "via", "192.0.2.21", "proto", "112", "table", "77"},
		{"10.244.3.0/24", "via", "192.0.2.20", "metric", "50"},
		{"fd00:10:244:2::/64", "via", "2001:db8:0:1::20", "proto", "static"},
		{"fd00:10:244:3::/64", "via", "2001:db8:0:1::20", "metric", "50"},
	} {
		h.Run(t, "ip", append([]string{[]string{"-4", "-6"}[i/3], "route", "add"}, args...)...)
	}
	if got := listed(t, table); got != nil {
		t.Errorf("listed: %q", got)
	}
	h.Baseline() // from here on the leak check compares every route
	for _, p := range pairs() {
		dst, first, second := netip.MustParsePrefix(p[0]), netip.MustParseAddr(p[1]), netip.MustParseAddr(p[2])
		if err := table.Add(Route{Dst: dst, Via: second}); !errors.Is(err, ErrTaken) {
			t.Errorf("%s: %v", dst, err)
		}
		if protocol, err := table.Owner(dst); err != nil || protocol != unix.RTPROT_STATIC {
			t.Errorf("owner of %s: %d, %v", dst, protocol, err)
		}
		must(t, table.Delete(Route{Dst: dst, Via: first}))
		must(t, table.AddBeside(Route{Dst: dst, Via: second}))
		if got := listed(t, table); !slices.Contains(got, p[0]+" via "+p[2]) && dst.Addr().Is4() {
			t.Errorf("beside the other one: %q", got)
		}
		must(t, table.Delete(Route{Dst: dst, Via: second}))
	}
	for _, p := range pairs() {
		metric := netip.MustParsePrefix(strings.ReplaceAll(p[0], "244:2", "244:3"))
		if metric.Addr().Is4() {
			metric = netip.MustParsePrefix("10.244.3.0/24")
		}
		must(t, table.Add(Route{Dst: metric, Via: netip.MustParseAddr(p[2])}))
		must(t, table.Delete(Route{Dst: metric, Via: netip.MustParseAddr(p[2])}))
	}
	if protocol, err := table.Owner(netip.MustParsePrefix("10.244.9.0/24")); err != nil || protocol != 0 {
		t.Errorf("owner of nothing: %d, %v", protocol, err)
	}
}

// TestThroughDevice: a route through an interface by a gateway that is on no network of the host, and its move from a direct one and back.
// The IPv6 gateway is link-local.
func TestThroughDevice(t *testing.T) {
	h, _, table := open(t)
	h.Run(t, "ip", "link", "add", "d0", "up", "type", "bridge")
	device, err := h.Netlink().LinkByName("d0")
	must(t, err)
	gateways := []string{"10.244.2.0", "fe80::7"}
	for i, p := range pairs() {
		dst, direct := netip.MustParsePrefix(p[0]), Route{Dst: netip.MustParsePrefix(p[0]), Via: netip.MustParseAddr(p[1])}
		through := Route{Dst: dst, Via: netip.MustParseAddr(gateways[i]), Link: device.Attrs().Index}
		both := []string{p[0] + " via " + p[1], p[0] + " via " + gateways[i]}
		slices.Sort(both)
		must(t, table.Add(direct))
		must(t, table.AddBeside(through))
		if diff := cmp.Diff(both, listed(t, table)); diff != "" {
			t.Errorf("during the move (-want +got):\n%s", diff)
		}
		must(t, table.Delete(direct))
		must(t, table.AddBeside(direct))
		must(t, table.Delete(through))
		if diff := cmp.Diff([]string{p[0] + " via " + p[1]}, listed(t, table)); diff != "" {
			t.Errorf("after the move (-want +got):\n%s", diff)
		}
		must(t, table.Delete(direct))
	}
	for i, p := range pairs() {
		must(t, table.Add(Route{Dst: netip.MustParsePrefix(p[0]), Via: netip.MustParseAddr(gateways[i]), Link: device.Attrs().Index}))
	}
	h.Run(t, "ip", "link", "del", "d0")
	if rest := listed(t, table); rest != nil {
		t.Errorf("without the interface: %q", rest)
	}
}

// TestNotDirect: a gateway behind a router, and one that the host does not know, is refused.
func TestNotDirect(t *testing.T) {
	h, _, table := open(t)
	for _, p := range [][2]string{{"10.244.2.0/24", nettest.LANOutside4}, {"fd00:10:244:2::/64", nettest.LANOutside6}} {
		if err := table.Add(Route{Dst: netip.MustParsePrefix(p[0]), Via: netip.MustParseAddr(p[1])}); !errors.Is(err, ErrNotDirect) {
			t.Errorf("%s by %s: %v", p[0], p[1], err)
		}
	}
	h.Run(t, "ip", "route", "del", "default")
	if err := table.Add(Route{Dst: netip.MustParsePrefix("10.244.2.0/24"), Via: netip.MustParseAddr(nettest.LANOutside4)}); !errors.Is(err, ErrNotDirect) {
		t.Errorf("without a default route: %v", err)
	}
	h.Run(t, "ip", "route", "add", "default", "via", nettest.LANRouter4)
}

// TestDirect: to which addresses the host sends without a router.
func TestDirect(t *testing.T) {
	h, _, table := open(t)
	h.Run(t, "ip", "route", "add", "203.0.113.1/32", "dev", "br0")
	h.Run(t, "ip", "route", "add", "203.0.113.2/32", "via", "192.0.2.20")
	h.Run(t, "ip", "route", "add", "203.0.113.3/32", "via", "inet6", "2001:db8:0:1::20")
	h.Run(t, "ip", "route", "add", "unreachable", "203.0.113.4/32")
	h.Run(t, "ip", "route", "add", "blackhole", "203.0.113.5/32")
	h.Run(t, "ip", "route", "add", "unreachable", "2001:db8:5::/48")
	h.Baseline()
	for text, want := range map[string]bool{
		"192.0.2.20": true, "2001:db8:0:1::20": true, "203.0.113.1": true, nettest.LANHost4: false, nettest.LANHost6: false, nettest.LANOutside4: false,
		nettest.LANOutside6: false, "203.0.113.2": false, "203.0.113.3": false, "203.0.113.4": false, "203.0.113.5": false, "2001:db8:5::1": false,
	} {
		if got, err := table.Direct(netip.MustParseAddr(text)); err != nil || got != want {
			t.Errorf("%s: %t, %v; want %t", text, got, err, want)
		}
	}
	h.Run(t, "ip", "route", "del", "default")
	if got, err := table.Direct(netip.MustParseAddr(nettest.LANOutside4)); got || err != nil {
		t.Errorf("without a route: %t, %v", got, err)
	}
	h.Run(t, "ip", "route", "add", "default", "via", nettest.LANRouter4)
}

// TestFilter: the kernel itself selects the routes: of 600 routes it sends one.
//
// Claim: The routes to other nodes are listed by a dump that the kernel filters by protocol and table
func TestFilter(t *testing.T) {
	h, _, table := open(t)
	for i := range 300 {
		for _, r := range []netlink.Route{
			{Dst: ipNet(fmt.Sprintf("10.9.%d.0/24", i%250)), Gw: net.ParseIP("192.0.2.20"), Priority: 1 + i},
			{Dst: ipNet(fmt.Sprintf("fd00:9:%x::/64", i)), Gw: net.ParseIP("2001:db8:0:1::20")},
		} {
			must(t, h.Netlink().RouteAdd(&r))
		}
	}
	h.Baseline()
	for _, p := range pairs() {
		dst, via := netip.MustParsePrefix(p[0]), netip.MustParseAddr(p[1])
		must(t, table.Add(Route{Dst: dst, Via: via}))
		sent := 0
		for _, err := range table.socket.Execute(dump(familyOf(via))) {
			must(t, err)
			sent++
		}
		if got := listed(t, table); sent != 1 || len(got) != 1 {
			t.Errorf("family of %s: the kernel sent %d routes, listed %q", dst, sent, got)
		}
		must(t, table.Delete(Route{Dst: dst, Via: via}))
	}
}

func ipNet(text string) *net.IPNet {
	_, n, err := net.ParseCIDR(text)
	if err != nil {
		panic(err)
	}
	return n
}

// TestLinkOf: the interface of an address, in both families.
func TestLinkOf(t *testing.T) {
	h, _, table := open(t)
	bridge, err := h.Netlink().LinkByName("br0")
	must(t, err)
	for text, want := range map[string]int{
		nettest.LANHost4: bridge.Attrs().Index, nettest.LANHost6: bridge.Attrs().Index, "127.0.0.1": 1, "192.0.2.99": 0, "2001:db8::99": 0,
	} {
		if got, err := table.LinkOf(netip.MustParseAddr(text)); err != nil || got != want {
			t.Errorf("%s: interface %d, %v; want %d", text, got, err, want)
		}
	}
}
