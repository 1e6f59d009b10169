package reported

import (
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/containernetworking/cni/libcni"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
	"github.com/patchbay-cni/patchbay/test/kit/conflist"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
	"github.com/patchbay-cni/patchbay/test/kit/serve"
)

// Claim: A network that is migrated by two words gives no address twice: host-local's directory of the network counts without a key
// Claim: DEL and GC of a container attached by the reference plugins remove its interface, address file, chains and rules, in iptables and
// nftables, and nothing of another container
func TestMoving(t *testing.T) { runRows(t, moving()) }

func moving() []row {
	const (
		moved = "changing two words does not affect running containers"
		whole = "DEL of a container of the reference plugins removes everything of it"
		old   = "an address file of the old form is released with a record too"
		asked = "CHECK succeeds with what the list itself requests"
	)
	return []row{
		{"5", "two words changed beside running containers: no address twice, and the DEL of the old ones", moved, movedBesideRunning(cni.Conf{"ipMasq": true}, false)},
		{"5.1", "the same with two families and ipMasqBackend nftables", moved, movedBesideRunning(cni.Conf{"ipMasq": true, "ipMasqBackend": "nftables"}, true)},
		{"5.2", "the same with two families by iptables", moved, movedBesideRunning(cni.Conf{"ipMasq": true}, true)},
		{"5.3", "portmap by iptables left out of the new list", whole, portmapLeftOut("iptables")},
		{"5.4", "portmap by nftables left out of the new list", whole, portmapLeftOut("nftables")},
		{"5.18", "portmap by iptables left out after containers of both were attached", whole, portmapLeftOutLater("iptables")},
		{"5.19", "portmap by nftables left out after containers of both were attached", whole, portmapLeftOutLater("nftables")},
		{"5.5", "macspoofchk of the reference bridge", whole, movedWithSpoofCheck},
		{"5.20", "DEL after an ADD that failed because of another program's interface", whole, foreignInterface},
		{"5.6", "DEL without a namespace", whole, movedWithoutNamespace},
		{"5.7", "GC for containers that are not listed", whole, movedThenGC},
		{"5.13", "the reference plugins used iptables-legacy", whole, movedFromLegacy},
		{"5.14", "back to the reference: its DEL, then gc", moved, wayBack},
		{"5.8", "only the main plugin changed, with host-local", moved, outerWordOnly},
		{"5.9", "only the IPAM plugin changed, with macvlan", moved, innerWordOnly},
		{"5.10", "STATUS counts the addresses of host-local", moved, statusCountsHostLocals},
		{"5.11", "live addresses in the state directory when host-local's appears", moved, bothDirectories},
		{"5.12", "host-local's directory of the network is a symbolic link", moved, linkedDirectory},
		{"5.15", "another user may write to host-local's directory of the network", moved, writableDirectory},
		{"5.16", "a container on two networks of the reference, one of which is moved", whole, twoNetworks},
		{"7", "DEL with a record, file of one line", old, oldFile("10.88.0.0/24", "DEL", "%s")},
		{"7.1", "DEL with a record, file of one line and CRLF, IPv6", old, oldFile("fd00:88::/64", "DEL", "%s\r\n")},
		{"7.2", "GC with a record, file of one line", old, oldFile("10.88.0.0/24", "GC", "%s\n")},
		{"7.3", "DEL with a record, single address with a route of the host", old, oldFile("10.88.0.9/32", "DEL", "%s")},
		{"7.4", "file of one line of another container stays", old, oldFileOfAnother},
		{"23", "reference firewall with isolated after patchbay", asked, firewallLeftIn("isolated", "10.88.0.0/24")},
		{"23.1", "reference firewall with same-bridge after patchbay", asked, firewallLeftIn("same-bridge", "10.88.0.0/24")},
		{"23.2", "reference firewall with isolated after patchbay, IPv6", asked, firewallLeftIn("isolated", "fd00:88::/64")},
		{"23.3", "a chain with policy drop that another program loaded after ADD", asked, dropLoadedAfter},
	}
}

// move is a network that is served by the reference plugins, and then by Patchbay.
type move struct {
	*conflist.Runtime
	lan             *nettest.LAN
	reference, ours *libcni.NetworkConfigList
}

