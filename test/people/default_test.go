package people

import (
	"strings"
	"sync"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/expect"
)

// TestDefaultSubnet is the first of the list that no route of the host uses, in whatever table, of
// whatever kind, and however short; but not so short that it is a default route in disguise.
func TestDefaultSubnet(t *testing.T) {
	t.Parallel()
	const first, second = "10.77.0.2/24", "10.177.0.2/24"
	for name, tt := range map[string]struct{ route, want string }{
		"the subnet itself":    {"10.77.0.0/24 dev lo", second},
		"all around it":        {"10.64.0.0/11 dev lo", second},
		"a part of it":         {"10.77.0.128/25 dev lo", second},
		"one address":          {"10.77.0.9 dev lo", second},
		"another table":        {"10.77.0.0/24 dev lo table 77", second},
		"a blackhole":          {"blackhole 10.77.0.0/24", second},
		"two of the list":      {"10.0.0.0/8 dev lo", "172.28.77.2/24"},
		"a neighbouring one":   {"10.77.1.0/24 dev lo", first},
		"half of the internet": {"0.0.0.0/1 dev lo", first},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLaptop(t)
			l.Run(t, "ip", append([]string{"route", "add"}, strings.Fields(tt.route)...)...)
			l.Baseline()
			expect.Contains(t, l.ok(t, "up", "web"), tt.want)
			l.ok(t, "down", "web")
		})
	}
}

// TestDefaultSubnetStays as long as the bridge does, whatever routes come.
func TestDefaultSubnetStays(t *testing.T) {
	t.Parallel()
	l := newLaptop(t)
	l.Run(t, "ip", "route", "add", "10.77.0.0/24", "dev", "lo")
	l.Baseline()
	expect.Contains(t, l.ok(t, "up", "web"), "10.177.0.2/24")
	l.Run(t, "ip", "route", "del", "10.77.0.0/24", "dev", "lo")
	l.Run(t, "ip", "route", "add", "10.177.0.0/16", "dev", "lo")
	expect.Contains(t, l.ok(t, "up", "db"), "10.177.0.3/24")
	l.ok(t, "down", "web")
	l.ok(t, "down", "db")
	expect.Contains(t, l.ok(t, "up", "late"), "10.177.0.4/24")
	l.ok(t, "down", "late")
	l.Run(t, "ip", "link", "del", "patchbay0")
	expect.Contains(t, l.ok(t, "up", "anew"), "10.77.0.2/24")
	l.ok(t, "down", "anew")
	l.Run(t, "ip", "link", "del", "patchbay0")
	l.Run(t, "ip", "route", "del", "10.177.0.0/16", "dev", "lo")
	l.Run(t, "ip", "route", "add", "10.77.0.0/24", "dev", "lo")
}

// TestDefaultSubnetOfABridgeThatIsMadeJustNow: between the look at its addresses and the one at the
// routes it has got one. Its own route is no reason to take another subnet.
func TestDefaultSubnetOfABridgeThatIsMadeJustNow(t *testing.T) {
	t.Parallel()
	l := newLaptop(t)
	l.Bridge("patchbay0")
	l.Run(t, "ip", "route", "add", "10.77.0.0/24", "dev", "patchbay0", "metric", "7")
	l.Baseline()
	expect.Contains(t, l.ok(t, "up", "web"), "10.77.0.2/24")
	l.ok(t, "down", "web")
}

// TestNoSubnetIsLeft says so, with the list.
func TestNoSubnetIsLeft(t *testing.T) {
	t.Parallel()
	l := newLaptop(t)
	for _, subnet := range []string{"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"} {
		l.Run(t, "ip", "route", "add", subnet, "dev", "lo")
	}
	l.Baseline()
	l.refused(t, []string{"this host has routes to all of 10.77.0.0/24, ", "put a network with another subnet into"}, "up", "web")
	expect.Equal(t, "namespaces", l.pins(t), []string{})
}

// TestFirstUpsAtOnce agree on one subnet, although each looks for a free one while others make it.
func TestFirstUpsAtOnce(t *testing.T) {
	t.Parallel()
	l := newLaptop(t)
	names := []string{"a", "b", "c", "d", "e", "f", "g", "h"}
	var all sync.WaitGroup
	answers := make([]answer, len(names))
	for i, name := range names {
		cmd := l.command(t, "up", name)
		all.Add(1)
		go func() {
			defer all.Done()
			answers[i] = finish(t, cmd)
		}()
	}
	all.Wait()
	for i, a := range answers {
		if a.exit != 0 || !strings.Contains(a.stdout, " 10.77.0.") {
			t.Errorf("up %s: exit %d, %s%s", names[i], a.exit, a.stdout, a.stderr)
		}
		l.ok(t, "down", names[i])
	}
}

