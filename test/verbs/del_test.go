package verbs

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// everything returns a network whose attachments have all that DEL must remove: a veth pair, addresses of both
// families, and routes to single addresses.
func everything() cni.Conf {
	return cni.Network(cni.DefaultGateway(), cni.IPAM(cni.Conf{
		"ranges": [][]cni.Conf{{{"subnet": "10.1.0.0/24"}}, {{"subnet": "fd00:1::/64"}}}, "sticky": true,
	}))
}

// gone requires that nothing of an attachment is left: both interfaces, the record, the address files.
func gone(t *testing.T, a *attachment, c *nettest.Container, host string) {
	t.Helper()
	if hasLink(t, a.h.Netns, host) {
		t.Errorf("host link %s is still there", host)
	}
	if c != nil && hasLink(t, c.Netns, a.ifname) {
		t.Errorf("%s is still in the container", a.ifname)
	}
	if left := files(t, a.h, "/run/patchbay/"+a.conf["name"].(string)); len(left) > 0 {
		t.Errorf("records left: %v", left)
	}
	for name, text := range files(t, a.h, addressDir(a)) {
		if strings.Contains(text, a.id) {
			t.Errorf("address file %s left", name)
		}
	}
	noLeaks(t, a.h)
}

// delCase is a difference between ADD and DEL which must not keep DEL from removing everything.
type delCase struct {
	name    string
	network cni.Conf // everything() if nil
	// change is made after ADD, to the call, the host or the container; host is the name of the host interface.
	change func(t *testing.T, a *attachment, c *nettest.Container, host string)
	unset  []string // variables that the runtime leaves out
	after  func(t *testing.T, a *attachment, c *nettest.Container)
}

// runtimeCases returns differences in what the runtime passes.
func runtimeCases() []delCase {
	return []delCase{
		{name: "nothing is different"},
		{name: "CNI_NETNS is a plain file, as after a reboot", change: func(t *testing.T, a *attachment, _ *nettest.Container, _ string) {
			a.h.Run(t, "touch", "/run/pin")
			a.netns = "/run/pin"
		}},
		{name: "CNI_NETNS is empty, as nerdctl passes it", change: func(_ *testing.T, a *attachment, _ *nettest.Container, _ string) { a.netns = "" }},
		{name: "CNI_NETNS, CNI_PATH and CNI_ARGS are not set", unset: []string{"CNI_NETNS", "CNI_PATH", "CNI_ARGS"}},
		{name: "CNI_ARGS is invalid", change: func(_ *testing.T, a *attachment, _ *nettest.Container, _ string) { a.args = "IP=nonsense;FOO" }},
		{name: "no prevResult", change: func(_ *testing.T, a *attachment, _ *nettest.Container, _ string) { a.prev = nil }},
	}
}

// kernelCases returns changes of interfaces and of the host.
func kernelCases() []delCase {
	return []delCase{
		{name: "container interface renamed", change: func(t *testing.T, _ *attachment, c *nettest.Container, _ string) {
			ip(t, c.Netns, "link set eth0 down name other")
		}, after: func(t *testing.T, _ *attachment, c *nettest.Container) {
			expect.Equal(t, "renamed interface", hasLink(t, c.Netns, "other"), false)
		}},
		{name: "container interface deleted", change: func(t *testing.T, _ *attachment, c *nettest.Container, _ string) { ip(t, c.Netns, "link del eth0") }},
		{name: "bridge deleted", network: cni.Network(cni.DefaultGateway(), singles()), change: func(t *testing.T, a *attachment, _ *nettest.Container, _ string) {
			ip(t, a.h.Netns, "link del cni0")
		}},
		// The names of interfaces are derived from the machine ID; the record has the old ones.
		{name: "machine ID changed", change: func(t *testing.T, a *attachment, _ *nettest.Container, _ string) {
			machineID(t, a.h, "fedcba9876543210fedcba9876543210")
		}},
		// A killed ADD leaves an interface without an alias; the record identifies it.
		{name: "host interface without an alias", change: func(t *testing.T, a *attachment, _ *nettest.Container, host string) {
			a.h.Run(t, "ip", "link", "set", host, "alias", "")
		}},
	}
}

