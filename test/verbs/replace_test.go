package verbs

import (
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/expect"
)

const (
	codeAttached  = 100
	codeElsewhere = 101
)

// TestAddAfterCrashKeepsAddress: record and address files are there, the cable is not. Nobody is asked to clean up.
func TestAddAfterCrashKeepsAddress(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c := h.Container("c")
	a, r := attach(t, h, c, network(defaultGateway(), pool("10.1.0.0/24", "fd00:1::/64")))
	attach(t, h, h.Container("d"), network(defaultGateway(), pool("10.1.0.0/24", "fd00:1::/64")))
	ip(t, h.Netns, "link del "+hostEnd(t, r))
	expect.Equal(t, "addresses", addresses(a.add(t)), []string{"10.1.0.2/24", "fd00:1::2/64"})
	a.check(t)
}

// TestAddInNewNamespaceKeepsAddress: the old one is gone, the ID is used again.
func TestAddInNewNamespaceKeepsAddress(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c, d := h.Container("c"), h.Container("d")
	a, r := attach(t, h, c, network(defaultGateway(), pool("10.1.0.0/24")))
	c.Delete()
	linkGone(t, h.Netns, hostEnd(t, r))
	a.netns = d.Path()
	expect.Equal(t, "addresses", addresses(a.add(t)), []string{"10.1.0.2/24"})
	a.check(t)
	expect.Equal(t, "records", len(files(t, h, "/run/patchbay/net")), 1)
}

// TestAddAfterCrashWithOtherRanges: the old address is none of the network's any more.
func TestAddAfterCrashWithOtherRanges(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	a, r := attach(t, h, h.Container("c"), network(pool("10.1.0.0/24")))
	ip(t, h.Netns, "link del "+hostEnd(t, r))
	a.conf = network(pool("10.2.0.0/24"))
	expect.Equal(t, "addresses", addresses(a.add(t)), []string{"10.2.0.2/24"})
	expect.Equal(t, "address files", len(files(t, h, "/run/patchbay/ipam/net")["10.1.0.2"]), 0)
}

// TestAddAfterCrashWithTornRecord cleans up by the derived names.
func TestAddAfterCrashWithTornRecord(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	a, r := attach(t, h, h.Container("c"), network(pool("10.1.0.0/24")))
	ip(t, h.Netns, "link del "+hostEnd(t, r))
	writeFile(t, h, recordPath(a), `{"version": 1, "netw`)
	a.add(t)
	a.check(t)
	held := 0
	for _, text := range files(t, h, addressDir(a)) {
		if text == a.id+"\r\neth0" {
			held++
		}
	}
	expect.Equal(t, "addresses held", held, 1)
}

// TestAddAfterCrashBetweenTwoMessages: the cable is there, its alias is not yet.
func TestAddAfterCrashBetweenTwoMessages(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c := h.Container("c")
	a, r := attach(t, h, c, network(pool("10.1.0.0/24")))
	h.Run(t, "ip", "link", "set", hostEnd(t, r), "alias", "")
	expect.Equal(t, "addresses", addresses(a.add(t)), []string{"10.1.0.2/24"})
	a.check(t)
}

// TestAddAfterCrashWithSingleAddress: its route to the bridge is made anew.
func TestAddAfterCrashWithSingleAddress(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c := h.Container("c")
	a, r := attach(t, h, c, network(defaultGateway(), singles()))
	ip(t, h.Netns, "link del "+hostEnd(t, r))
	a.add(t)
	a.check(t)
	ping(t, c.Netns, "10.9.0.1")
}

// TestAddTwiceIsAnError and harms nothing.
func TestAddTwiceIsAnError(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c := h.Container("c")
	a, _ := attach(t, h, c, network(defaultGateway(), pool("10.1.0.0/24")))
	before := picture(t, h, c)
	expect.Contains(t, a.fails(t, "ADD", codeAttached).Msg, "container "+a.id+" has eth0 on network net")
	expect.Equal(t, "picture", picture(t, h, c), before)
	a.check(t)
}

// TestAddOfLivingContainerElsewhereIsAnError that names both namespaces; the living one lives on.
func TestAddOfLivingContainerElsewhereIsAnError(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c, d := h.Container("c"), h.Container("d")
	a, _ := attach(t, h, c, network(defaultGateway(), pool("10.1.0.0/24")))
	second := on(h, d, a.conf)
	second.id = a.id
	expect.Contains(t, second.fails(t, "ADD", codeElsewhere).Msg, c.Path(), d.Path())
	a.check(t)
	ping(t, c.Netns, "10.1.0.1")
}

// moved makes a path of a container lead to another one; what it returns makes it lead back.
func moved(t *testing.T, h *nettest.Node, from, to *nettest.Container) (back func()) {
	t.Helper()
	h.Run(t, "mount", "--bind", to.Path(), from.Path())
	return func() { h.Run(t, "umount", from.Path()) }
}

