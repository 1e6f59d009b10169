package reported

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// requestedAddresses returns further rows of case 42: an address of --ip that cannot be assigned.
func requestedAddresses() []row {
	const kind = "the error of a command names the reason, and a remedy that works"
	const inRanges, onLAN = "; pass --ip a free address of the network's ranges, or omit it", "; pass --ip another address of 192.0.2.0/24 that no host uses"
	return []row{
		{"42.12", "up and attach with an address of a bridge of the LAN, of its router, of its edges, and outside", kind, func(t *testing.T) {
			p := newPerson(t)
			p.LAN(t)
			p.sh("ip netns add mine")
			for ip, why := range map[string]string{
				nettest.LANHost4: "is an address of bridge br0", nettest.LANRouter4: "is the gateway of its subnet", "192.0.2.0": "is the network address of 192.0.2.0/24",
				"192.0.2.255": "is the broadcast address of 192.0.2.0/24", "10.1.0.1": "is outside of the network's ranges: 192.0.2.1-192.0.2.254",
				"2001:db8::7": "is outside of the network's ranges: 192.0.2.1-192.0.2.254",
			} {
				p.failsPlainly([]string{ip + " " + why + onLAN}, "up", "web", "--network", "br0", "--ip", ip)
				p.failsPlainly([]string{ip + " " + why + onLAN}, "attach", "mine", "--network", "br0", "--ip", ip)
			}
			p.ok("attach", "mine", "--network", "br0", "--ip", "192.0.2.77")
			p.failsPlainly([]string{"192.0.2.77 is taken by mine/eth0" + onLAN}, "up", "web", "--network", "br0", "--ip", "192.0.2.77")
			p.ok("detach", "mine")
			p.sh("ip netns del mine")
		}},
		{"42.13", "up with such an address of the default network, which can assign another one", kind, func(t *testing.T) {
			p := newPerson(t)
			for ip, why := range map[string]string{
				"10.77.0.0": "is the network address of 10.77.0.0/24", "10.77.0.255": "is the broadcast address of 10.77.0.0/24", "10.77.0.1": "is the gateway of its subnet",
				"10.78.0.1": "is outside of the network's ranges: 10.77.0.1-10.77.0.254", "2001:db8::7": "is outside of the network's ranges: 10.77.0.1-10.77.0.254",
			} {
				p.failsPlainly([]string{ip + " " + why + inRanges}, "up", "web", "--ip", ip)
			}
			p.failsPlainly([]string{"10.77.0.6 is the second address of one range set: 10.77.0.1-10.77.0.254; pass --ip at most one address from each range"}, "up", "web", "--ip", "10.77.0.5,10.77.0.6")
		}},
		{"42.14", "a network's file with the whole LAN, from which addresses are assigned only on request", kind, func(t *testing.T) {
			p := newPerson(t)
			p.LAN(t)
			p.network("whole", "br0", "192.0.2.0/24")
			p.failsPlainly([]string{nettest.LANHost4 + " is an address of bridge br0" + onLAN}, "up", "web", "--network", "whole", "--ip", nettest.LANHost4)
			p.file("whole.conflist", `{"cniVersion": "1.0.0", "name": "whole", "plugins": [{"type": "patchbay", "bridge": "br0", "ipam": {"type": "patchbay",
				"ranges": [[{"subnet": "192.0.2.0/24", "rangeStart": "192.0.2.100", "rangeEnd": "192.0.2.110"}]]}}]}`)
			p.failsPlainly([]string{"192.0.2.90 is outside of the network's ranges: 192.0.2.100-192.0.2.110" + inRanges}, "up", "web", "--network", "whole", "--ip", "192.0.2.90")
		}},
	}
}

