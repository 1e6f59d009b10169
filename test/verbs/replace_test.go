package verbs

import (
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

const (
	codeAttached  = 100
	codeElsewhere = 101
)

// TestAddAfterCrashKeepsAddress: record and address files exist, the veth pair does not. No DEL comes first.
//
// Claim: ADD can be repeated: a second time, after a crash, in another namespace
// Claim: ADD that finds its own record handles an attachment that is live here, live elsewhere, undecidable, or stale
func TestAddAfterCrashKeepsAddress(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c := h.Container("c")
	a, r := attach(t, h, c, cni.Network(cni.DefaultGateway(), cni.Pool("10.1.0.0/24", "fd00:1::/64")))
	attach(t, h, h.Container("d"), cni.Network(cni.DefaultGateway(), cni.Pool("10.1.0.0/24", "fd00:1::/64")))
	ip(t, h.Netns, "link del "+hostEnd(t, r))
	expect.Equal(t, "addresses", addresses(a.add(t)), []string{"10.1.0.2/24", "fd00:1::2/64"})
	a.check(t)
}

// TestAddInNewNamespaceKeepsAddress: the old namespace no longer exists, and the runtime uses the container ID again.
func TestAddInNewNamespaceKeepsAddress(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c, d := h.Container("c"), h.Container("d")
	a, r := attach(t, h, c, cni.Network(cni.DefaultGateway(), cni.Pool("10.1.0.0/24")))
	c.Delete()
	linkGone(t, h.Netns, hostEnd(t, r))
	a.netns = d.Path()
	expect.Equal(t, "addresses", addresses(a.add(t)), []string{"10.1.0.2/24"})
	a.check(t)
	expect.Equal(t, "records", len(files(t, h, "/run/patchbay/net")), 1)
}

// TestAddAfterCrashWithOtherRanges: the old address is outside the ranges that the configuration has now.
func TestAddAfterCrashWithOtherRanges(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	a, r := attach(t, h, h.Container("c"), cni.Network(cni.Pool("10.1.0.0/24")))
	ip(t, h.Netns, "link del "+hostEnd(t, r))
	a.conf = cni.Network(cni.Pool("10.2.0.0/24"))
	expect.Equal(t, "addresses", addresses(a.add(t)), []string{"10.2.0.2/24"})
	expect.Equal(t, "address files", len(files(t, h, "/run/patchbay/ipam/net")["10.1.0.2"]), 0)
}

// TestAddAfterCrashWithTornRecord: ADD finds the interfaces to remove by their derived names.
func TestAddAfterCrashWithTornRecord(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	a, r := attach(t, h, h.Container("c"), cni.Network(cni.Pool("10.1.0.0/24")))
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

// TestAddAfterCrashBetweenTwoMessages: the veth pair exists but has no alias yet.
func TestAddAfterCrashBetweenTwoMessages(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c := h.Container("c")
	a, r := attach(t, h, c, cni.Network(cni.Pool("10.1.0.0/24")))
	h.Run(t, "ip", "link", "set", hostEnd(t, r), "alias", "")
	expect.Equal(t, "addresses", addresses(a.add(t)), []string{"10.1.0.2/24"})
	a.check(t)
}

// TestAddAfterCrashWithSingleAddress: the host route to the address is created again.
func TestAddAfterCrashWithSingleAddress(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c := h.Container("c")
	a, r := attach(t, h, c, cni.Network(cni.DefaultGateway(), singles()))
	ip(t, h.Netns, "link del "+hostEnd(t, r))
	a.add(t)
	a.check(t)
	ping(t, c.Netns, "10.9.0.1")
}

// TestAddTwiceIsAnError: the second ADD fails and leaves the attachment unchanged.
//
// Claim: ADD can be repeated: a second time, after a crash, in another namespace
// Claim: ADD that finds its own record handles an attachment that is live here, live elsewhere, undecidable, or stale
func TestAddTwiceIsAnError(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c := h.Container("c")
	a, _ := attach(t, h, c, cni.Network(cni.DefaultGateway(), cni.Pool("10.1.0.0/24")))
	before := picture(t, h, c)
	expect.Contains(t, a.fails(t, "ADD", codeAttached).Msg, "container "+a.id+" has eth0 on network net")
	expect.Equal(t, "picture", picture(t, h, c), before)
	a.check(t)
}

// TestAddOfLiveContainerElsewhereIsAnError: the error names both namespaces, and the live attachment is kept.
//
// Claim: ADD can be repeated: a second time, after a crash, in another namespace
// Claim: ADD that finds its own record handles an attachment that is live here, live elsewhere, undecidable, or stale
func TestAddOfLiveContainerElsewhereIsAnError(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c, d := h.Container("c"), h.Container("d")
	a, _ := attach(t, h, c, cni.Network(cni.DefaultGateway(), cni.Pool("10.1.0.0/24")))
	second := on(h, d, a.conf)
	second.id = a.id
	expect.Contains(t, second.fails(t, "ADD", codeElsewhere).Msg, c.Path(), d.Path())
	a.check(t)
	ping(t, c.Netns, "10.1.0.1")
}

// moved mounts the namespace of another container at the path of one, and returns a function that unmounts it.
func moved(t *testing.T, h *nettest.Node, from, to *nettest.Container) (back func()) {
	t.Helper()
	h.Run(t, "mount", "--bind", to.Path(), from.Path())
	return func() { h.Run(t, "umount", from.Path()) }
}

// TestAddAtPathOfAnotherNamespace: the path is that of a live attachment, but the namespace at it is another one.
//
// Claim: A namespace is identified by its cookie: another namespace at the same path is another one, for ADD and for DEL
func TestAddAtPathOfAnotherNamespace(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c, d := h.Container("c"), h.Container("d")
	a, _ := attach(t, h, c, cni.Network(cni.DefaultGateway(), cni.Pool("10.1.0.0/24")))
	back := moved(t, h, c, d)
	answer := on(h, c, a.conf).run(t, "ADD")
	back()
	expect.Equal(t, "code", answer.Error(t).Code, codeElsewhere)
	a.check(t)
}

// TestAddThatFailsLeavesNothing: on a network that is in use, and on one whose bridge the ADD has created.
//
// Claim: ADD can be repeated: a second time, after a crash, in another namespace
func TestAddThatFailsLeavesNothing(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c := h.Container("c")
	n := cni.Network(cni.DefaultGateway(), cni.IPAM(cni.Conf{
		"ranges": [][]cni.Conf{{{"subnet": "10.1.0.0/24"}}},
		"routes": []cni.Conf{{"dst": "198.51.100.0/24", "priority": 5}, {"dst": "198.51.100.0/24", "priority": 5}},
	}))
	a := on(h, c, n)
	a.fails(t, "ADD", 7)
	noLeaks(t, h)
	expect.Equal(t, "eth0", hasLink(t, c.Netns, "eth0"), false)
	expect.Equal(t, "records", len(files(t, h, "/run/patchbay/net")), 0)
	expect.Equal(t, "address", files(t, h, addressDir(a))["10.1.0.2"], "")
}

// TestFailedFirstAddKeepsBridge: a failed ADD keeps bridge, gateway address and forwarding, because another attachment
// may use them already.
//
// Claim: Shared objects stay, even where the first ADD fails; GC keeps what is newer than itself
func TestFailedFirstAddKeepsBridge(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	a := on(h, h.Container("c"), cni.Network(cni.Gateway(), cni.Pool("10.1.0.0/24")))
	a.plugin = redirected(t, "/dev/full")
	expect.Equal(t, "exit", a.run(t, "ADD").Exit, 1)
	expect.Equal(t, "gateway", addressesOf(t, h.Netns, "cni0"), []string{"10.1.0.1/24"})
	expect.Equal(t, "bridge is up", isUp(t, h.Netns, "cni0"), true)
	expect.Equal(t, "forwarding", h.Sysctl("net/ipv4/ip_forward"), "1")
	expect.Equal(t, "address files", files(t, h, addressDir(a)), map[string]string{"last_reserved_ip.0": "10.1.0.2", "lock": ""})
	noLeaks(t, h)
}

// TestAddOfOtherHostsContainerIsAnError: the network namespace of its host exists, and nothing on this host shows
// whether the attachment is live; it keeps its addresses.
//
// Claim: ADD that finds its own record handles an attachment that is live here, live elsewhere, undecidable, or stale
func TestAddOfOtherHostsContainerIsAnError(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c, d := h.Container("c"), h.Container("d")
	a, _ := attach(t, h, c, cni.Network(cni.Pool("10.1.0.0/24")))
	neighbour, _ := attach(t, h, h.Container("e"), cni.Network(cni.Pool("10.1.0.0/24")))
	a.loseContainer(t, c)
	hostedBy(t, a, neighbour)
	before := files(t, h, addressDir(a))
	a.netns = d.Path()
	expect.Contains(t, a.fails(t, "ADD", codeElsewhere).Msg, c.Path(), d.Path())
	expect.Equal(t, "address files", files(t, h, addressDir(a)), before)
	a.del(t)
}

// TestAddOfChainedContainerLiveElsewhere: ADD fails; once the sandbox no longer exists ADD replaces the attachment,
// although the tap is still a bridge port.
//
// Claim: ADD that finds its own record handles an attachment that is live here, live elsewhere, undecidable, or stale
func TestAddOfChainedContainerLiveElsewhere(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	h.Oracle(nettest.Attachment)
	h.Run(t, "ip", "tuntap", "add", "tap0", "mode", "tap")
	h.Run(t, "ip", "link", "set", "tap0", "up")
	h.Baseline()
	c, d := h.Container("c"), h.Container("d")
	n := cni.Network(cni.Pool("10.1.0.0/24"), cni.Conf{"prevResult": cni.Conf{"cniVersion": "1.1.0", "interfaces": []cni.Conf{{"name": "tap0"}}}})
	a, _ := attach(t, h, c, n)
	expect.Contains(t, a.fails(t, "ADD", codeAttached).Msg, "already attached")
	a.netns = d.Path()
	expect.Contains(t, a.fails(t, "ADD", codeElsewhere).Msg, c.Path(), d.Path())
	expect.Equal(t, "ports", portsOf(t, h.Netns, "cni0"), []string{"tap0"})
	c.Delete()
	expect.Equal(t, "addresses", addresses(a.add(t)), []string{"10.1.0.2/24"})
	a.del(t)
}

// TestAddAsIPAMWithTornRecord: reserved addresses may be in use, so ADD fails; if none is reserved ADD writes a new
// record.
//
// Claim: ADD that finds its own record handles an attachment that is live here, live elsewhere, undecidable, or stale
func TestAddAsIPAMWithTornRecord(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	a := on(h, h.Container("c"), cni.Network(cni.Conf{"type": "macvlan"}, cni.Pool("10.1.0.0/24")))
	a.add(t)
	writeFile(t, h, recordPath(a), `{"vers`)
	expect.Contains(t, a.fails(t, "ADD", codeAttached).Msg, "[10.1.0.2] reserved for eth0, and a record that cannot be read")
	removeAll(t, h, addressDir(a)+"/10.1.0.2")
	expect.Equal(t, "addresses", addresses(a.add(t)), []string{"10.1.0.3/24"})
	a.check(t)
}

// TestAddOfContainerOfAnotherPluginIsAnError: its address is on an interface that Patchbay did not create and
// cannot find.
//
// Claim: ADD that finds its own record handles an attachment that is live here, live elsewhere, undecidable, or stale
func TestAddOfContainerOfAnotherPluginIsAnError(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c := h.Container("c")
	theirs := on(h, c, cni.Network(cni.Conf{"type": "macvlan"}, cni.Pool("10.1.0.0/24")))
	theirs.add(t)
	ours := on(h, c, cni.Network(cni.Pool("10.1.0.0/24")))
	ours.fails(t, "ADD", codeAttached)
	theirs.check(t)
}