func ipamOf(kind string, ranges ...string) cni.Conf {
	var sets [][]cni.Conf
	for _, subnet := range ranges {
		sets = append(sets, []cni.Conf{{"subnet": subnet}})
	}
	return cni.Conf{"type": kind, "ranges": sets}
}

// mainOf returns the configuration of the main plugin; between the plugins only two words differ.
func mainOf(kind, ipam string, keys cni.Conf, ranges ...string) cni.Conf {
	return cni.Conf{"type": kind, "bridge": "cni0", "isDefaultGateway": true, "ipam": ipamOf(ipam, ranges...)}.With(keys)
}

// newMove returns a host on a LAN, on which the reference has attached and deleted a container: what that left does
// not count.
func newMove(t *testing.T, keys cni.Conf, ranges []string, others ...cni.Conf) *move {
	t.Helper()
	nettest.Need(t, nettest.Tool("iptables"), nettest.Tool("nft"))
	m := &move{Runtime: conflist.New(t, nettest.Host(t))}
	m.lan = m.LAN(t)
	m.reference = conflist.List(t, "net", append([]cni.Conf{mainOf("bridge", "host-local", keys, ranges...)}, others...)...)
	m.ours = conflist.List(t, "net", append([]cni.Conf{mainOf("patchbay", "patchbay", keys, ranges...)}, others...)...)
	first := m.Container("first")
	ports := conflist.Port{HostPort: 9999, ContainerPort: 80, Protocol: "tcp"}
	m.Add(t, m.reference, first, ports)
	m.Del(t, m.reference, first, ports)
	first.Delete()
	m.Run(t, "sh", "-c", "rm -f /var/lib/cni/networks/net/last_reserved_ip.*")
	m.Baseline()
	return m
}

func families(dual bool) []string {
	if dual {
		return []string{"10.88.0.0/24", "fd00:88::/64"}
	}
	return []string{"10.88.0.0/24"}
}

// outside returns addresses that reply only to masqueraded packets: the LAN has no route back.
func outside(dual bool) []string {
	if dual {
		return []string{nettest.LANOutside4, nettest.LANOutside6}
	}
	return []string{nettest.LANOutside4}
}

func reaches(t *testing.T, c *nettest.Container, addrs ...string) {
	t.Helper()
	for _, a := range addrs {
		if result := c.Ping(netip.MustParseAddr(a), nettest.PingOptions{Timeout: 20 * time.Second}); !result.OK() {
			t.Errorf("%s to %s: %v", c.Name(), a, result)
		}
	}
}

func movedBesideRunning(keys cni.Conf, dual bool) func(*testing.T) {
	return func(t *testing.T) {
		m := newMove(t, keys, families(dual))
		given := map[string]string{}
		add := func(list *libcni.NetworkConfigList, name string) *nettest.Container {
			t.Helper()
			c := m.Container(name)
			for _, ip := range m.Add(t, list, c).IPs {
				if other, taken := given[ip.Address.IP.String()]; taken {
					t.Errorf("%s was given %s, which %s has", name, ip.Address.IP, other)
				}
				given[ip.Address.IP.String()] = name
			}
			return c
		}
		r1, r2 := add(m.reference, "r1"), add(m.reference, "r2")
		p1 := add(m.ours, "p1")
		for _, c := range []*nettest.Container{r1, r2, p1} {
			reaches(t, c, outside(dual)...)
		}
		m.Del(t, m.ours, r1)
		hasNoInterface(t, r1)
		reaches(t, r2, outside(dual)...)
		reaches(t, p1, outside(dual)...)
		m.Del(t, m.ours, r1) // a second DEL is no error
		if err := m.Check(m.ours, r2); err == nil || !strings.Contains(err.Error(), "no record") || !strings.Contains(err.Error(), "another plugin attached the container") {
			t.Errorf("CHECK of a container that the reference made: %v", err)
		}
		reaches(t, r2, outside(dual)...)
		m.Del(t, m.ours, p1)
		m.Del(t, m.ours, r2)
		m.NoLeaks(t)
	}
}

func hasNoInterface(t *testing.T, c *nettest.Container) {
	t.Helper()
	if _, err := c.Netlink().LinkByName("eth0"); err == nil {
		t.Errorf("%s still has eth0", c.Name())
	}
}

