package names

import (
	"testing"

	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// TestReboot: files of namespaces from before a reboot are deleted by reload, gc, and the next up, and their names in /etc/hosts too.
//
// Claim: Hosts files and name servers of namespaces from before a reboot are deleted by reload, gc and the next up
func TestReboot(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"reload"}, {"gc"}, {"up", "next", "--", "true"}} {
		s := newSite(t)
		s.sh("mkdir -p /run/systemd/resolve; echo nameserver 127.0.0.53 >/etc/resolv.conf; echo nameserver 192.0.2.54 >/run/systemd/resolve/resolv.conf")
		s.ok("up", "web", "db", "--host-names")
		s.sh("echo 192.0.2.8 later >>" + hosts("db"))
		s.Allow("nft element inet patchbay ") // a real reboot leaves no ruleset
		s.Reboot()
		s.sh("mkdir -p /run/systemd/resolve; echo nameserver 192.0.2.54 >/run/systemd/resolve/resolv.conf")
		s.ok(args...)
		expect.Equal(t, args[0]+": /etc/hosts", s.read("/etc/hosts"), "127.0.0.1 localhost\n::1 localhost\n")
		s.absent("/etc/netns/web", "/etc/netns/db/resolv.conf", "/etc/netns/next")
		expect.Equal(t, args[0]+": a line of the user", s.read(hosts("db")), "192.0.2.8 later\n")
		s.sh("rm -r /etc/netns/db")
	}
}
