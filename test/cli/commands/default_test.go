package commands

import (
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/faults/stepper"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// TestDefaultSubnet: the first subnet of the list that overlaps no route of the host, of any table, type and prefix
// length, except routes so short that they are halves of a default route.
//
// Claim: The default network gets the first subnet that no route of any table uses, keeps it as long as its bridge exists, and concurrent
// first `up` commands agree on it
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

// TestDefaultSubnetStays: as long as the bridge exists, whatever routes are added.
//
// Claim: The default network gets the first subnet that no route of any table uses, keeps it as long as its bridge exists, and concurrent
// first `up` commands agree on it
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

// TestDefaultSubnetOfNewBridge: the bridge gets its address after up has read the addresses and before
// it reads the routes. The bridge's own route is no reason to choose another subnet.
//
// Claim: The default network gets the first subnet that no route of any table uses, keeps it as long as its bridge exists, and concurrent
// first `up` commands agree on it
func TestDefaultSubnetOfNewBridge(t *testing.T) {
	t.Parallel()
	l := newLaptop(t)
	l.Bridge("patchbay0")
	l.Run(t, "ip", "route", "add", "10.77.0.0/24", "dev", "patchbay0", "metric", "7")
	l.Baseline()
	expect.Contains(t, l.ok(t, "up", "web"), "10.77.0.2/24")
	l.ok(t, "down", "web")
}

// TestNoSubnetLeft: the error lists the subnets.
//
// Claim: The default network gets the first subnet that no route of any table uses, keeps it as long as its bridge exists, and concurrent
// first `up` commands agree on it
func TestNoSubnetLeft(t *testing.T) {
	t.Parallel()
	l := newLaptop(t)
	for _, subnet := range []string{"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"} {
		l.Run(t, "ip", "route", "add", subnet, "dev", "lo")
	}
	l.Baseline()
	l.refused(t, []string{"routes of this host overlap all of 10.77.0.0/24, ", "configure network patchbay with another subnet in"}, "up", "web")
	expect.Equal(t, "namespaces", l.pins(t), []string{})
}

// TestFirstUpsAtOnce: concurrent up commands use one subnet, although each looks for a free one while others create
// it.
//
// Claim: The default network gets the first subnet that no route of any table uses, keeps it as long as its bridge exists, and concurrent
// first `up` commands agree on it
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

// TestBridgeWhileRoutesAreRead: another up creates the bridge after this one has looked for it, and before it reads the routes.
//
// Claim: The default network gets the first subnet that no route of any table uses, keeps it as long as its bridge exists, and concurrent
// first `up` commands agree on it
func TestBridgeWhileRoutesAreRead(t *testing.T) {
	t.Parallel()
	l := newLaptop(t)
	up := stepper.Program{Path: nettest.Patchbay(t), Args: []string{"up", "web"}, Env: []string{"PATH=" + os.Getenv("PATH"), "NETCONFPATH=" + l.conf}}
	made := 0
	watch := func(s stepper.Step) stepper.Act {
		if s.After || made > 0 || !strings.Contains(s.Text, "GETROUTE") {
			return stepper.Go()
		}
		made++
		const bridge = "ip link add patchbay0 up type bridge && ip address add 10.77.0.1/24 dev patchbay0 && ip route add 10.77.0.0/24 dev patchbay0 metric 7"
		if out, err := exec.Command("sh", "-c", bridge).CombinedOutput(); err != nil { // on the thread of the host
			t.Errorf("%v: %s", err, out)
		}
		return stepper.Go()
	}
	var ending stepper.Ending
	l.Do(func() {
		var err error
		if ending, err = stepper.Run(up, watch); err != nil {
			t.Error(err)
		}
	})
	expect.Equal(t, "bridges made", made, 1)
	expect.Contains(t, string(ending.Stdout), "web: eth0 10.77.0.2/24, bridge patchbay0")
	l.ok(t, "down", "web")
	l.Run(t, "ip", "link", "del", "patchbay0")
}

// TestConfiguredNetworks: without --network the network is patchbay, whatever files exist; a file may configure it.
//
// Claim: With several networks configured one must be named; an error for an unknown one lists those that exist
func TestConfiguredNetworks(t *testing.T) {
	t.Parallel()
	l := newLaptop(t)
	l.network(t, "blue", "blue0", map[string]string{"subnet": "10.1.0.0/24"})
	expect.Contains(t, l.ok(t, "up", "web", "--network", "blue"), "eth0 10.1.0.2/24, bridge blue0, network blue")
	l.network(t, "green", "green0", map[string]string{"subnet": "10.2.0.0/24"})
	l.refused(t, []string{`no network or bridge "gren"; networks: blue, green, patchbay (built in); did you mean green?`}, "up", "db", "--network", "gren")
	l.refused(t, []string{`no network "gren"; networks: blue, green, patchbay (built in)`}, "ls", "--network", "gren")
	l.refused(t, []string{`no network "gren"; networks: blue, green, patchbay (built in)`}, "gc", "--network", "gren")
	expect.Contains(t, l.ok(t, "attach", "web", "--network=green", "--ifname", "eth1"), "web: eth1 10.2.0.2/24, bridge green0, network green")
	expect.Contains(t, l.ok(t, "up", "db"), "10.77.0.2/24, bridge patchbay0")
	expect.Equal(t, "attachments of green", len(l.list(t, "--network", "green")), 1)
	expect.Equal(t, "attachments", len(l.list(t)), 3)
	expect.Contains(t, l.ok(t, "down", "web"), "eth0 detached from network blue", "eth1 detached from network green")
	l.ok(t, "down", "db")
}

// TestLANAddressesOnlyOnRequest: br0 has an uplink. Addresses of the LAN's subnet are assigned only on request, or if the
// network's file has a range for containers.
//
// Claim: Addresses of a LAN are allocated only on request; with `--ip` a namespace is a host of br0's LAN
func TestLANAddressesOnlyOnRequest(t *testing.T) {
	t.Parallel()
	l := newLaptop(t)
	l.LAN(t)
	l.network(t, "whole", "br0", map[string]string{"subnet": "192.0.2.0/24", "gateway": nettest.LANRouter4})
	refusal := []string{"bridge br0 has the uplink eth0", "refusing to allocate from the LAN of this bridge", "--ip", "DHCP", "rangeStart", "bridge of its own"}
	l.refused(t, append(refusal, "network whole allocates from all of 192.0.2.0/24"), "up", "web", "--network", "whole")
	l.refused(t, append(refusal, "no network br0 is configured"), "up", "web", "--network", "br0")
	expect.Equal(t, "namespaces", l.pins(t), []string{})
	expect.Contains(t, l.ok(t, "up", "web", "--network", "whole", "--ip", "192.0.2.50"), "192.0.2.50/24, bridge br0")
	l.network(t, "part", "br0", map[string]string{"subnet": "192.0.2.0/24", "gateway": nettest.LANRouter4, "rangeStart": "192.0.2.100", "rangeEnd": "192.0.2.120"})
	expect.Contains(t, l.ok(t, "up", "db", "--network", "part"), "192.0.2.100/24, bridge br0")
	expect.Contains(t, l.ok(t, "up", "nat"), "10.77.0.2/24, bridge patchbay0")
	l.ping(t, "web", "192.0.2.100")
	for _, name := range []string{"web", "db", "nat"} {
		l.ok(t, "down", name)
	}
}

// TestUpOnForeignBridge: with --ip a namespace becomes a host of br0's LAN, with the host's subnet and router; up
// refuses the addresses of the host and of the router.
//
// Claim: Addresses of a LAN are allocated only on request; with `--ip` a namespace is a host of br0's LAN
func TestUpOnForeignBridge(t *testing.T) {
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
	l.refused(t, []string{"10.1.0.1 is outside of the network's ranges: 192.0.2.1-192.0.2.254"}, "up", "db", "--network", "br0", "--ip", "10.1.0.1")
	l.ok(t, "down", "web")
	l.warnsOfForwarding(t)
	l.Bridge("bare")
	l.refused(t, []string{"bridge bare has no IPv4 address"}, "up", "db", "--network", "bare", "--ip", "10.1.0.1")
	l.refused(t, []string{"bridge bare was not created by patchbay"}, "up", "db", "--network", "bare")
}

// warnsOfForwarding: on the bridge of a LAN ADD does not make the host a router, and published ports need one. up and attach warn.
func (l *laptop) warnsOfForwarding(t *testing.T) {
	t.Helper()
	l.SetSysctl("net/ipv4/ip_forward", "0")
	const warning = "patchbay: warning: IPv4 forwarding is disabled: the published ports of web are unreachable from outside; enable it: sysctl -w net.ipv4.ip_forward=1\n"
	args := []string{"web", "--network", "br0", "--ip", "192.0.2.60", "-p", "8080:80"}
	a := l.run(t, append([]string{"up"}, args...)...)
	expect.Equal(t, "up", a.stdout, "web: eth0 192.0.2.60/24, bridge br0, network br0, publishes 8080/tcp -> 80\n")
	expect.Equal(t, "up warns", a.stderr, warning)
	l.ok(t, "detach", "web")
	expect.Equal(t, "attach", l.run(t, append([]string{"attach"}, args...)...).stderr, warning)
	l.ok(t, "detach", "web")
	expect.Equal(t, "without ports", l.run(t, append([]string{"attach"}, args[:5]...)...).stderr, "")
	l.ok(t, "detach", "web")
	l.SetSysctl("net/ipv4/ip_forward", "1")
	l.ok(t, append([]string{"attach"}, args...)...)
	l.ok(t, "down", "web")
}
