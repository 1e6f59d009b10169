package names

import (
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// TestResolve: two namespaces resolve and reach each other by name, in both families, and nothing is left.
//
// Claim: Namespaces of up and attach that share a network resolve each other's names, IPv4 and IPv6, with `ip netns exec` and `up -- CMD`
func TestResolve(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.network("lab", 1)
	s.ok("up", "web", "db", "--network", "lab")
	expect.Equal(t, "db in web", s.inside("web", "db"), "10.1.0.3 2001:db8:1::3")
	expect.Equal(t, "web in db", s.inside("db", "web"), "10.1.0.2 2001:db8:1::2")
	expect.Equal(t, "web in web", s.inside("web", "web"), "10.1.0.2 2001:db8:1::2")
	expect.Equal(t, "localhost in web", s.sh("ip netns exec web getent ahostsv4 localhost | head -1 | cut -d' ' -f1"), "127.0.0.1\n")
	expect.Equal(t, "DB in web: case does not matter", s.inside("web", "DB"), "10.1.0.3 2001:db8:1::3")
	expect.Equal(t, "db on the host", s.outside("db"), "")
	for _, family := range []string{"-4", "-6"} {
		s.sh("ip netns exec web ping " + family + " -c 1 -W 5 db")
	}
	out := s.ok("up", "job", "--network", "lab", "--", "sh", "-c", "getent hosts job web; ping -4 -c 1 -W 5 db")
	expect.Contains(t, out, "2001:db8:1::4   job", "web", "1 received")
	expect.Equal(t, "job in web", s.inside("web", "job"), "")
	s.ok("down", "db")
	expect.Equal(t, "db in web after down", s.inside("web", "db"), "")
	s.ok("down", "web")
	s.absent("/etc/netns/web", "/etc/netns/db", "/etc/netns/job", "/var/lib/patchbay/names")
}

// TestRunning: a process that runs in a namespace sees names that are added later.
//
// Claim: Hosts files are rewritten in place: a program that has one mounted over /etc/hosts sees new names
func TestRunning(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.ok("up", "web")
	s.sh(`mkfifo /run/begin /run/end; ip netns exec web sh -c 'echo >/run/begin; read go </run/end; getent hosts db >/run/answer; echo >/run/begin' >/dev/null 2>&1 & read go </run/begin`)
	s.ok("up", "db")
	s.sh("echo >/run/end; read go </run/begin")
	expect.Contains(t, s.read("/run/answer"), " db")
	s.ok("down", "web", "db")
}

// TestNetworks: a namespace has the names of those that share a network with it, at the addresses that it can reach.
//
// Claim: A namespace has the names of those that share a network with it, and no others
func TestNetworks(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.network("front", 1)
	s.network("back", 2)
	s.ok("up", "web", "--network", "front")
	s.ok("up", "db", "--network", "back")
	s.ok("up", "app", "--network", "front")
	expect.Equal(t, "db in web", s.inside("web", "db"), "")
	s.ok("attach", "app", "--network", "back", "--interface", "eth1")
	expect.Equal(t, "app in app", s.inside("app", "app"), "10.1.0.3 10.2.0.3 2001:db8:1::3 2001:db8:2::3")
	expect.Equal(t, "app in web", s.inside("web", "app"), "10.1.0.3 2001:db8:1::3")
	expect.Equal(t, "app in db", s.inside("db", "app"), "10.2.0.3 2001:db8:2::3")
	expect.Equal(t, "db in web", s.inside("web", "db"), "")
	s.ok("detach", "app", "--interface", "eth1")
	expect.Equal(t, "app in db after detach", s.inside("db", "app"), "")
	expect.Equal(t, "app in web after detach", s.inside("web", "app"), "10.1.0.3 2001:db8:1::3")
	s.ok("down", "web", "db", "app")
	s.absent("/etc/netns/web", "/etc/netns/db", "/etc/netns/app")
}

// TestAttached: a namespace that `ip netns add` created has names while a command has attached it; one that a runtime attached
// never has.
//
// Claim: Attachments of a runtime have no names in hosts files
func TestAttached(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.network("lab", 1)
	c := s.Container("pod")
	s.sh("ip netns add web; ip netns add plain")
	s.ok("attach", "web", "--network", "lab")
	s.CNI(t, addCall(s, c.ID(), c.Path())).OK(t)
	s.ok("up", "db", "--network", "lab")
	expect.Equal(t, "db in web", s.inside("web", "db"), "10.1.0.4 2001:db8:1::4")
	expect.Equal(t, "web in db", s.inside("db", "web"), "10.1.0.2 2001:db8:1::2")
	if text := s.read(hosts("db")); strings.Contains(text, "10.1.0.3") {
		t.Errorf("the pod of a runtime has a name:\n%s", text)
	}
	s.absent(hosts("pod"), hosts("plain"))
	s.ok("detach", "web")
	s.absent("/etc/netns/web")
	del := addCall(s, c.ID(), c.Path())
	del.Command = "DEL"
	s.CNI(t, del).OK(t)
	s.ok("down", "db")
	s.sh("ip netns del web; ip netns del plain")
}

// TestUserFile: in a file that the user wrote, only the block is added, without lines of /etc/hosts; each other byte stays, also after
// edits between, and with down the file is as it was.
//
// Claim: In a hosts file only the marked block is patchbay's: every line outside is kept byte for byte
func TestUserFile(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.sh("echo 192.0.2.9 printer >>/etc/hosts; mkdir -p /etc/netns/web; printf '127.0.0.1 localhost\\n192.0.2.7\\tcache' >" + hosts("web"))
	s.Baseline()
	s.ok("up", "web", "db")
	expect.Equal(t, "printer in db", s.inside("db", "printer"), "192.0.2.9")
	expect.Equal(t, "printer in web", s.inside("web", "printer"), "")
	expect.Equal(t, "cache in web", s.inside("web", "cache"), "192.0.2.7")
	expect.Equal(t, "db is resolved in web", s.inside("web", "db") != "", true)
	s.sh("echo 192.0.2.8 later >>" + hosts("db"))
	s.ok("up", "app")
	expect.Equal(t, "later in db", s.inside("db", "later"), "192.0.2.8")
	expect.Equal(t, "app is resolved in db", s.inside("db", "app") != "", true)
	s.ok("down", "web", "db", "app")
	expect.Equal(t, "file of web", s.read(hosts("web")), "127.0.0.1 localhost\n192.0.2.7\tcache")
	expect.Equal(t, "file of db", s.read(hosts("db")), "192.0.2.8 later\n")
	s.sh("rm -r /etc/netns/db")
}

// TestHostChanges: lines of /etc/hosts that change reach the namespaces with reload.
//
// Claim: `reload` makes hosts files true, and doctor finds those that are not
func TestHostChanges(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.ok("up", "web")
	s.ok("doctor")
	s.sh("echo 192.0.2.9 printer >>/etc/hosts")
	s.Allow("file /etc/hosts")
	s.refused([]string{"hosts file " + hosts("web") + " is not up to date", "patchbay reload"}, "doctor")
	expect.Contains(t, s.ok("reload"), "updated "+hosts("web"))
	expect.Equal(t, "printer in web", s.inside("web", "printer"), "192.0.2.9")
	s.ok("doctor")
	s.sh("rm " + hosts("web"))
	s.refused([]string{"hosts file " + hosts("web") + " is not up to date"}, "doctor")
	expect.Contains(t, s.ok("reload"), "created "+hosts("web"))
	s.ok("doctor")
	s.ok("down", "web")
	s.absent("/etc/netns/web")
}