// recordCases returns damaged and lost records. Without a record DEL derives the names, and reads all address files of
// the network.
func recordCases() []delCase {
	written := func(text string) func(*testing.T, *attachment, *nettest.Container, string) {
		return func(t *testing.T, a *attachment, _ *nettest.Container, _ string) {
			writeFile(t, a.h, recordPath(a), text)
		}
	}
	replaced := func(name, command string) delCase {
		return delCase{name: name, change: func(t *testing.T, a *attachment, _ *nettest.Container, _ string) {
			a.h.Run(t, "sh", "-c", "rm "+recordPath(a)+" && "+command+" "+recordPath(a))
		}, after: func(t *testing.T, a *attachment, _ *nettest.Container) {
			expect.Equal(t, "in the record's place", a.h.Run(t, "ls", "-A", "/run/patchbay/net"), "")
		}}
	}
	return []delCase{
		{name: "no record", change: func(t *testing.T, a *attachment, _ *nettest.Container, _ string) { removeAll(t, a.h, recordPath(a)) }},
		{name: "no state directory", change: func(t *testing.T, a *attachment, _ *nettest.Container, _ string) { removeAll(t, a.h, "/run/patchbay") }},
		{name: "record is empty", change: written("")},
		{name: "record is cut off", change: written(`{"version": 1, "network": "n`)},
		{name: "record of a newer version", change: written(`{"version": 999, "future": true}`)},
		{name: "record of another attachment", change: written(`{"version": 1, "network": "x", "containerID": "y", "ifname": "z"}`)},
		replaced("a directory instead of the record", "mkdir"),
		replaced("a symbolic link instead of the record", "ln -s /etc/passwd"),
		replaced("a dangling symbolic link instead of the record", "ln -s nowhere"),
	}
}

// TestDelRemovesEverything: whatever has changed since ADD, DEL succeeds and leaves no interface, address, route, record or file.
//
// Claim: DEL removes everything when repeated, without the namespace, with empty `CNI_NETNS`, and with a configuration that has become
// invalid
//
// Claim: An unreadable record is reported and worked around; it never makes a DEL fail
func TestDelRemovesEverything(t *testing.T) {
	t.Parallel()
	for _, tt := range slices.Concat(runtimeCases(), kernelCases(), recordCases()) {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := nettest.Host(t)
			machineID(t, h, "0123456789abcdef0123456789abcdef")
			c := h.Container("c")
			network := tt.network
			if network == nil {
				network = everything()
			}
			a, r := attach(t, h, c, network)
			host := hostEnd(t, r)
			if tt.change != nil {
				tt.change(t, a, c, host)
			}
			call := a.call(t, "DEL")
			call.Unset = tt.unset
			h.CNI(t, call).OK(t)
			a.state = ""
			gone(t, a, c, host)
			if tt.after != nil {
				tt.after(t, a, c)
			}
		})
	}
}

// TestDelWithDeletedNamespace: the kernel deletes the veth pair with the namespace, at once or a moment later.
//
// Claim: DEL removes everything when repeated, without the namespace, with empty `CNI_NETNS`, and with a configuration that has become
// invalid
func TestDelWithDeletedNamespace(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c := h.Container("c")
	a, r := attach(t, h, c, everything())
	c.Delete()
	a.del(t)
	linkGone(t, h.Netns, hostEnd(t, r))
	gone(t, a, nil, hostEnd(t, r))
}

// TestDelPrintsNothing: the specification defines no output of a successful DEL.
func TestDelPrintsNothing(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	a, _ := attach(t, h, h.Container("c"), everything())
	answer := a.run(t, "DEL").OK(t)
	expect.Equal(t, "stdout and stderr", string(answer.Stdout)+string(answer.Stderr), "")
}

