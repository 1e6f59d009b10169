package delegated

import (
	"net/netip"
	"path/filepath"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

const socket = "/run/dhcp.sock"

// home returns a host on a LAN whose router is the DHCP server; the network card is a port of the host's br0.
func home(t *testing.T) (*nettest.Node, *nettest.LAN) {
	t.Helper()
	h := nettest.Host(t)
	lan := h.LAN(t)
	lan.DHCPServer(t)
	h.DHCPDaemon(t, socket, "-timeout 5s")
	return h, lan
}

// leased returns a container of that host, not yet attached.
func leased(t *testing.T, h *nettest.Node, name string) *scene {
	t.Helper()
	return on(t, h, h.Container(name), withIPAM(cni.Conf{"type": "dhcp", "daemonSocketPath": socket}, cni.Conf{"bridge": "br0"}))
}

// TestDHCP: the router of the LAN assigns the container's address, and the container is a host of that LAN.
//
// Claim: Any IPAM plugin can be used: host-local, static and dhcp of v1.9.1, in configurations of every version
// Claim: A container on br0 gets its address from the LAN's DHCP server and is a host of the LAN; without server or daemon nothing is left
// behind
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

// TestDHCPAfterTheSandbox: the sandbox is deleted before DEL, as after a crash of the runtime.
//
// Claim: A container on br0 gets its address from the LAN's DHCP server and is a host of the LAN; without server or daemon nothing is left
// behind
func TestDHCPAfterTheSandbox(t *testing.T) {
	t.Parallel()
	h, _ := home(t)
	s := leased(t, h, "a")
	s.add()
	s.c.Delete()
	s.ok("DEL")
	s.nothingLeft()
}

// TestDHCPWithoutServer: no server replies, the daemon times out, and the ADD is undone.
//
// Claim: A container on br0 gets its address from the LAN's DHCP server and is a host of the LAN; without server or daemon nothing is left
// behind
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

// TestDHCPWithoutDaemon: the message is that of the dhcp plugin.
//
// Claim: A container on br0 gets its address from the LAN's DHCP server and is a host of the LAN; without server or daemon nothing is left
// behind
func TestDHCPWithoutDaemon(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	h.Bridge("br0")
	s := leased(t, h, "a")
	expect.Contains(t, s.run("ADD").Error(t).Msg, "IPAM plugin dhcp (", "error dialing DHCP daemon", socket)
	s.nothingLeft()
}
