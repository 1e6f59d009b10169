package names

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// TestHostNames: with --host-names the host resolves the names while they are attached, at their addresses of now, and /etc/hosts is as
// before afterwards. One that did not ask is not there.
//
// Claim: With --host-names the host resolves a namespace by a marked block of /etc/hosts, as long as it is attached; nothing else in the file changes
func TestHostNames(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.network("lab", 1)
	s.network("other", 2)
	s.sh("printf '127.0.0.1 localhost\\n::1 localhost\\n# mine\\n192.0.2.9 printer' >/etc/hosts; chmod 640 /etc/hosts")
	s.Baseline()
	s.ok("up", "web", "--network", "lab", "--host-names")
	s.ok("up", "db", "--network", "lab")
	expect.Equal(t, "web on the host", s.outside("web"), "10.1.0.2 2001:db8:1::2")
	expect.Equal(t, "db on the host", s.outside("db"), "")
	expect.Equal(t, "printer on the host", s.outside("printer"), "192.0.2.9")
	s.sh("ping -4 -c 1 -W 5 web; echo 192.0.2.10 later >>/etc/hosts")
	s.ok("attach", "web", "--network", "other", "--interface", "eth1")
	expect.Equal(t, "web on the host", s.outside("web"), "10.1.0.2 10.2.0.2 2001:db8:1::2 2001:db8:2::2")
	s.ok("detach", "web", "--interface", "eth0")
	expect.Equal(t, "web on the host", s.outside("web"), "10.2.0.2 2001:db8:2::2")
	expect.Contains(t, s.ok("up", "job", "--network", "lab", "--host-names", "--", "cat", "/etc/hosts"), "10.1.0.4\tjob")
	s.sh("sed -i '/later/d' /etc/hosts")
	s.ok("down", "web", "db")
	expect.Equal(t, "/etc/hosts", s.sh("cat /etc/hosts; stat -c ' %a' /etc/hosts"), "127.0.0.1 localhost\n::1 localhost\n# mine\n192.0.2.9 printer 640\n")
}

// TestRefusedNames: a name that /etc/hosts has, that means this host, or that is none is refused before anything is created.
//
// Claim: A name that /etc/hosts has already, or that means the host itself, is never replaced: --host-names refuses it, and `up` warns
func TestRefusedNames(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.sh("echo 192.0.2.9 Printer printer.lan >>/etc/hosts")
	s.Baseline()
	own := strings.TrimSpace(s.sh("uname -n"))
	for name, want := range map[string]string{
		"printer": "/etc/hosts has the name printer for 192.0.2.9 already", "printer.lan": "already",
		"localhost": "localhost is a name of this host", "web.localhost": "name of this host", own: "name of this host",
		"my_db": "my_db is not a host name", "10.1": "not a host name", strings.Repeat("n", 64): "not a host name",
	} {
		s.refused([]string{"--host-names: ", want}, "up", name, "--host-names")
	}
	s.refused([]string{"--host-names needs the name of a network namespace"}, "attach", "--host-names", "/proc/self/ns/net")
	s.refused([]string{"--host-names: ", "already"}, "up", "web", "printer", "--host-names")
	s.absent("/run/netns/web", "/run/netns/printer", "/etc/netns")
	s.warns([]string{"/etc/hosts has the name printer for 192.0.2.9 already"}, "up", "printer", "web")
	expect.Equal(t, "printer in web", s.inside("web", "printer"), "192.0.2.9")
	expect.Contains(t, s.ok("doctor"), "note: /etc/hosts has the name printer")
	s.warns([]string{"my_db is not a host name"}, "up", "my_db")
	s.warns([]string{"10.1 is not a host name"}, "up", "10.1")
	long := strings.Repeat("n", 63)
	s.ok("up", long, "a.b")
	expect.Equal(t, "a.b is resolved", s.inside("web", "a.b") != "" && s.inside("web", long) != "", true)
	s.ok("down", "printer", "web", "my_db", "10.1", long, "a.b")
	s.absent("/etc/netns/web")
}