// Claim: DEL removes everything when repeated, without the namespace, with empty `CNI_NETNS`, and with a configuration that has become
// invalid
func TestDelTwice(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c := h.Container("c")
	a, r := attach(t, h, c, everything())
	a.del(t)
	a.del(t)
	gone(t, a, c, hostEnd(t, r))
}

// TestDelRemovesRoutesToSingleAddresses: they are routes of the host.
func TestDelRemovesRoutesToSingleAddresses(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c := h.Container("c")
	a, r := attach(t, h, c, cni.Network(cni.DefaultGateway(), singles()))
	expect.Equal(t, "route", ip(t, h.Netns, "route show 10.9.0.5"), "10.9.0.5 dev cni0 scope link \n")
	a.del(t)
	expect.Equal(t, "routes", ip(t, h.Netns, "route show 10.9.0.5")+ip(t, h.Netns, "-6 route show fd00:9::5"), "")
	gone(t, a, c, hostEnd(t, r))
}

// TestDelIgnoresPrevResultOfAnother: prevResult names the address and link of another attachment.
//
// Claim: DEL removes only what carries this attachment's own hash
func TestDelIgnoresPrevResultOfAnother(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c, d := h.Container("c"), h.Container("d")
	a, r := attach(t, h, c, everything())
	b, _ := attach(t, h, d, everything())
	mine := b.prev
	a.prev = mine
	a.del(t)
	expect.Equal(t, "first one's host link", hasLink(t, h.Netns, hostEnd(t, r)), false)
	b.check(t)
}

// TestDelBeforeAddLeavesNoTrace: no directory, no lock file, no bridge.
func TestDelBeforeAddLeavesNoTrace(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	h.Oracle(nettest.CleanHost)
	a := on(h, h.Container("c"), everything())
	a.del(t)
	noLeaks(t, h)
	a.netns = ""
	a.del(t)
	noLeaks(t, h)
}

// TestDelBeforeAddOfUsedNetworkLeavesNoTrace: also if the directories of the network exist.
func TestDelBeforeAddOfUsedNetworkLeavesNoTrace(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	other, _ := attach(t, h, h.Container("c"), everything())
	d := h.Container("d")
	before := picture(t, h, d)
	on(h, d, everything()).del(t)
	expect.Equal(t, "picture", picture(t, h, d), before)
	other.check(t)
}

// TestDelKeepsOtherAttachments: another container, and another interface and another network of the same container, are
// unchanged.
//
// Claim: DEL removes only what carries this attachment's own hash
func TestDelKeepsOtherAttachments(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c, d := h.Container("c"), h.Container("d")
	a, _ := attach(t, h, c, everything())
	neighbour, r := attach(t, h, d, everything())
	second := on(h, c, everything())
	second.ifname = "eth1"
	second.add(t)
	other := on(h, c, cni.Network(cni.Conf{"name": "other"}, cni.Pool("10.7.0.0/24")))
	other.ifname = "eth2"
	other.add(t)
	before := h.Snapshot()
	a.del(t)
	for _, line := range nettest.Diff(before, h.Snapshot(), nettest.CleanHost) {
		if !strings.HasPrefix(line, "- link "+hostEnd(t, a.result(t))) && !strings.HasPrefix(line, "- file ") {
			t.Error(line)
		}
	}
	for _, left := range []*attachment{neighbour, second, other} {
		left.check(t)
	}
	ping(t, c.Netns, addr(t, r, 0).String())
}

// TestDelReleasesAddress: in a network with a single address the next container gets it.
func TestDelReleasesAddress(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	one := cni.Network(cni.IPAM(cni.Conf{"ranges": [][]cni.Conf{{{"subnet": "10.1.0.0/24", "rangeStart": "10.1.0.9", "rangeEnd": "10.1.0.9"}}}}))
	a, _ := attach(t, h, h.Container("c"), one)
	d := on(h, h.Container("d"), one)
	d.fails(t, "ADD", 11)
	a.del(t)
	expect.Equal(t, "addresses", addresses(d.add(t)), []string{"10.1.0.9/24"})
}

