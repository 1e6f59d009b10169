package bridge

import (
	"bytes"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

const networkd = "/lib/systemd/systemd-networkd"

// networkd starts systemd-networkd on the host with the files of its /etc/systemd/network, and returns what stops it. The read-only /sys makes it not
// wait for udev, as in a container.
func (s *site) networkd(t *testing.T) (stop func()) {
	t.Helper()
	s.Run(t, "sh", "-c", "mkdir -p /run/dbus /run/systemd/netif/links /run/systemd/netif/leases && chown -R systemd-network:systemd-network /run/systemd/netif")
	cmd := s.Command(networkd)
	var log bytes.Buffer
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Log(log.String())
		}
	}
}

// addresses returns addresses and routes of an interface, as far as they have to be the same after a boot.
func (s *site) addresses(t testing.TB, name string) string {
	t.Helper()
	var kept []string
	for _, list := range []string{"address show dev " + name, "-4 route show dev " + name, "-6 route show dev " + name} {
		for line := range strings.Lines(s.Run(t, "ip", strings.Fields("-o "+list)...)) {
			words := strings.Fields(strings.NewReplacer(" proto static", "", " nodad", "").Replace(line))
			if strings.Contains(line, "inet") {
				words = words[2:4] // without index and flags
			}
			if !strings.Contains(line, "fe80:") {
				kept = append(kept, strings.Join(words, " "))
			}
		}
	}
	return strings.Join(kept, "\n")
}

// TestWithNetworkd: systemd-networkd, which has configured the interface with static addresses, leaves it alone while it is a port and gets it back;
// and from the files of --persist it creates the same bridge at the next boot.
//
// Claim: With the files of `bridge create --persist networkd` systemd-networkd creates the bridge with the same addresses and routes at boot
func TestWithNetworkd(t *testing.T) {
	nettest.Need(t, nettest.Tool(networkd))
	t.Parallel()
	s := newSite(t, plain())
	s.NoOracle("systemd-networkd changes settings of interfaces")
	s.apply(t, []string{"mount -t tmpfs -o mode=755 tmpfs /etc/systemd/network", "mount -t sysfs sysfs /sys", "mount -o remount,ro /sys"})
	s.apply(t, []string{"ip address flush dev eth0 scope global", "ip link set eth0 down"})
	const lan = "[Match]\nName=eth0\n[Network]\nAddress=192.0.2.10/24\nGateway=192.0.2.1\nAddress=2001:db8::10/64\nGateway=2001:db8::1\nIPv6AcceptRA=no\n"
	s.Do(func() { writeFile(t, "/etc/systemd/network/10-lan.network", lan) })
	stop := s.networkd(t)
	s.until(t, func() bool { return strings.Count(s.addresses(t, "eth0"), "default via") == 2 })
	s.Settle("eth0")
	before := s.addresses(t, "eth0")

	a := s.patchbay(t, append(create(), "--persist", "networkd", "--write")...)
	expect.Equal(t, "exit", a.exit, 0)
	expect.Contains(t, a.stderr, "note: /etc/systemd/network/10-lan.network names eth0 as well")
	s.reached(t) // two seconds in which it could interfere
	expect.Equal(t, "addresses and routes of br0", s.addresses(t, "br0"), before)
	stop()

	s.apply(t, []string{"ip link del br0", "ip link set eth0 down"}) // a boot: nothing is configured
	stop = s.networkd(t)
	defer stop()
	s.until(t, func() bool {
		return strings.Contains(s.Run(t, "ip", "-brief", "link"), "br0") && s.addresses(t, "br0") == before
	})
	expect.Contains(t, s.Run(t, "ip", "link", "show", "eth0"), " master br0 ")
	s.reached(t)
	s.refused(t, "bridge delete br0", "bridge br0 was created at boot from the files of bridge create --persist; remove them and reboot: "+
		"rm /etc/systemd/network/05-patchbay-br0.netdev /etc/systemd/network/05-patchbay-eth0.network /etc/systemd/network/05-patchbay-br0.network")
}
