package foreign

import (
	"net/netip"
	"path/filepath"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/expect"
)

const socket = "/run/dhcp.sock"

// home is the origin's home network: its router gives addresses, and the host's br0 has its network card as a port.
func home(t *testing.T) (*nettest.Node, *nettest.LAN) {
	t.Helper()
	h := nettest.Host(t)
	lan := h.LAN(t)
	lan.DHCPServer(t)
	h.DHCPDaemon(t, socket, "-timeout 5s")
	return h, lan
}

// leased is a container of that host, not yet attached.
func leased(t *testing.T, h *nettest.Node, name string) *scene {
	t.Helper()
	return on(t, h, h.Container(name), network(conf{"type": "dhcp", "daemonSocketPath": socket}, conf{"bridge": "br0"}))
}

// TestDHCP: the router of the home network gives a container its address, and the container is a machine of that network.
func TestDHCP(t *testing.T) {
	t.Parallel()
	h, lan := home(t)
	forward := h.Sysctl("net/ipv4/ip_forward")
	a, b := leased(t, h, "a"), leased(t, h, "b")
	for _, s := range []*scene{a, b} {
		r := s.add()
		addr, _ := netip.AddrFromSlice(r.IPs[0].Address.IP)
		if addr = addr.Unmap(); addr.Less(netip.MustParseAddr("192.0.2.100")) || netip.MustParseAddr("192.0.2.150").Less(addr) {
			t.Errorf("%s has the address %v, which dnsmasq does not give", s.c.Name(), addr)
		}
		expect.Equal(t, "in the container", addressesOf(s.c.Netns), []string{addr.String() + "/24"})
		expect.Contains(t, s.c.Run(t, "ip", "route"), "default via 192.0.2.1 dev eth0")
		ping(t, s.c.Netns, nettest.LANOutside4)
		ping(t, lan.Outside, addr.String())
		s.ok("CHECK")
	}
	if ips(a.result())[0] == ips(b.result())[0] {
		t.Errorf("both have %v", ips(a.result()))
	}
	ping(t, a.c.Netns, strings.TrimSuffix(ips(b.result())[0], "/24"))
	for _, s := range []*scene{a, b} {
		s.ok("DEL")
		s.ok("DEL")
	}
	expect.Equal(t, "ip_forward", h.Sysctl("net/ipv4/ip_forward"), forward)
	a.nothingLeft()
}

// TestDHCPAfterTheSandbox: it is gone before DEL, as after a crash of the runtime.
func TestDHCPAfterTheSandbox(t *testing.T) {
	t.Parallel()
	h, _ := home(t)
	s := leased(t, h, "a")
	s.add()
	s.c.Delete()
	s.ok("DEL")
	s.nothingLeft()
}

// TestDHCPWithoutServer: nobody answers, the daemon gives up, and the ADD is undone.
func TestDHCPWithoutServer(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	h.Bridge("br0")
	h.DHCPDaemon(t, socket, "-timeout 100ms -resendmax 100ms -resendtimeout 300ms")
	s := leased(t, h, "a")
	expect.Contains(t, s.run("ADD").Error(t).Msg, "IPAM plugin dhcp ("+filepath.Join(s.bin, "dhcp")+"): ", "no more tries")
	s.nothingLeft()
	s.ok("DEL")
}

// TestDHCPWithoutDaemon: the sentence is the plugin's own.
func TestDHCPWithoutDaemon(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	h.Bridge("br0")
	s := leased(t, h, "a")
	expect.Contains(t, s.run("ADD").Error(t).Msg, "IPAM plugin dhcp (", "error dialing DHCP daemon", socket)
	s.nothingLeft()
}
