package reported

import (
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// resolvers returns the rows of case 45.
func resolvers() []row {
	const kind = "a namespace of up uses name servers that it can reach"
	const file = "/etc/netns/web/resolv.conf"
	upstream := "mkdir -p /run/systemd/resolve; printf 'nameserver 192.0.2.54\\nnameserver 2001:db8::54\\nsearch example.org\\n' >/run/systemd/resolve/resolv.conf; "
	return []row{
		{"45", "127.0.0.53, and systemd-resolved has others", kind, writtenServers(upstream+"echo nameserver 127.0.0.53 >/etc/resolv.conf", "nameserver 192.0.2.54\n", "nameserver 2001:db8::54\n", "search example.org\n")},
		{"45.1", "::1, and NetworkManager has others", kind, writtenServers("mkdir -p /run/NetworkManager; echo nameserver 192.0.2.55 >/run/NetworkManager/no-stub-resolv.conf; echo nameserver ::1 >/etc/resolv.conf", "nameserver 192.0.2.55\n")},
		{"45.2", "127.0.0.1 and one that can be reached", kind, writtenServers("printf 'nameserver 127.0.0.1\\nnameserver 192.0.2.56\\noptions ndots:2\\n' >/etc/resolv.conf", "nameserver 192.0.2.56\n", "options ndots:2\n")},
		{"45.3", "no server at all means the host itself", kind, writtenServers(upstream+"echo options edns0 >/etc/resolv.conf", "nameserver 192.0.2.54\n")},
		{"45.4", "a server on a link of the host", kind, writtenServers(upstream+"echo 'nameserver fe80::1%eth0' >/etc/resolv.conf", "nameserver 192.0.2.54\n")},
		{"45.5", "the servers of the network, if there are no others", kind, func(t *testing.T) {
			p := newPerson(t)
			p.sh("echo nameserver 127.0.0.53 >/etc/resolv.conf")
			p.file("lab.conflist", `{"cniVersion": "1.0.0", "name": "lab", "plugins": [{"type": "patchbay", "bridge": "lab0", "dns": {"nameservers": ["192.0.2.57"]},
				"ipam": {"type": "patchbay", "ranges": [[{"subnet": "10.1.0.0/24"}]]}}]}`)
			p.ok("up", "web", "--network", "lab")
			expect.Contains(t, p.sh("cat "+file), "nameserver 192.0.2.57\n")
			p.ok("down", "web")
			p.sh("! test -e /etc/netns/web")
		}},
		{"45.6", "no server is known: up reports it", kind, func(t *testing.T) {
			p := newPerson(t)
			p.sh("echo nameserver 127.0.0.53 >/etc/resolv.conf")
			s := p.run("up", "web")
			expect.Equal(t, "exit", s.exit, 0)
			expect.Contains(t, s.errors, "names cannot be resolved in web", "127.0.0.53", file)
			p.sh("! test -e " + file)
			expect.Contains(t, p.fails(nil, "doctor").out, "names cannot be resolved in namespace web", "127.0.0.53", file)
			p.ok("down", "web")
		}},
		{"45.7", "a file of the user is kept", kind, func(t *testing.T) {
			p := newPerson(t)
			p.given(upstream + "echo nameserver 127.0.0.53 >/etc/resolv.conf; mkdir -p /etc/netns/web; echo nameserver 192.0.2.58 >" + file)
			p.ok("up", "web")
			p.ok("down", "web")
			expect.Equal(t, "file", p.sh("cat "+file), "nameserver 192.0.2.58\n")
		}},
		{"45.8", "a symbolic link of the user is not followed", kind, func(t *testing.T) {
			p := newPerson(t)
			p.given(upstream + "echo nameserver 127.0.0.53 >/etc/resolv.conf; mkdir -p /etc/netns/web; ln -s /etc/precious " + file + "; echo mine >/etc/precious")
			p.run("up", "web")
			p.ok("down", "web")
			expect.Equal(t, "what the link leads to", p.sh("cat /etc/precious; readlink "+file), "mine\n/etc/precious\n")
		}},
		{"45.9", "other files of the namespace are kept", kind, func(t *testing.T) {
			p := newPerson(t)
			p.given(upstream + "echo nameserver 127.0.0.53 >/etc/resolv.conf; mkdir -p /etc/netns/web; echo 192.0.2.1 db >/etc/netns/web/hosts")
			p.ok("up", "web")
			p.ok("down", "web")
			expect.Equal(t, "files", p.sh("ls /etc/netns/web"), "hosts\n")
		}},
		{"45.10", "if the host's servers can be reached, nothing is written", kind, func(t *testing.T) {
			p := newPerson(t)
			p.ok("up", "web")
			p.sh("! test -e " + file)
			p.ok("down", "web")
		}},
	}
}

// laterResolvers returns rows of case 45 about files that change, or are the user's.
func laterResolvers() []row {
	const kind = "doctor reports a resolv.conf whose servers cannot be reached, or are not those of the host any more"
	const file = "/etc/netns/web/resolv.conf"
	return []row{
		{"45.11", "the host's servers change after up", kind, changedServers},
		{"45.12", "one of two servers is the host itself", kind, func(t *testing.T) {
			p := newPerson(t)
			p.sh("mkdir -p /etc/netns/web; printf 'nameserver 127.0.0.1\\nnameserver 192.0.2.58\\n' >" + file)
			p.ok("up", "web")
			expect.Contains(t, p.ok("doctor"), "note: namespace web cannot reach 1 of its 2 name servers", file, "no problems found")
			p.ok("down", "web")
			p.sh("rm -rf /etc/netns/web")
		}},
		{"45.13", "a file without a server means a loopback address", kind, func(t *testing.T) {
			p := newPerson(t)
			p.sh("mkdir -p /etc/netns/web; echo search example.org >" + file)
			p.ok("up", "web")
			expect.Contains(t, p.fails(nil, "doctor").out, "names cannot be resolved in namespace web: it has no name server, which means a loopback address", "seen: "+file+" has no name server")
			p.sh("echo nameserver 192.0.2.58 >" + file)
			expect.Contains(t, p.ok("doctor"), "no problems found")
			p.ok("down", "web")
			p.sh("rm -rf /etc/netns/web")
		}},
	}
}

// given runs a script that prepares the host: the leak check permits what it leaves.
func (p *person) given(script string) {
	p.t.Helper()
	p.sh(script)
	p.Baseline()
}

// changedServers requires that doctor reports a file of up with servers of another time, and that its command repairs it.
func changedServers(t *testing.T) {
	p := newPerson(t)
	p.sh("mkdir -p /run/systemd/resolve; echo nameserver 192.0.2.54 >/run/systemd/resolve/resolv.conf; echo nameserver 127.0.0.53 >/etc/resolv.conf")
	p.ok("up", "web")
	expect.Contains(t, p.ok("doctor"), "no problems found")
	p.sh("printf 'nameserver 192.0.2.99\\nsearch example.org\n' >/run/systemd/resolve/resolv.conf")
	out := p.fails(nil, "doctor").out
	expect.Contains(t, out, "names may not be resolved in namespace web: the host uses other name servers than when patchbay up wrote its resolv.conf",
		"seen: /etc/netns/web/resolv.conf has 192.0.2.54\n   fix:  patchbay reload\n", "1 problem found")
	p.ok("reload")
	expect.Contains(t, p.sh("ip netns exec web cat /etc/resolv.conf"), "nameserver 192.0.2.99\nsearch example.org\n")
	expect.Contains(t, p.ok("doctor"), "no problems found")
	p.ok("down", "web")
	p.sh("! test -e /etc/netns/web")
}

// writtenServers requires that up writes these servers, a program in the namespace reads them, and down deletes the
// file.
func writtenServers(script string, want ...string) func(t *testing.T) {
	return func(t *testing.T) {
		p := newPerson(t)
		p.sh(script)
		p.ok("up", "web")
		text := p.sh("ip netns exec web cat /etc/resolv.conf")
		expect.Contains(t, text, want...)
		if strings.Contains(text, "nameserver 127.") || strings.Contains(text, "nameserver ::1") || strings.Contains(text, "nameserver fe80") {
			t.Errorf("a server that the namespace cannot ask is left:\n%s", text)
		}
		expect.Contains(t, p.ok("ls"), "web ")
		p.ok("down", "web")
		p.sh("! test -e /etc/netns/web")
		expect.Contains(t, p.run("up", "job", "--", "cat", "/etc/resolv.conf").out, want...)
		p.sh("! test -e /etc/netns/job")
	}
}