// TestAddAtAPathThatLeadsElsewhere: the path is that of the living one, the namespace is not.
func TestAddAtAPathThatLeadsElsewhere(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c, d := h.Container("c"), h.Container("d")
	a, _ := attach(t, h, c, network(defaultGateway(), pool("10.1.0.0/24")))
	back := moved(t, h, c, d)
	answer := on(h, c, a.conf).run(t, "ADD")
	back()
	expect.Equal(t, "code", answer.Error(t).Code, codeElsewhere)
	a.check(t)
}

// TestAddThatFailsLeavesNothing: of a network that is there, and of one whose bridge is new.
func TestAddThatFailsLeavesNothing(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c := h.Container("c")
	n := network(defaultGateway(), ipam(conf{
		"ranges": [][]conf{{{"subnet": "10.1.0.0/24"}}},
		"routes": []conf{{"dst": "198.51.100.0/24", "priority": 5}, {"dst": "198.51.100.0/24", "priority": 5}},
	}))
	a := on(h, c, n)
	a.fails(t, "ADD", 7)
	noLeaks(t, h)
	expect.Equal(t, "eth0", hasLink(t, c.Netns, "eth0"), false)
	expect.Equal(t, "records", len(files(t, h, "/run/patchbay/net")), 0)
	expect.Equal(t, "address", files(t, h, addressDir(a))["10.1.0.2"], "")
}

// TestFailedFirstAddKeepsScaffolding: somebody else may be plugged in by now.
func TestFailedFirstAddKeepsScaffolding(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	a := on(h, h.Container("c"), network(gateway(), pool("10.1.0.0/24")))
	a.plugin = redirected(t, "/dev/full")
	expect.Equal(t, "exit", a.run(t, "ADD").Exit, 1)
	expect.Equal(t, "gateway", addressesOf(t, h.Netns, "cni0"), []string{"10.1.0.1/24"})
	expect.Equal(t, "bridge is up", isUp(t, h.Netns, "cni0"), true)
	expect.Equal(t, "forwarding", h.Sysctl("net/ipv4/ip_forward"), "1")
	expect.Equal(t, "address files", files(t, h, addressDir(a)), map[string]string{"last_reserved_ip.0": "10.1.0.2", "lock": ""})
	noLeaks(t, h)
}

// TestAddOfOtherHostsContainerIsAnError: nothing here can tell whether it lives; it keeps what it has.
func TestAddOfOtherHostsContainerIsAnError(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c, d := h.Container("c"), h.Container("d")
	a, _ := attach(t, h, c, network(pool("10.1.0.0/24")))
	a.die(t, c)
	editRecord(t, a, `"hostCookie": `, `"hostCookie": 9`)
	before := files(t, h, addressDir(a))
	a.netns = d.Path()
	expect.Contains(t, a.fails(t, "ADD", codeElsewhere).Msg, c.Path(), d.Path())
	expect.Equal(t, "address files", files(t, h, addressDir(a)), before)
	a.del(t)
}

// TestAddOfChainedContainerAliveElsewhere is an error too; with its sandbox gone it is replaced, though the tap is still plugged in.
func TestAddOfChainedContainerAliveElsewhere(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	h.Oracle(nettest.Attachment)
	h.Run(t, "ip", "tuntap", "add", "tap0", "mode", "tap")
	h.Run(t, "ip", "link", "set", "tap0", "up")
	h.Baseline()
	c, d := h.Container("c"), h.Container("d")
	n := network(pool("10.1.0.0/24"), conf{"prevResult": conf{"cniVersion": "1.1.0", "interfaces": []conf{{"name": "tap0"}}}})
	a, _ := attach(t, h, c, n)
	expect.Contains(t, a.fails(t, "ADD", codeAttached).Msg, "attached already")
	a.netns = d.Path()
	expect.Contains(t, a.fails(t, "ADD", codeElsewhere).Msg, c.Path(), d.Path())
	expect.Equal(t, "ports", portsOf(t, h.Netns, "cni0"), []string{"tap0"})
	c.Delete()
	expect.Equal(t, "addresses", addresses(a.add(t)), []string{"10.1.0.2/24"})
	a.del(t)
}

// TestAddAsIPAMWithTornRecord: what is reserved may be in use; with nothing reserved there is a new record.
func TestAddAsIPAMWithTornRecord(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	a := on(h, h.Container("c"), network(conf{"type": "macvlan"}, pool("10.1.0.0/24")))
	a.add(t)
	writeFile(t, h, recordPath(a), `{"vers`)
	expect.Contains(t, a.fails(t, "ADD", codeAttached).Msg, "[10.1.0.2] reserved for eth0, and a record that cannot be read")
	removeAll(t, h, addressDir(a)+"/10.1.0.2")
	expect.Equal(t, "addresses", addresses(a.add(t)), []string{"10.1.0.3/24"})
	a.check(t)
}

// TestAddOfContainerThatAnotherPluginHasIsAnError: its address is in use by a link that is not ours to see.
func TestAddOfContainerThatAnotherPluginHasIsAnError(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c := h.Container("c")
	theirs := on(h, c, network(conf{"type": "macvlan"}, pool("10.1.0.0/24")))
	theirs.add(t)
	ours := on(h, c, network(pool("10.1.0.0/24")))
	ours.fails(t, "ADD", codeAttached)
	theirs.check(t)
}
