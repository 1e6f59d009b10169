package reported

import (
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

const deletedNamespace = "web: namespace deleted\n"

// downs returns the rows of case 39.
func downs() []row {
	const kind = "down deletes the namespace that up created, and no other"
	return []row{
		{"39", "detach before down", kind, downAfter(func(p *person) { p.ok("detach", "web") })},
		{"39.1", "the records are lost", kind, downAfter(func(p *person) { p.sh("rm -r /run/patchbay/patchbay /run/patchbay/ipam") })},
		{"39.2", "gc after the host interface and the record were lost", kind, downAfter(func(p *person) {
			p.sh("ip netns exec web ip link del eth0")
			p.sh("rm -r /run/patchbay/patchbay /run/patchbay/ipam")
			p.ok("reload")
			p.ok("gc")
		})},
		{"39.3", "attached to another network meanwhile", kind, downAfter(func(p *person) {
			p.network("blue", "blue0", "10.1.0.0/24")
			p.ok("detach", "web")
			p.ok("attach", "web", "--network", "blue", "--interface", "eth1")
		})},
		{"39.4", "another namespace has the name", kind, keepsForeign("ip netns del web; ip netns add web")},
		{"39.5", "another namespace has the name, and nothing is attached", kind, keepsForeign("patchbay detach web; ip netns del web; ip netns add web")},
		{"39.6", "another namespace is bound over the name", kind, keepsForeign("ip netns add other; mount --bind /run/netns/other /run/netns/web")},
		{"39.7", "another namespace has the name, and is attached", kind, keepsForeign("patchbay detach web; ip netns del web; ip netns add web; patchbay attach web")},
		{"39.8", "up fails halfway", kind, upFailsHalfway},
		{"39.9", "only the empty file of the name is left", kind, downAfter(func(p *person) {
			p.ok("detach", "web")
			p.sh("umount /run/netns/web")
		})},
	}
}

// downAfter requires that down deletes what up has created, whatever happened in between.
func downAfter(meanwhile func(p *person)) func(t *testing.T) {
	return func(t *testing.T) {
		p := newPerson(t)
		p.ok("up", "web")
		meanwhile(p)
		s := p.run("down", "web")
		expect.Equal(t, "exit of down", s.exit, 0)
		expect.Contains(t, s.out, deletedNamespace)
		expect.Equal(t, "namespaces", p.names(), "")
		p.fails([]string{"network namespace web not found"}, "down", "web")
	}
}

// keepsForeign requires that down keeps a namespace that up did not create.
func keepsForeign(script string) func(t *testing.T) {
	return func(t *testing.T) {
		p := newPerson(t)
		p.ok("up", "web")
		for step := range strings.SplitSeq(script, "; ") {
			if words := strings.Fields(step); words[0] == "patchbay" {
				p.ok(words[1:]...)
				continue
			}
			p.sh(step)
		}
		p.sh("ip -n web link set lo alias foreign")
		if s := p.run("down", "web"); strings.Contains(s.out, "deleted") {
			t.Errorf("down says %q", s.out)
		}
		expect.Contains(t, p.sh("ip -n web link show lo"), "alias foreign")
		p.sh("umount -q /run/netns/web && mount | grep -q /run/netns/web && ip netns del web || rm -f /run/netns/web; ! test -e /run/netns/other || ip netns del other")
	}
}

// upFailsHalfway requires that up leaves neither a namespace nor a note about it: down then reports another namespace
// of that name as not its own.
func upFailsHalfway(t *testing.T) {
	p := newPerson(t)
	p.ok("up", "db")
	p.fails([]string{"10.77.0.2"}, "up", "web", "--ip", "10.77.0.2")
	expect.Equal(t, "namespaces", p.names(), "db")
	p.sh("ip netns add web")
	p.fails([]string{"patchbay up did not create namespace web"}, "down", "web")
	expect.Equal(t, "namespaces", strings.Fields(p.names()), []string{"db", "web"})
	p.sh("ip netns del web")
	p.ok("down", "db")
}

// defaultNetworks returns the rows of case 40.
func defaultNetworks() []row {
	const kind = "without --network the network is patchbay, whatever is configured"
	const laptop = "bridge patchbay0, network patchbay"
	return []row{
		{"40", "up beside the conflist of a runtime", kind, func(t *testing.T) {
			p := newPerson(t)
			p.ok("up", "db")
			p.network("bridge", "cni0", "10.88.0.0/16")
			expect.Contains(t, p.ok("up", "web"), laptop)
			p.ok("down", "web", "db")
		}},
		{"40.1", "attach beside the conflist of a runtime", kind, func(t *testing.T) {
			p := newPerson(t)
			p.network("bridge", "cni0", "10.88.0.0/16")
			p.sh("ip netns add web")
			expect.Contains(t, p.ok("attach", "web"), laptop)
			p.ok("detach", "web")
			p.sh("ip netns del web")
		}},
		{"40.2", "two conflists", kind, func(t *testing.T) {
			p := newPerson(t)
			p.network("bridge", "cni0", "10.88.0.0/16")
			p.network("blue", "blue0", "10.1.0.0/24")
			expect.Contains(t, p.ok("up", "web"), laptop)
			expect.Contains(t, p.ok("up", "db", "--network", "blue"), "bridge blue0, network blue")
			p.ok("down", "web", "db")
		}},
		{"40.3", "a conflist that cannot be read is named and skipped", kind, func(t *testing.T) {
			p := newPerson(t)
			p.file("10-torn.conflist", `{"name": "torn", `)
			s := p.run("up", "web")
			expect.Equal(t, "exit", s.exit, 0)
			expect.Contains(t, s.out, laptop)
			expect.Contains(t, s.errors, "10-torn.conflist")
			p.ok("down", "web")
		}},
		{"40.4", "lxc enable beside the conflist of a runtime", kind, func(t *testing.T) {
			p := newPerson(t)
			p.network("bridge", "cni0", "10.88.0.0/16")
			p.sh("mkdir -p /etc/cni/net.d; cp " + p.conf + "/bridge.conflist /etc/cni/net.d")
			p.sh("mkdir -p /var/lib/lxc/box; echo lxc.uts.name = box >/var/lib/lxc/box/config")
			expect.Contains(t, p.ok("lxc", "enable", "box"), "box: network patchbay")
			expect.Contains(t, p.sh("cat /var/lib/lxc/box/config"), "lxc-hook --network patchbay\n")
		}},
		{"40.5", "a file that configures patchbay itself counts", kind, func(t *testing.T) {
			p := newPerson(t)
			p.network("patchbay", "mine0", "10.9.0.0/24")
			expect.Contains(t, p.ok("up", "web"), "bridge mine0, network patchbay")
			p.ok("down", "web")
		}},
	}
}
