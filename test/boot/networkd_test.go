package boot

import (
	"testing"

	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// lanNetwork is the configuration of the administrator.
const lanNetwork = `[Match]
Name=eth0
[Network]
Address=192.0.2.10/24
Gateway=192.0.2.1
DNS=192.0.2.1
IPv6AcceptRA=no
`

// TestNetworkd: on a host whose eth0 systemd-networkd has configured with a static address, as a user does it: by ssh, with the commands of
// docs/bridge.md.
//
// Claim: On a booted Debian with systemd-networkd an ssh session survives `bridge create` and the removal without confirmation, with at most 2 s of silence
// Claim: With the files of `bridge create --persist networkd --write` a booted Debian has the bridge after a reboot, and without them the interface as before
func TestNetworkd(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.Write(t, "/etc/systemd/network/10-lan.network", "0644", []byte(lanNetwork))
	s.Run(t, "systemctl", "enable", "--now", "systemd-networkd", "ssh")
	s.bridgeBySSH(t, "networkd", ways{
		files: []string{"/etc/systemd/network/05-patchbay-br0.netdev", "/etc/systemd/network/05-patchbay-eth0.network", "/etc/systemd/network/05-patchbay-br0.network"},
	})
}

// ways are what a program that configures the network needs.
type ways struct {
	force string   // " --force" if bridge create needs it
	files []string // that --persist writes
}

// bridgeBySSH creates br0 by ssh and does not confirm it, then creates it again, confirms it from another session, and reboots; and removes it again.
func (s *site) bridgeBySSH(t *testing.T, program string, w ways) {
	t.Helper()
	s.awaitSSH(t)
	s.reaches(t)
	before := s.state(t)
	session := s.open(t)
	s.over(t, "ip address") // what the commands do to the session without a change
	session.begin()
	r := s.over(t, "patchbay bridge create br0 --uplink eth0 --timeout 5s"+w.force)
	expect.Equal(t, "exit without a confirmation", r.exit, 1)
	expect.Contains(t, r.stdout, "br0: moved address 192.0.2.10/24\n", "br0: gateway 192.0.2.1 answers\n")
	expect.Contains(t, r.stderr, "bridge br0 not kept, eth0 is as before")
	s.unchanged(t, "without a confirmation", before)
	session.goesOn(t, s, "create without a confirmation")

	s.createAndConfirm(t, " --persist "+program+" --write"+w.force)
	session.goesOn(t, s, "create and confirm")
	s.isBridged(t)
	for _, file := range w.files {
		s.Run(t, "test", "-s", file)
	}
	bridged := s.state(t)
	session.end(t)

	s.Reboot(t)
	s.awaitSSH(t)
	s.isBridged(t)
	t.Logf("after the reboot, and before it:\n%s\n%s", s.state(t), bridged)
	s.attach(t)
	r = s.over(t, "patchbay bridge delete br0")
	expect.Equal(t, "exit of delete after a reboot", r.exit, 1)
	expect.Contains(t, r.stderr, w.files...)
	s.isBridged(t)
	s.Run(t, append([]string{"rm"}, w.files...)...)
	s.Reboot(t)
	s.awaitSSH(t)
	s.unchanged(t, "without the files", before)
}

// createAndConfirm creates br0 in one ssh session and confirms it in another.
func (s *site) createAndConfirm(t *testing.T, options string) {
	t.Helper()
	created := make(chan remote, 1)
	go func() {
		created <- s.over(t, "patchbay bridge create br0 --uplink eth0 --timeout 60s"+options)
	}()
	s.until(t, "br0 is confirmed", func() bool {
		select {
		case r := <-created:
			t.Fatalf("create: exit %d\n%s%s", r.exit, r.stdout, r.stderr)
		default:
		}
		return s.over(t, "patchbay bridge confirm br0").exit == 0
	})
	r := <-created
	expect.Equal(t, "exit of create", r.exit, 0)
	expect.Contains(t, r.stdout, "br0: kept, eth0 is its port\n")
	t.Logf("create: %s%s", r.stdout, r.stderr)
}
