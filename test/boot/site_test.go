package boot

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
	"github.com/patchbay-cni/patchbay/test/kit/vm"
)

const (
	host4   = "192.0.2.10"
	router4 = "192.0.2.1"
	beyond4 = "198.51.100.1" // an address of the router on another link
)

// site is a machine with the plugin, whose eth0 leads to a router.
type site struct {
	*vm.Machine
	router *nettest.Container
	key    string // of root, for ssh
}

// newSite boots a machine, on which no program has configured the network yet.
func newSite(t *testing.T, taps ...string) *site {
	t.Helper()
	h := nettest.Host(t)
	h.NoOracle("the machine is what is tested; this host has only the router")
	s := &site{router: h.Container("router"), key: filepath.Join(t.TempDir(), "key")}
	h.Run(t, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", s.key)
	s.Machine = vm.Start(t, s.router.Netns, append([]string{"tap0"}, taps...)...)
	for _, line := range []string{"address add 192.0.2.1/24 dev tap0", "address add 198.51.100.1/32 dev lo", "link set tap0 up"} {
		s.router.Run(t, "ip", strings.Fields(line)...)
	}
	public, err := os.ReadFile(s.key + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	s.Write(t, "/root/.ssh/authorized_keys", "0600", public)
	program, err := os.ReadFile(nettest.Patchbay(t))
	if err != nil {
		t.Fatal(err)
	}
	s.Write(t, "/usr/local/bin/patchbay", "0755", program)
	return s
}

// state returns what ip(8) lists of the machine, without the timers of bridges.
func (s *site) state(t testing.TB) string {
	t.Helper()
	return s.Shell(t, `(ip -d address; ip route show table all; ip -6 route show table all; ip rule; ip -6 rule) | sed -E 's/_timer +[0-9.]+/_timer 0/g'`)
}

// unchanged requires a state, byte for byte.
func (s *site) unchanged(t testing.TB, when, before string) {
	t.Helper()
	expect.Equal(t, "state of the host "+when, strings.Split(s.state(t), "\n"), strings.Split(before, "\n"))
}

// isBridged requires that eth0 is a port of br0, which has its address and reaches the outside.
func (s *site) isBridged(t testing.TB) {
	t.Helper()
	expect.Contains(t, s.Run(t, "ip", "link", "show", "eth0"), " master br0 ")
	expect.Contains(t, s.Run(t, "ip", "-4", "address", "show", "br0"), "inet 192.0.2.10/24")
	expect.Equal(t, "IPv4 addresses of eth0", s.Run(t, "ip", "-4", "address", "show", "eth0"), "")
	expect.Contains(t, s.Run(t, "ip", "route", "show", "default"), "default via 192.0.2.1 dev br0 ")
	s.reaches(t)
}

// reaches requires that the machine reaches the router, and what is beyond it.
func (s *site) reaches(t testing.TB) {
	t.Helper()
	for _, to := range []string{router4, beyond4} {
		s.Run(t, "ping", "-c", "1", "-W", "5", to)
	}
}
