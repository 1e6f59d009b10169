package boot

import (
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// TestLease: an address that systemd-networkd, NetworkManager or dhclient renews is not moved, because its client does not follow it to the bridge.
//
// Claim: `bridge create` refuses an interface whose address systemd-networkd or NetworkManager has from a DHCP server, and changes nothing
func TestLease(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.serveDHCP(t)
	const networkd, manager = "/etc/systemd/network/10-lan.network", "/etc/NetworkManager/system-connections/lan.nmconnection"
	s.Write(t, networkd, "0644", []byte("[Match]\nName=eth0\n[Network]\nDHCP=ipv4\n"))
	s.Run(t, "systemctl", "start", "systemd-networkd")
	s.refusesLease(t, "systemd-networkd renews its addresses")
	s.Shell(t, "systemctl stop systemd-networkd.socket systemd-networkd; networkctl down eth0 || ip link set eth0 down; ip address flush dev eth0; rm -r /run/systemd/netif/leases")
	s.Write(t, manager, "0600", []byte("[connection]\nid=lan\ntype=ethernet\ninterface-name=eth0\n[ipv4]\nmethod=auto\n"))
	s.Run(t, "systemctl", "start", "NetworkManager")
	s.refusesLease(t, "ends unless a DHCP client renews it")
}

// refusesLease waits for a lease, and requires that it is the reason of a refusal.
func (s *site) refusesLease(t *testing.T, reason string) {
	t.Helper()
	s.until(t, "eth0 has a lease", func() bool { return strings.Contains(s.Run(t, "ip", "address", "show", "eth0"), "inet 192.0.2.1") })
	s.until(t, "eth0 has a route", func() bool { return strings.Contains(s.Run(t, "ip", "route"), "default via 192.0.2.1 dev eth0") })
	r := s.Try(t, "patchbay", "bridge", "create", "br0", "--uplink", "eth0", "--yes")
	expect.Equal(t, "exit", r.Exit, 1)
	expect.Contains(t, r.Stderr, "eth0 is managed by another program: ", reason, "--force")
	expect.Equal(t, "interfaces", strings.Fields(s.Shell(t, "ls /sys/class/net")), []string{"eth0", "lo"})
}

// serveDHCP starts a DHCP server on the router.
func (s *site) serveDHCP(t *testing.T) {
	t.Helper()
	cmd := s.router.Command(nettest.Program(t, "dnsmasq"), "--keep-in-foreground", "--log-facility=-", "--user=root", "--conf-file=/dev/null", "--pid-file=", "--port=0",
		"--interface=tap0", "--bind-interfaces", "--no-ping", "--leasefile-ro", "--dhcp-range=192.0.2.100,192.0.2.150,255.255.255.0,1h", "--dhcp-option=option:router,"+router4)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
}