// portmapLeftOut: the new list publishes ports itself, and the ports of the old containers are published by portmap.
func portmapLeftOut(backend string) func(*testing.T) {
	return func(t *testing.T) {
		portmap := cni.Conf{"type": "portmap", "capabilities": cni.Conf{"portMappings": true}, "backend": backend}
		m := newMove(t, cni.Conf{"ipMasq": true}, families(true), portmap)
		m.ours = conflist.List(t, "net", mainOf("patchbay", "patchbay", cni.Conf{"ipMasq": true, "capabilities": cni.Conf{"portMappings": true}}, families(true)...))
		r1, r2, p1 := m.Container("r1"), m.Container("r2"), m.Container("p1")
		ports := []conflist.Port{{HostPort: 8081, ContainerPort: 80, Protocol: "tcp"}, {HostPort: 8082, ContainerPort: 80, Protocol: "tcp"}, {HostPort: 8083, ContainerPort: 80, Protocol: "tcp"}}
		for _, c := range []*nettest.Container{r1, r2, p1} {
			serve.TCP(t, c.Netns, ":80", nil)
		}
		m.Add(t, m.reference, r1, ports[0])
		m.Add(t, m.reference, r2, ports[1])
		m.Add(t, m.ours, p1, ports[2])
		for _, port := range []int{8081, 8082, 8083} {
			m.connects(t, port, true)
		}
		m.Del(t, m.ours, r1, ports[0])
		m.connects(t, 8081, false)
		m.connects(t, 8082, true)
		m.connects(t, 8083, true)
		m.Del(t, m.ours, r2, ports[1])
		m.Del(t, m.ours, p1, ports[2])
		m.NoLeaks(t)
	}
}

// portmapLeftOutLater: a container of Patchbay has its port from portmap, which is then removed from the list.
func portmapLeftOutLater(backend string) func(*testing.T) {
	return func(t *testing.T) {
		portmap := cni.Conf{"type": "portmap", "capabilities": cni.Conf{"portMappings": true}, "backend": backend}
		m := newMove(t, cni.Conf{"ipMasq": true}, families(true), portmap)
		alone := conflist.List(t, "net", mainOf("patchbay", "patchbay", cni.Conf{"ipMasq": true, "capabilities": cni.Conf{"portMappings": true}}, families(true)...))
		port := conflist.Port{HostPort: 8081, ContainerPort: 80, Protocol: "tcp"}
		other := conflist.Port{HostPort: 8082, ContainerPort: 80, Protocol: "tcp"}
		p1, p2, p3 := m.Container("p1"), m.Container("p2"), m.Container("p3")
		for _, c := range []*nettest.Container{p1, p2, p3} {
			serve.TCP(t, c.Netns, ":80", nil)
		}
		m.Add(t, m.ours, p1, port)
		m.Add(t, m.ours, p2, other)
		m.connects(t, 8081, true)
		m.Del(t, alone, p1, port)
		m.connects(t, 8081, false)
		m.connects(t, 8082, true)
		m.Add(t, alone, p3, port)
		m.connects(t, 8081, true) // not to where p1 was
		m.Del(t, alone, p3, port)
		m.Del(t, alone, p2, other)
		m.NoLeaks(t)
	}
}

// foreignInterface: the interface is a veth on the network's bridge, and nothing shows that the reference created it.
func foreignInterface(t *testing.T) {
	m := newMove(t, nil, families(false))
	c := m.Container("c")
	m.Veth("va", c.Netns, "eth0")
	m.Plug("va", "cni0")
	c.AddAddress("eth0", "10.88.0.77/24")
	m.Baseline()
	if _, err := m.TryAdd(m.ours, c); err == nil || !strings.Contains(err.Error(), "interface eth0 in ") {
		t.Errorf("ADD: %v", err)
	}
	m.Del(t, m.ours, c)
	m.NoLeaks(t) // eth0 and va exist
}

func movedWithSpoofCheck(t *testing.T) {
	m := newMove(t, cni.Conf{"macspoofchk": true}, families(false))
	m.ours = conflist.List(t, "net", mainOf("patchbay", "patchbay", nil, families(false)...))
	r1, r2 := m.Container("r1"), m.Container("r2")
	m.Add(t, m.reference, r1)
	m.Add(t, m.reference, r2)
	m.Del(t, m.ours, r1)
	if rules := m.Run(t, "nft", "list", "table", "bridge", "nat"); strings.Contains(rules, r1.ID()) || !strings.Contains(rules, "cni-br-iface-"+r2.ID()+"-eth0-mac") {
		t.Errorf("table bridge nat after the DEL of r1:\n%s", rules)
	}
	m.Del(t, m.ours, r2)
	m.NoLeaks(t)
}