// lookUps returns further rows of case 41: names of networks, of attachments and of commands.
func lookUps() []row {
	const kind = "a name that is not found: the error has what was looked for and what exists, and never suggests the same name"
	return []row{
		{"41.7", "detach and down with the names that ls prints for a runtime's attachments", kind, namesOfRuntimes},
		{"41.8", "detach with the names that ls prints for a path and a process", kind, namesOfTargets},
		{"41.9", "no network and no bridge of a name, and one of a similar name", kind, func(t *testing.T) {
			p := newPerson(t)
			p.Bridge("br0", "192.0.2.1/24")
			p.Baseline()
			p.sh("ip netns add mine")
			p.try(commandLine{"up web --network br1", 1, `patchbay: no network or bridge "br1"; networks: patchbay (built in); did you mean br0?`})
			p.network("bridge", "cni0", "10.88.0.0/16")
			p.try(commandLine{"up web --network br1", 1, `patchbay: no network or bridge "br1"; networks: bridge, patchbay (built in); did you mean br0?`})
			p.try(commandLine{"attach mine --network brigde", 1, `no network or bridge "brigde"; networks: bridge, patchbay (built in); did you mean bridge?`})
			p.try(commandLine{"ls --network patchbya", 1, `no network "patchbya"; networks: bridge, patchbay (built in); did you mean patchbay?`})
			p.network("patchbay", "mine0", "10.9.0.0/24")
			p.try(commandLine{"gc --network xyzzy", 1, "no network \"xyzzy\"; networks: bridge, patchbay\n"})
			p.sh("ip netns del mine")
		}},
		{"41.10", "networks that are found beside files that cannot be read", kind, foundBesideUnreadable},
		{"41.11", "networks that are not found beside files that cannot be read", kind, unknownBesideUnreadable},
		{"41.12", "help of a command of two words", kind, func(t *testing.T) {
			p := newPerson(t)
			lxc := p.ok("help", "lxc")
			for _, words := range []string{"help lxc enable", "help lxc disable", "--help lxc enable", "lxc enable --help", "lxc --help"} {
				expect.Equal(t, words, p.ok(strings.Fields(words)...), lxc)
			}
			expect.Equal(t, "two commands", p.ok("help", "lxc", "enable", "version"), lxc+"\n"+p.ok("help", "version"))
			expect.Equal(t, "two commands", p.ok("help", "lxc", "version"), lxc+"\n"+p.ok("help", "version"))
			for words, part := range map[string]string{
				"help lxc enabel": `unknown command "lxc enabel"; did you mean enable?; see patchbay help lxc`, "help enable": "did you mean lxc enable?",
				"disable box": "did you mean lxc disable?", "help ls nosuch": `unknown command "nosuch"`,
			} {
				p.try(commandLine{words, 1, part})
				expect.Equal(t, words+" prints", p.run(strings.Fields(words)...).out, "")
			}
			if s := p.run("lxc", "enable"); s.exit != 1 || strings.Contains(s.errors, "did you mean") {
				t.Errorf("lxc enable without a name: %s", s.errors)
			}
		}},
	}
}

// namesOfRuntimes: only a runtime deletes what it has attached.
func namesOfRuntimes(t *testing.T) {
	p := newPerson(t)
	var calls []nettest.Call
	for _, args := range []string{"", "IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=web"} {
		c := p.Container("box" + string(rune('0'+len(calls))))
		call := nettest.Call{Command: "ADD", ContainerID: "0123456789abcdef" + c.ID(), Netns: c.Path(), IfName: "net1", Args: args, Config: routed().JSON(t)}
		p.CNI(t, call).OK(t)
		calls = append(calls, call)
	}
	for _, name := range []string{calls[0].ContainerID, "default/web", calls[1].ContainerID} {
		for _, command := range []string{"detach", "down"} {
			s := p.fails([]string{"patchbay: net1 of " + name + " was attached to network net by a runtime: delete the container with the runtime\n"}, command, name)
			expect.Equal(t, command+" prints", s.out, "")
		}
	}
	expect.Contains(t, p.ok("ls"), calls[0].ContainerID, "default/web")
	p.sh("ip netns add pod")
	if s := p.fails([]string{"running LXC container pod not found"}, "attach", "lxc:pod"); strings.Contains(s.errors, "did you mean") {
		t.Errorf("the same name is suggested: %s", s.errors)
	}
	p.sh("ip netns del pod")
	for _, call := range calls {
		call.Command = "DEL"
		p.CNI(t, call).OK(t)
	}
}

