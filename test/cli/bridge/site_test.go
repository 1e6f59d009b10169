package bridge

import (
	"bytes"
	"net/netip"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// TestMain runs more tests at once than there are processors, unless -parallel says otherwise.
func TestMain(m *testing.M) { expect.Main(m, 6) }

const (
	router4 = "192.0.2.1"
	router6 = "2001:db8::1"
	beyond4 = "198.51.100.1" // an address of the router on another link
	beyond6 = "2001:db8:1::1"
)

// site is a host whose only interface, eth0, leads to a router.
type site struct {
	*nettest.Node
	router *nettest.Container
	before string // the state of the host
}

// plain are the addresses and routes of every site.
func plain() []string {
	return []string{
		"ip address add 192.0.2.10/24 brd + dev eth0",
		"ip address add 2001:db8::10/64 dev eth0 nodad",
		"ip route add default via 192.0.2.1",
		"ip -6 route add default via 2001:db8::1",
	}
}

// rich is the state of a host with something of every kind.
func rich() []string {
	return []string{
		"ip address add 192.0.2.10/24 brd + dev eth0",
		"ip address add 192.0.2.11/24 dev eth0 label eth0:1",
		"ip address add 192.0.2.12/32 dev eth0 scope link",
		"ip address add 10.5.0.1/24 dev eth0 noprefixroute",
		"ip address add 10.7.0.1 peer 10.7.0.2/32 dev eth0",
		"ip address add 2001:db8::12/64 dev eth0",
		"ip address add 2001:db8::10/64 dev eth0 nodad",
		"ip address add 2001:db8:5::1/64 dev eth0 nodad noprefixroute",
		"ip address add fe80::77/64 dev eth0 nodad",
		"ip route add default via 192.0.2.1 src 192.0.2.11 metric 100 proto dhcp mtu lock 1400 advmss 1300",
		"ip route add default via 192.0.2.2 metric 200",
		"ip route add 10.5.0.0/24 dev eth0 proto kernel scope link src 10.5.0.1 metric 100",
		"ip route add 10.6.0.0/16 via 10.9.9.9 dev eth0 onlink table 77",
		"ip route add 10.8.0.0/16 nexthop via 192.0.2.1 weight 2 nexthop via 192.0.2.2",
		"ip route add 10.9.0.0/16 dev eth0 tos 0x10",
		"ip -6 route add default via 2001:db8::1 src 2001:db8::10 metric 512 mtu 1400",
		"ip -6 route add 2001:db8:6::/48 via fe80::78 dev eth0 table 78",
		"ip -6 route add 2001:db8:7::/48 nexthop via 2001:db8::1 nexthop via 2001:db8::2",
		"ip rule add iif eth0 lookup 77 priority 1000",
		"ip rule add from 10.9.0.0/16 lookup 78 priority 1000",
		"ip rule add not fwmark 3 oif eth0 lookup 77 priority 1000",
		"ip rule add from 10.9.1.0/24 lookup 78 priority 1000",
		"ip -6 rule add iif eth0 lookup 78 priority 2000",
	}
}

// newSite creates a host with a state, which becomes its baseline.
func newSite(t *testing.T, state []string) *site {
	t.Helper()
	h := nettest.Host(t)
	s := &site{Node: h, router: h.Container("router")}
	for _, n := range []*nettest.Netns{h.Netns, s.router.Netns} {
		n.SetSysctl("net/ipv6/conf/default/accept_dad", "0")
	}
	h.Veth("eth0", s.router.Netns, "lan")
	h.SetSysctl("net/ipv6/conf/eth0/accept_dad", "1")
	s.addRouter(t)
	s.apply(t, state)
	h.Settle("eth0")
	s.reached(t)
	h.Baseline()
	s.before = s.state(t)
	return s
}

// addRouter gives the router its addresses, those that it has lost.
func (s *site) addRouter(t testing.TB) {
	t.Helper()
	for _, line := range []string{
		"192.0.2.1/24 dev lan", "192.0.2.2/24 dev lan", "2001:db8::1/64 dev lan nodad", "2001:db8::2/64 dev lan nodad", "fe80::78/64 dev lan nodad",
		"198.51.100.1/32 dev lo", "10.9.9.9/32 dev lo", "2001:db8:1::1/128 dev lo nodad",
	} {
		s.router.Run(t, "ip", append([]string{"address", "replace"}, strings.Fields(line)...)...)
	}
}

// apply runs commands on the host.
func (s *site) apply(t testing.TB, lines []string) {
	t.Helper()
	for _, line := range lines {
		s.Run(t, strings.Fields(line)[0], strings.Fields(line)[1:]...)
	}
}

// state returns what ip(8) lists of the host.
func (s *site) state(t testing.TB) string {
	t.Helper()
	const list = "ip -d address; ip route show table all; ip -6 route show table all; ip rule; ip -6 rule"
	return timers.ReplaceAllString(s.Run(t, "sh", "-c", list), "_timer")
}

// timers are what of a bridge and its ports changes by itself.
var timers = regexp.MustCompile(`_timer +[0-9.]+`)

// unchanged requires the state of the beginning, byte for byte.
func (s *site) unchanged(t testing.TB) {
	t.Helper()
	expect.Equal(t, "state of the host", strings.Split(s.state(t), "\n"), strings.Split(s.before, "\n"))
}

// reached requires that the router answers, by both families.
func (s *site) reached(t testing.TB) {
	t.Helper()
	for _, addr := range []string{router4, router6, beyond4, beyond6} {
		if r := s.Ping(netip.MustParseAddr(addr), nettest.PingOptions{Count: 2}); r.Received == 0 {
			t.Errorf("%s is not reached: %s", addr, r)
		}
	}
}

// isBridged requires that eth0 is a port of br0, which has the addresses.
func (s *site) isBridged(t testing.TB) {
	t.Helper()
	expect.Contains(t, s.Run(t, "ip", "address", "show", "dev", "eth0"), " master br0 ", "inet6 fe80::")
	expect.Contains(t, s.Run(t, "ip", "address", "show", "dev", "br0"), "inet 192.0.2.10/24", "inet6 2001:db8::10/64")
	if has := s.Run(t, "ip", "-4", "route", "show", "table", "all", "dev", "eth0"); has != "" {
		t.Errorf("eth0 still has routes:\n%s", has)
	}
}

// answer is the output of a command and its exit code.
type answer struct {
	exit           int
	stdout, stderr string
}

// patchbay runs the program.
func (s *site) patchbay(t testing.TB, args ...string) answer {
	t.Helper()
	cmd := s.Command(nettest.Patchbay(t), args...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return answer{cmd.ProcessState.Sys().(syscall.WaitStatus).ExitStatus(), stdout.String(), stderr.String()}
}

// ok requires success, and returns stdout.
func (s *site) ok(t testing.TB, args ...string) string {
	t.Helper()
	a := s.patchbay(t, args...)
	if a.exit != 0 || a.stderr != "" {
		t.Fatalf("patchbay %s: exit %d\n%s%s", strings.Join(args, " "), a.exit, a.stdout, a.stderr)
	}
	return a.stdout
}

// refused requires exit code 1, one sentence with these parts, and that nothing was changed.
func (s *site) refused(t testing.TB, args string, parts ...string) {
	t.Helper()
	before := s.state(t)
	a := s.patchbay(t, strings.Fields(args)...)
	if a.exit != 1 || a.stdout != "" || strings.Count(a.stderr, "\n") != 1 {
		t.Errorf("patchbay %s: exit %d\n%s%s", args, a.exit, a.stdout, a.stderr)
	}
	expect.Contains(t, a.stderr, parts...)
	expect.Equal(t, "state after "+args, s.state(t), before)
}

func writeFile(t testing.TB, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Error(err)
	}
}