// twoNetworks: portmap with nftables marks the rules of both networks with the container ID alone.
func twoNetworks(t *testing.T) {
	portmap := cni.Conf{"type": "portmap", "capabilities": cni.Conf{"portMappings": true}, "backend": "nftables"}
	masq := cni.Conf{"ipMasq": true, "ipMasqBackend": "nftables"}
	m := newMove(t, masq, families(false), portmap)
	m.ours = conflist.List(t, "net", mainOf("patchbay", "patchbay", masq, families(false)...))
	second := *m.Runtime
	second.IfName = "eth1"
	other := conflist.List(t, "other", cni.Conf{"type": "bridge", "bridge": "cni1", "isGateway": true, "ipam": ipamOf("host-local", "10.99.0.0/24")}.With(masq), portmap)
	c := m.Container("c")
	serve.TCP(t, c.Netns, ":80", nil)
	ports := []conflist.Port{{HostPort: 8081, ContainerPort: 80, Protocol: "tcp"}, {HostPort: 8082, ContainerPort: 80, Protocol: "tcp"}}
	m.Add(t, m.reference, c, ports[0])
	second.Add(t, other, c, ports[1])
	m.Del(t, m.ours, c, ports[0])
	hasNoInterface(t, c)
	if _, err := c.Netlink().LinkByName("eth1"); err != nil {
		t.Errorf("the interface of the other network: %v", err)
	}
	rules := m.Run(t, "nft", "list", "ruleset")
	for text, want := range map[string]bool{"dport 8081 ": false, "dport 8082 ": true, "saddr 10.88.0.2 ": false, "saddr 10.99.0.2 ": true} {
		if strings.Contains(rules, text) != want {
			t.Errorf("rules with %q: %t, want %t:\n%s", text, !want, want, rules)
		}
	}
	second.Del(t, other, c, ports[1])
	m.Run(t, "sh", "-ec", "ip link del cni1; rm -r /var/lib/cni/networks/other")
	m.NoLeaks(t)
}

// movedWithoutNamespace: the runtime deletes the namespace first, as after a crash.
func movedWithoutNamespace(t *testing.T) {
	m := newMove(t, cni.Conf{"ipMasq": true}, families(true))
	r1, r2 := m.Container("r1"), m.Container("r2")
	m.Add(t, m.reference, r1)
	m.Add(t, m.reference, r2)
	r1.Delete()
	m.DelWithout(t, m.ours, r1)
	expect.Equal(t, "owners of addresses", m.owners(t), map[string]int{r2.ID(): 2})
	reaches(t, r2, outside(true)...)
	r2.Delete()
	m.Del(t, m.ours, r2) // with the path of a deleted namespace
	m.NoLeaks(t)
}

// movedThenGC: the runtime was restarted without its cache and lists the attachments that it knows.
func movedThenGC(t *testing.T) {
	for _, backend := range []string{"iptables", "nftables"} {
		m := newMove(t, cni.Conf{"ipMasq": true, "ipMasqBackend": backend}, families(true))
		listed := conflist.ListOf(t, cni.Conf{"cniVersion": "1.1.0", "name": "net"}, mainOf("patchbay", "patchbay", cni.Conf{"ipMasq": true}, families(true)...))
		r1, r2, p1 := m.Container("r1"), m.Container("r2"), m.Container("p1")
		m.Add(t, m.reference, r1)
		m.Add(t, m.reference, r2)
		m.Add(t, listed, p1)
		r1.Delete()
		m.GC(t, listed, r2, p1)
		expect.Equal(t, "owners of addresses with "+backend, m.owners(t), map[string]int{r2.ID(): 2, p1.ID(): 2})
		reaches(t, r2, outside(true)...)
		reaches(t, p1, outside(true)...)
		p1.Delete()
		r2.Delete()
		m.GC(t, listed)
		m.NoLeaks(t)
	}
}