// namesOfTargets: commands have attached them, by a path and by a PID that no longer exist.
func namesOfTargets(t *testing.T) {
	p := newPerson(t)
	p.sh("ip netns add a; mkdir -p /run/own/ns; touch /run/own/ns/web; mount --bind /run/netns/a /run/own/ns/web")
	p.ok("attach", "/run/own/ns/web")
	name := strings.Fields(strings.Split(p.ok("ls"), "\n")[1])[0]
	expect.Contains(t, name, "path-web-")
	p.fails([]string{name + " is an attachment without a named network namespace: patchbay detach " + name + " detaches it"}, "down", name)
	p.fails([]string{"network namespace or LXC container " + name + "x not found; did you mean " + name + "?"}, "detach", name+"x")
	p.sh("umount /run/own/ns/web; ip netns del a")
	expect.Contains(t, p.ok("detach", name), name+": eth0 detached from network patchbay, released 10.77.0.2/24")
	expect.Equal(t, "attachments", p.ok("ls", "--json"), "[]\n")
}

// foundBesideUnreadable: a warning names the unreadable file, once, and the network is used.
func foundBesideUnreadable(t *testing.T) {
	p := newPerson(t)
	p.Bridge("br0", "192.0.2.1/24")
	p.Baseline()
	p.network("blue", "blue0", "10.1.0.0/24")
	p.file("70-x.conflist", "")
	warning := "patchbay: skipped: " + p.conf + "/70-x.conflist: unexpected end of JSON input\n"
	for args, errors := range map[string]string{"--network br0 --ip 192.0.2.9": warning, "": warning, "--network blue": ""} {
		s := p.run(append([]string{"up", "web"}, strings.Fields(args)...)...)
		expect.Equal(t, args+": exit", s.exit, 0)
		expect.Equal(t, args+": warning", s.errors, errors)
		p.ok("down", "web")
	}
	conf := p.conf
	p.conf = conf + "/70-x.conflist" // not a directory
	s := p.run("up", "web", "--network", "br0", "--ip", "192.0.2.9")
	expect.Equal(t, "exit without a directory", s.exit, 0)
	expect.Contains(t, s.errors, "patchbay: skipped: list network configurations: ", "not a directory")
	p.ok("down", "web")
	p.conf = conf
	p.sh("mkdir -p /var/lib/lxc/box; echo lxc.uts.name = box >/var/lib/lxc/box/config")
	s = p.run("lxc", "enable", "box", "--conf-dir", p.conf)
	expect.Equal(t, "lxc enable: warning", s.errors, warning)
	expect.Contains(t, s.out, "box: network patchbay")
}

// unknownBesideUnreadable: the error names first what was looked for, and each unreadable file once.
func unknownBesideUnreadable(t *testing.T) {
	p := newPerson(t)
	p.file("70-x.conflist", "")
	torn := p.conf + "/70-x.conflist"
	p.try(commandLine{"up web --network br0", 1, `patchbay: no network or bridge "br0"; networks: patchbay (built in); 1 file could not be read: ` + torn + ": unexpected end of JSON input; see patchbay doctor\n"})
	p.network("blue", "blue0", "10.1.0.0/24")
	if err := os.Mkdir(filepath.Join(p.conf, "20-dir.conf"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, words := range []string{"ls --network bleu", "gc --network bleu", "show --network bleu", "ports --network bleu", "detach x --network bleu"} {
		s := p.fails([]string{`patchbay: no network "bleu"; networks: blue, patchbay (built in); 2 files could not be read: `, "20-dir.conf", ", and 1 more; see patchbay doctor; did you mean blue?"}, strings.Fields(words)...)
		expect.Equal(t, words+": times that the path is there", strings.Count(s.errors, "20-dir.conf"), 1)
	}
	p.network("green", "green0", "10.2.0.0/24")
	c := p.Container("box")
	expect.Contains(t, p.hook(c, ""), "no network is given, and "+p.conf+" has several: pass --network with one of blue, green; 2 files could not be read: ")
}