// TestSameName: of two names that differ only by case, the first one keeps it.
//
// Claim: Of two attachments of one host name the one that was attached first keeps it, and the other one's command warns
func TestSameName(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.network("lab", 1)
	s.ok("up", "Web", "db", "--network", "lab", "--host-names")
	s.refused([]string{"/etc/hosts has the name Web for namespace Web already"}, "up", "web", "--network", "lab", "--host-names")
	s.warns([]string{"namespace web and namespace Web have the same name"}, "up", "web", "--network", "lab")
	expect.Equal(t, "web in db", s.inside("db", "web"), "10.1.0.2 2001:db8:1::2")
	expect.Equal(t, "web in web", s.inside("web", "web"), "10.1.0.4 2001:db8:1::4")
	expect.Equal(t, "web on the host", s.outside("web"), "10.1.0.2 2001:db8:1::2")
	s.ok("down", "Web")
	expect.Equal(t, "web in db", s.inside("db", "web"), "10.1.0.4 2001:db8:1::4")
	expect.Equal(t, "web on the host, which did not ask", s.outside("web"), "")
	s.ok("down", "web", "db")
}

// TestEditedByHand: a file whose block was edited is kept, each command warns once, doctor reports it; after the fix it is true again.
//
// Claim: A hosts file whose block was edited by hand is kept as it is, and reported with the fix
func TestEditedByHand(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.ok("up", "web", "--host-names")
	s.sh("sed -i 's/^10.77.0.2/10.77.0.9/' /etc/hosts " + hosts("web"))
	before := s.sh("cat /etc/hosts " + hosts("web"))
	s.warns([]string{
		"/etc/hosts is kept as it is, and may lack names: its lines from # BEGIN patchbay to # END patchbay were edited by hand", hosts("web") + " is kept as it is",
		"move your lines out of them, delete the others, and run patchbay reload",
	}, "up", "db")
	s.refused([]string{"--host-names: /etc/hosts is kept as it is"}, "up", "app", "--host-names")
	s.refused([]string{"a hosts file may lack names", "edited by hand"}, "doctor")
	expect.Equal(t, "files", s.sh("cat /etc/hosts "+hosts("web")), before)
	s.sh("sed -i '/BEGIN patchbay/,/END patchbay/d' /etc/hosts " + hosts("web"))
	s.ok("reload")
	expect.Equal(t, "db is resolved in web", s.inside("web", "db") != "", true)
	s.ok("doctor")
	s.sh("sed -i 's/^10.77.0.3/10.77.0.9/' " + hosts("db"))
	s.warns([]string{hosts("db") + " is kept as it is", "delete the file of the deleted namespace, or move your lines out of them"}, "down", "db")
	s.sh("rm -r /etc/netns/db")
	s.ok("down", "web")
	s.sh("rm -rf /etc/netns/web") // the user's file by now, which is empty
}

// TestBadFiles: what root cannot rewrite safely, or is not a file, is kept, and up succeeds.
//
// Claim: A hosts file whose block was edited by hand is kept as it is, and reported with the fix
func TestBadFiles(t *testing.T) {
	t.Parallel()
	for name, script := range map[string]string{
		"a symbolic link": "echo mine >/etc/precious; ln -s /etc/precious $0",
		"a FIFO":          "mkfifo $0",
		"a directory":     "mkdir $0",
		"a user's file":   "echo mine >$0; chown 1000 $0",
		"a hard link":     "echo mine >/etc/precious; ln /etc/precious $0",
	} {
		s := newSite(t)
		s.Run(t, "sh", "-ec", "mkdir -p /etc/netns/web; "+script, hosts("web"))
		s.Baseline()
		exit, out := s.run("up", "web")
		expect.Equal(t, name+": exit", exit, 0)
		expect.Contains(t, out, hosts("web")+" is kept as it is", "replace it by a plain file of root")
		if exit, out = s.run("down", "web"); exit != 0 {
			t.Errorf("%s: down: %s", name, out)
		}
	}
	s := newSite(t)
	s.sh("mv /etc/hosts /etc/hosts.real; ln -s hosts.real /etc/hosts")
	s.Baseline()
	s.refused([]string{"--host-names: /etc/hosts: symbolic link"}, "up", "web", "--host-names")
	s.ok("up", "web")
	s.ok("down", "web")
	s.sh("rm /etc/hosts")
	s.Baseline()
	s.ok("up", "web")
	s.absent("/etc/netns/web")
	s.ok("down", "web")
}