// movedFromLegacy: where iptables is iptables-legacy its rules are in no table of nftables.
func movedFromLegacy(t *testing.T) {
	nettest.Need(t, nettest.Tool("iptables"), nettest.Tool("iptables-legacy"))
	r := conflist.New(t, nettest.Host(t))
	lan := r.LAN(t)
	r.Run(t, "sh", "-ec", `
		legacy=$(readlink -f "$(command -v iptables-legacy)") used=$(readlink -f "$(command -v iptables)")
		[ "$legacy" = "$used" ] || mount --bind "$legacy" "$used"
		iptables --version | grep -q legacy`)
	m := &move{Runtime: r, lan: lan}
	portmap := cni.Conf{"type": "portmap", "capabilities": cni.Conf{"portMappings": true}, "backend": "iptables"}
	masq := cni.Conf{"ipMasq": true}
	m.reference = conflist.List(t, "net", mainOf("bridge", "host-local", masq, families(true)...), portmap)
	m.ours = conflist.List(t, "net", mainOf("patchbay", "patchbay", masq, families(true)...))
	r1, r2 := m.Container("r1"), m.Container("r2")
	ports := []conflist.Port{{HostPort: 8081, ContainerPort: 80, Protocol: "tcp"}, {HostPort: 8082, ContainerPort: 80, Protocol: "tcp"}}
	for i, c := range []*nettest.Container{r1, r2} {
		serve.TCP(t, c.Netns, ":80", nil)
		m.Add(t, m.reference, c, ports[i])
	}
	m.connects(t, 8081, true)
	m.Del(t, m.ours, r1)
	m.connects(t, 8081, false)
	m.connects(t, 8082, true)
	reaches(t, r2, outside(true)...)
	m.Del(t, m.ours, r2)
	for _, family := range []string{"iptables", "ip6tables"} {
		rules := m.Run(t, family+"-legacy-save")
		for _, c := range []*nettest.Container{r1, r2} {
			if strings.Contains(rules, c.ID()) {
				t.Errorf("%s has rules of %s:\n%s", family, c.Name(), rules)
			}
		}
		if strings.Contains(rules, ":CNI-DN-") || strings.Count(rules, ":CNI-") != strings.Count(rules, ":CNI-HOSTPORT-") {
			t.Errorf("%s has chains of containers:\n%s", family, rules)
		}
	}
}

// wayBack: gc removes what the reference's DEL leaves of a container of Patchbay, also while the namespace exists.
func wayBack(t *testing.T) {
	m := newMove(t, cni.Conf{"ipMasq": true}, families(true))
	ports := cni.Conf{"capabilities": cni.Conf{"portMappings": true}, "ipMasq": true}
	m.ours = conflist.List(t, "net", mainOf("patchbay", "patchbay", ports, families(true)...))
	p1, p2, p3 := m.Container("p1"), m.Container("p2"), m.Container("p3")
	port := conflist.Port{HostPort: 8081, ContainerPort: 80, Protocol: "tcp"}
	serve.TCP(t, p1.Netns, ":80", nil)
	serve.TCP(t, p3.Netns, ":80", nil)
	m.Add(t, m.ours, p1, port)
	m.Add(t, m.ours, p2)
	m.connects(t, 8081, true)
	m.Del(t, m.reference, p1, port)
	m.Del(t, m.reference, p2)
	p2.Delete()
	said := m.Patchbay(t, "gc")
	expect.Contains(t, said, "removed net/"+p1.ID()+"/eth0", "removed net/"+p2.ID()+"/eth0")
	m.NoLeaks(t)
	expect.Equal(t, "gc again", strings.Contains(m.Patchbay(t, "gc"), "net/"), false)
	m.Add(t, m.ours, p3, port) // the port can be published
	m.connects(t, 8081, true)
	m.Del(t, m.reference, p3, port)
	m.Add(t, m.ours, p3, port) // the record of an attachment that the reference deleted does not conflict
	m.connects(t, 8081, true)
	m.Del(t, m.ours, p3, port)
	m.NoLeaks(t)
}

// owners counts the addresses of each container in host-local's directory.
func (m *move) owners(t *testing.T) map[string]int {
	t.Helper()
	all := map[string]int{}
	for _, path := range strings.Fields(m.Run(t, "find", "/var/lib/cni/networks/net", "-type", "f")) {
		if _, err := netip.ParseAddr(filepath.Base(path)); err == nil {
			id, _, _ := strings.Cut(m.Run(t, "cat", path), "\r\n")
			all[id]++
		}
	}
	return all
}