// TestDelReleasesAddressWithDeletedNamespace: also if the network namespace no longer exists.
func TestDelReleasesAddressWithDeletedNamespace(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	one := cni.Network(cni.IPAM(cni.Conf{"ranges": [][]cni.Conf{{{"subnet": "10.1.0.0/24", "rangeStart": "10.1.0.9", "rangeEnd": "10.1.0.9"}}}}))
	c := h.Container("c")
	a, _ := attach(t, h, c, one)
	c.Delete()
	a.netns = ""
	a.del(t)
	_, r := attach(t, h, h.Container("d"), one)
	expect.Equal(t, "addresses", addresses(r), []string{"10.1.0.9/24"})
}

// TestDelLeavesInterfaceOfAnotherNamespace: another namespace is at the path now, which has an eth0 as well.
//
// Claim: DEL removes only what carries this attachment's own hash
func TestDelLeavesInterfaceOfAnotherNamespace(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c, d := h.Container("c"), h.Container("d")
	a, r := attach(t, h, c, everything())
	d.Run(t, "ip", "link", "add", "eth0", "type", "veth", "peer", "name", "eth1")
	before := ip(t, d.Netns, "addr show")
	a.netns = d.Path()
	a.del(t)
	expect.Equal(t, "links there", ip(t, d.Netns, "addr show"), before)
	expect.Equal(t, "eth0 in the container", hasLink(t, c.Netns, "eth0"), false)
	expect.Equal(t, "host link", hasLink(t, h.Netns, hostEnd(t, r)), false)
	ip(t, d.Netns, "link del eth0")
}

// TestDelKeepsLinkOfAnotherWithOurName: with a record and without.
//
// Claim: DEL removes only what carries this attachment's own hash
func TestDelKeepsLinkOfAnotherWithOurName(t *testing.T) {
	t.Parallel()
	for _, foreign := range []string{"type bridge", "alias foreign type veth peer name peer0"} {
		t.Run(strings.Fields(foreign)[0], func(t *testing.T) {
			t.Parallel()
			h := nettest.Host(t)
			c := h.Container("c")
			a, r := attach(t, h, c, everything())
			host := hostEnd(t, r)
			ip(t, h.Netns, "link del "+host)
			ip(t, h.Netns, "link add "+host+" "+strings.TrimPrefix(foreign, "alias foreign "))
			if strings.HasPrefix(foreign, "alias") {
				ip(t, h.Netns, "link set "+host+" alias foreign")
			}
			a.del(t)
			a.del(t)
			expect.Equal(t, "foreign link", hasLink(t, h.Netns, host), true)
			expect.Equal(t, "records", len(files(t, h, "/run/patchbay/net")), 0)
			ip(t, h.Netns, "link del "+host)
		})
	}
}

// TestDelsAtOnce: ten attachments of one network, and two DELs of each.
func TestDelsAtOnce(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	all, _ := containers(t, h, 10, everything())
	var running []*nettest.Running
	for _, a := range append(all, all...) {
		running = append(running, h.StartCNI(t, a.call(t, "DEL")))
	}
	for _, r := range running {
		r.Wait(t).OK(t)
	}
	noLeaks(t, h)
	expect.Equal(t, "ports", len(portsOf(t, h.Netns, "cni0")), 0)
}

// TestDelWithStateElsewhere: stateDir is read from the configuration, whatever else is in it.
func TestDelWithStateElsewhere(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	h := nettest.Host(t, nettest.Watch(dir))
	c := h.Container("c")
	a, r := attach(t, h, c, everything().With(cni.Conf{"stateDir": dir}))
	call := a.call(t, "DEL")
	call.Config = []byte(`{"name": "net", "stateDir": "` + dir + `", "bridge`)
	h.CNI(t, call).OK(t)
	expect.Equal(t, "host link", hasLink(t, h.Netns, hostEnd(t, r)), false)
	noLeaks(t, h)
	if _, err := os.Stat(dir + "/net/" + a.id + "@eth0.json"); err == nil {
		t.Error("the record is still there")
	}
}