// TestConfiguredNetworks: the only one is taken, of several one has to be named, and the default has
// its name beside them.
func TestConfiguredNetworks(t *testing.T) {
	t.Parallel()
	l := newLaptop(t)
	l.network(t, "blue", "blue0", map[string]string{"subnet": "10.1.0.0/24"})
	expect.Contains(t, l.ok(t, "up", "web"), "eth0 10.1.0.2/24, bridge blue0, network blue")
	l.network(t, "green", "green0", map[string]string{"subnet": "10.2.0.0/24"})
	l.refused(t, []string{"there are blue, green in " + l.conf + ": say which with --network"}, "up", "db")
	l.refused(t, []string{`no such network as "gren"`, "there are blue, green in", "patchbay needs no file", "did you mean green?"}, "up", "db", "--network", "gren")
	l.refused(t, []string{`no such network as "gren"`, "blue, green"}, "ls", "--network", "gren")
	l.refused(t, []string{`no such network as "gren"`, "blue, green"}, "gc", "--network", "gren")
	expect.Contains(t, l.ok(t, "attach", "web", "--network=green", "--ifname", "eth1"), "web: eth1 10.2.0.2/24, bridge green0, network green")
	expect.Contains(t, l.ok(t, "up", "db", "--network", "patchbay"), "10.77.0.2/24, bridge patchbay0")
	expect.Equal(t, "attachments of green", len(l.list(t, "--network", "green")), 1)
	expect.Equal(t, "attachments", len(l.list(t)), 3)
	expect.Contains(t, l.ok(t, "down", "web"), "eth0 is off network blue", "eth1 is off network green")
	l.ok(t, "down", "db")
}

// TestLANIsNotGivenAway: br0 has a port that leads out of the host. Addresses of the LAN's subnet go
// to nobody unless they are asked for, or the network's file says which part is for containers.
func TestLANIsNotGivenAway(t *testing.T) {
	t.Parallel()
	l := newLaptop(t)
	l.LAN(t)
	l.network(t, "whole", "br0", map[string]string{"subnet": "192.0.2.0/24", "gateway": nettest.LANRouter4})
	refusal := []string{"bridge br0 has a port that leads out of this host, eth0", "no address there unasked", "--ip", "DHCP", "rangeStart", "bridge of its own"}
	l.refused(t, append(refusal, "network whole would give away all of 192.0.2.0/24"), "up", "web", "--network", "whole")
	l.refused(t, append(refusal, "no network is configured as br0"), "up", "web", "--network", "br0")
	expect.Equal(t, "namespaces", l.pins(t), []string{})
	expect.Contains(t, l.ok(t, "up", "web", "--network", "whole", "--ip", "192.0.2.50"), "192.0.2.50/24, bridge br0")
	l.network(t, "part", "br0", map[string]string{"subnet": "192.0.2.0/24", "gateway": nettest.LANRouter4, "rangeStart": "192.0.2.100", "rangeEnd": "192.0.2.120"})
	expect.Contains(t, l.ok(t, "up", "db", "--network", "part"), "192.0.2.100/24, bridge br0")
	expect.Contains(t, l.ok(t, "up", "nat", "--network", "patchbay"), "10.77.0.2/24, bridge patchbay0")
	l.ping(t, "web", "192.0.2.100")
	for _, name := range []string{"web", "db", "nat"} {
		l.ok(t, "down", name)
	}
}

// TestBridgeOfSomebodyElse: with --ip a namespace becomes a machine of br0's LAN, by the host's own
// subnet and router; never with an address that the host or the router has.
func TestBridgeOfSomebodyElse(t *testing.T) {
	t.Parallel()
	l := newLaptop(t)
	lan := l.LAN(t)
	expect.Equal(t, "what up says", l.ok(t, "up", "web", "--network", "br0", "--ip", "192.0.2.60"), "web: eth0 192.0.2.60/24, bridge br0, network br0\n")
	l.ping(t, "web", nettest.LANRouter4)
	l.ping(t, "web", nettest.LANOutside4)
	if err := lan.Neighbour("neighbour", "192.0.2.20/24").PingOnce(addr("192.0.2.60")); err != nil {
		t.Error(err)
	}
	l.refused(t, []string{nettest.LANHost4}, "up", "db", "--network", "br0", "--ip", nettest.LANHost4)
	l.refused(t, []string{nettest.LANRouter4}, "up", "db", "--network", "br0", "--ip", nettest.LANRouter4)
	l.refused(t, []string{"10.1.0.1 is in none of the network's ranges"}, "up", "db", "--network", "br0", "--ip", "10.1.0.1")
	l.ok(t, "down", "web")
	l.Bridge("bare")
	l.refused(t, []string{"bridge bare has no IPv4 address"}, "up", "db", "--network", "bare", "--ip", "10.1.0.1")
	l.refused(t, []string{"bridge bare was not made for a network of patchbay"}, "up", "db", "--network", "bare")
}