// TestTogether: of many calls at once, each name is in every file and on the host.
//
// Claim: Of several `up` at once every name is in every file
func TestTogether(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.network("lab", 1)
	const n = 8
	var all sync.WaitGroup
	var failed [n]string
	for i := range n {
		cmd := s.command("up", fmt.Sprint("web", i), "--network", "lab", "--host-names")
		all.Go(func() {
			if out, err := cmd.CombinedOutput(); err != nil || strings.Contains(string(out), "patchbay: ") {
				failed[i] = fmt.Sprintf("%v\n%s", err, out)
			}
		})
	}
	all.Wait()
	expect.Equal(t, "errors", failed, [n]string{})
	var names []string
	for i := range n {
		name := fmt.Sprint("web", i)
		names = append(names, name)
		for j := range n {
			if got := s.sh(fmt.Sprintf("grep -c '\tweb%d$' %s || true", j, hosts(name))); got != "2\n" {
				t.Errorf("web%d is in the file of %s: %s lines", j, name, got)
			}
		}
		expect.Equal(t, name+" is resolved on the host", s.outside(name) != "", true)
	}
	s.ok(append([]string{"down"}, names...)...)
	expect.Equal(t, "/etc/netns", s.sh("ls /etc/netns"), "")
}

// TestResolverFollows: after the servers behind 127.0.0.53 have changed, reload writes the new ones, in place; a file that was edited is
// kept.
//
// Claim: `reload` and `gc` rewrite the name servers of namespaces when those behind 127.0.0.53 have changed
func TestResolverFollows(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	upstream := func(server string) {
		s.sh("mkdir -p /run/systemd/resolve; echo nameserver 127.0.0.53 >/etc/resolv.conf; echo nameserver " + server + " >/run/systemd/resolve/resolv.conf")
	}
	upstream("192.0.2.54")
	s.ok("up", "web", "db")
	s.sh("sed -i s/192.0.2.54/192.0.2.99/ /etc/netns/db/resolv.conf; exec 3</etc/netns/web/resolv.conf; stat -c %i /etc/netns/web/resolv.conf >/run/inode")
	for i, command := range []string{"reload", "gc"} {
		server := fmt.Sprint("192.0.2.6", i)
		upstream(server)
		s.ok(command)
		expect.Contains(t, s.sh("ip netns exec web cat /etc/resolv.conf"), "nameserver "+server+"\n")
		expect.Contains(t, s.sh("ip netns exec db cat /etc/resolv.conf"), "nameserver 192.0.2.99\n")
	}
	expect.Equal(t, "the same file", s.sh("stat -c %i /etc/netns/web/resolv.conf"), s.read("/run/inode"))
	s.sh("rm /etc/resolv.conf; echo nameserver 192.0.2.70 >/etc/resolv.conf")
	s.ok("reload")
	expect.Contains(t, s.sh("ip netns exec web cat /etc/resolv.conf"), "nameserver 192.0.2.70\n")
	s.sh("ip netns del web; rm /run/inode")
	s.ok("down", "db")
	s.absent("/etc/netns/web/resolv.conf", "/etc/netns/web/hosts")
	s.ok("down", "web")
	s.absent("/etc/netns/web", "/etc/netns/db")
}
