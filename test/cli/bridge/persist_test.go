package bridge

import (
	"fmt"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// TestPersist: the files are printed, or written when the bridge is kept. Nothing is changed if one of them exists.
//
// Claim: `bridge create --persist PROGRAM --write` creates files and replaces none
func TestPersist(t *testing.T) {
	t.Parallel()
	s := newSite(t, plain())
	s.apply(t, []string{"mount -t tmpfs -o mode=755 tmpfs /etc/systemd/network"})
	s.Do(func() { writeFile(t, "/etc/systemd/network/20-lan.network", "[Match]\nName=eth0\n") })
	s.refused(t, "bridge create br0 --uplink eth0 --persist wicked", `unknown program "wicked": use one of networkd, NetworkManager, netplan, ifupdown`)
	s.refused(t, "bridge create br0 --uplink eth0 --write", "--write needs --persist")
	s.refused(t, "bridge create br0 --uplink eth0 --persist netplan --write --yes", "/etc/netplan", "is that the program that configures this host?")

	a := s.patchbay(t, "bridge", "create", "br0", "--uplink", "eth0", "--dry-run", "--persist", "networkd")
	expect.Contains(t, a.stdout, "# /etc/systemd/network/05-patchbay-br0.network, mode 0644\n", "\nAddress=192.0.2.10/24\n", "\nGateway=2001:db8::1\n", "\nDNS=192.0.2.53\n")
	expect.Equal(t, "notes", a.stderr, "patchbay: note: /etc/systemd/network/20-lan.network names eth0 as well: remove its addresses there\n")
	expect.Equal(t, "files", s.Run(t, "ls", "/etc/systemd/network"), "20-lan.network\n")
	s.unchanged(t)

	write := append(create(), "--persist", "networkd", "--write")
	a = s.patchbay(t, write...)
	expect.Equal(t, "exit", a.exit, 0)
	expect.Contains(t, a.stdout, "created /etc/systemd/network/05-patchbay-br0.netdev\n")
	expect.Equal(t, "files", s.Run(t, "ls", "-A", "/etc/systemd/network"), "05-patchbay-br0.netdev\n05-patchbay-br0.network\n05-patchbay-eth0.network\n20-lan.network\n")
	s.isBridged(t)
	s.Run(t, "mv", "/etc/systemd/network/05-patchbay-br0.network", "/etc/systemd/network/06-br0.network")
	s.Do(func() { writeFile(t, "/etc/systemd/network/05-patchbay-br0.network", "# Not ours.\n") })
	a = s.patchbay(t, "bridge", "delete", "br0")
	expect.Equal(t, "exit", a.exit, 0)
	expect.Equal(t, "files that Patchbay wrote", a.stderr, `patchbay: note: /etc/systemd/network/05-patchbay-br0.netdev configures br0 at the next boot: remove it
patchbay: note: /etc/systemd/network/05-patchbay-eth0.network configures br0 at the next boot: remove it
`)
	s.unchanged(t)
	s.refused(t, strings.Join(write, " "), "write /etc/systemd/network/05-patchbay-br0.netdev: file already exists; an earlier patchbay bridge create wrote it: remove it, or leave out --write")
	s.Do(func() { writeFile(t, "/etc/systemd/network/05-patchbay-br0.netdev", "# Not ours.\n") })
	s.refused(t, strings.Join(write, " "), "write /etc/systemd/network/05-patchbay-br0.netdev: file already exists; move it away first")
}

// TestPersistOfALease: for an address of a DHCP client the configuration has the client; it is what --persist --dry-run is for.
func TestPersistOfALease(t *testing.T) {
	t.Parallel()
	s := newSite(t, plain())
	s.apply(t, []string{"ip address add 192.0.2.50/24 dev eth0 valid_lft 3600 preferred_lft 1800"})
	s.Baseline()
	a := s.patchbay(t, "bridge", "create", "br0", "--uplink", "eth0", "--dry-run", "--persist", "networkd")
	expect.Contains(t, a.stdout, "\nDHCP=ipv4\n")
	if strings.Contains(a.stdout, "Address=192.0.2.50") {
		t.Error("the address of a lease is static:\n" + a.stdout)
	}
}

// TestResolved: the name servers that systemd-resolved has for the interface are named, with the command for the bridge.
func TestResolved(t *testing.T) {
	t.Parallel()
	s := newSite(t, plain())
	s.Run(t, "mkdir", "-p", "/run/systemd/resolve/netif", "/run/systemd/netif/links")
	index := s.index(t, "eth0")
	s.Do(func() {
		writeFile(t, fmt.Sprintf("/run/systemd/resolve/netif/%d", index), "# This is private data.\nLLMNR=yes\nSERVERS=192.0.2.53 2001:db8::53\n")
		writeFile(t, fmt.Sprintf("/run/systemd/netif/links/%d", index), "DNS=192.0.2.54\nDOMAINS=example.org\n")
	})
	a := s.patchbay(t, create()...)
	expect.Equal(t, "exit", a.exit, 0)
	expect.Equal(t, "note", a.stderr, "patchbay: note: systemd-resolved has name servers of eth0, which it does not ask on a bridge port: "+
		"resolvectl dns br0 192.0.2.53 2001:db8::53 && resolvectl domain br0 example.org\n")
	s.ok(t, "bridge", "delete", "br0")
	s.unchanged(t)
}
