package verbs

import (
	"os"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/expect"
)

// everything is a network whose attachments have all that DEL must remove: cable, addresses of both families, routes to single ones.
func everything() conf {
	return network(defaultGateway(), ipam(conf{
		"ranges": [][]conf{{{"subnet": "10.1.0.0/24"}}, {{"subnet": "fd00:1::/64"}}}, "sticky": true,
	}))
}

// gone looks for what an attachment had: both ends, the record, the address files.
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

func TestDelRemovesEverything(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c := h.Container("c")
	a, r := attach(t, h, c, everything())
	a.del(t)
	gone(t, a, c, hostEnd(t, r))
}

// TestDelPrintsNothing: the specification gives its success no output.
func TestDelPrintsNothing(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	a, _ := attach(t, h, h.Container("c"), everything())
	answer := a.run(t, "DEL").OK(t)
	expect.Equal(t, "stdout and stderr", string(answer.Stdout)+string(answer.Stderr), "")
}

func TestDelTwice(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c := h.Container("c")
	a, r := attach(t, h, c, everything())
	a.del(t)
	a.del(t)
	gone(t, a, c, hostEnd(t, r))
}

// TestDelRemovesRoutesToSingleAddresses from the host.
func TestDelRemovesRoutesToSingleAddresses(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c := h.Container("c")
	a, r := attach(t, h, c, network(defaultGateway(), singles()))
	expect.Equal(t, "route", ip(t, h.Netns, "route show 10.9.0.5"), "10.9.0.5 dev cni0 scope link \n")
	a.del(t)
	expect.Equal(t, "routes", ip(t, h.Netns, "route show 10.9.0.5")+ip(t, h.Netns, "-6 route show fd00:9::5"), "")
	gone(t, a, c, hostEnd(t, r))
}

// TestDelWithNamespaceGone: its end took the cable along, at once or a moment later.
func TestDelWithNamespaceGone(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c := h.Container("c")
	a, r := attach(t, h, c, everything())
	c.Delete()
	a.del(t)
	linkGone(t, h.Netns, hostEnd(t, r))
	gone(t, a, nil, hostEnd(t, r))
}

// TestDelWithPlainFileForNamespace: what a reboot leaves of a pin.
func TestDelWithPlainFileForNamespace(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c := h.Container("c")
	a, r := attach(t, h, c, everything())
	h.Run(t, "touch", "/run/pin")
	a.netns = "/run/pin"
	a.del(t)
	gone(t, a, c, hostEnd(t, r))
}

// TestDelWithEmptyNetns is nerdctl's normal one.
func TestDelWithEmptyNetns(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c := h.Container("c")
	a, r := attach(t, h, c, everything())
	a.netns = ""
	a.del(t)
	gone(t, a, c, hostEnd(t, r))
}

func TestDelWithoutNetns(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c := h.Container("c")
	a, r := attach(t, h, c, everything())
	call := a.call(t, "DEL")
	call.Unset = []string{"CNI_NETNS", "CNI_PATH", "CNI_ARGS"}
	h.CNI(t, call).OK(t)
	gone(t, a, c, hostEnd(t, r))
}

func TestDelWithoutPrevResult(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c := h.Container("c")
	a, r := attach(t, h, c, everything())
	a.prev = nil
	a.del(t)
	gone(t, a, c, hostEnd(t, r))
}

// TestDelDoesNotBelievePrevResult that names somebody else's address and link.
func TestDelDoesNotBelievePrevResult(t *testing.T) {
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

// TestDelBeforeAddOfUsedNetworkLeavesNoTrace either, where there are directories to leave it in.
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

// TestDelLeavesOthersAlone: another container, another interface and another network of the same one.
func TestDelLeavesOthersAlone(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c, d := h.Container("c"), h.Container("d")
	a, _ := attach(t, h, c, everything())
	neighbour, r := attach(t, h, d, everything())
	second := on(h, c, everything())
	second.ifname = "eth1"
	second.add(t)
	other := on(h, c, network(conf{"name": "other"}, pool("10.7.0.0/24")))
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

// TestDelFreesAddress: in a network with just one the next container gets it.
func TestDelFreesAddress(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	one := network(ipam(conf{"ranges": [][]conf{{{"subnet": "10.1.0.0/24", "rangeStart": "10.1.0.9", "rangeEnd": "10.1.0.9"}}}}))
	a, _ := attach(t, h, h.Container("c"), one)
	d := on(h, h.Container("d"), one)
	d.fails(t, "ADD", 11)
	a.del(t)
	expect.Equal(t, "addresses", addresses(d.add(t)), []string{"10.1.0.9/24"})
}

// TestDelFreesAddressWithNamespaceGone just so.
func TestDelFreesAddressWithNamespaceGone(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	one := network(ipam(conf{"ranges": [][]conf{{{"subnet": "10.1.0.0/24", "rangeStart": "10.1.0.9", "rangeEnd": "10.1.0.9"}}}}))
	c := h.Container("c")
	a, _ := attach(t, h, c, one)
	c.Delete()
	a.netns = ""
	a.del(t)
	_, r := attach(t, h, h.Container("d"), one)
	expect.Equal(t, "addresses", addresses(r), []string{"10.1.0.9/24"})
}

// TestDelLeavesInterfaceOfAnotherNamespace: the path leads elsewhere by now, where there is an eth0 as well.
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

// TestDelFindsRenamedInterface: by the host's end.
func TestDelFindsRenamedInterface(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c := h.Container("c")
	a, r := attach(t, h, c, everything())
	ip(t, c.Netns, "link set eth0 down name other")
	a.del(t)
	expect.Equal(t, "renamed interface", hasLink(t, c.Netns, "other"), false)
	gone(t, a, c, hostEnd(t, r))
}

func TestDelAfterInterfaceIsGone(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c := h.Container("c")
	a, r := attach(t, h, c, everything())
	ip(t, c.Netns, "link del eth0")
	a.del(t)
	gone(t, a, c, hostEnd(t, r))
}

func TestDelAfterBridgeIsGone(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c := h.Container("c")
	a, r := attach(t, h, c, network(defaultGateway(), singles()))
	ip(t, h.Netns, "link del cni0")
	a.del(t)
	gone(t, a, c, hostEnd(t, r))
}

// TestDelAfterMachineIDChanged: names are derived from it, so the record tells the old ones.
func TestDelAfterMachineIDChanged(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	machineID(t, h, "0123456789abcdef0123456789abcdef")
	c := h.Container("c")
	a, r := attach(t, h, c, everything())
	machineID(t, h, "fedcba9876543210fedcba9876543210")
	a.del(t)
	gone(t, a, c, hostEnd(t, r))
}

// TestDelLeavesForeignLinkOfOurName alone, with a record and without.
func TestDelLeavesForeignLinkOfOurName(t *testing.T) {
	t.Parallel()
	for _, foreign := range []string{"type bridge", "alias somebody type veth peer name peer0"} {
		t.Run(strings.Fields(foreign)[0], func(t *testing.T) {
			t.Parallel()
			h := nettest.Host(t)
			c := h.Container("c")
			a, r := attach(t, h, c, everything())
			host := hostEnd(t, r)
			ip(t, h.Netns, "link del "+host)
			ip(t, h.Netns, "link add "+host+" "+strings.TrimPrefix(foreign, "alias somebody "))
			if strings.HasPrefix(foreign, "alias") {
				ip(t, h.Netns, "link set "+host+" alias somebody")
			}
			a.del(t)
			a.del(t)
			expect.Equal(t, "foreign link", hasLink(t, h.Netns, host), true)
			expect.Equal(t, "records", len(files(t, h, "/run/patchbay/net")), 0)
			ip(t, h.Netns, "link del "+host)
		})
	}
}

// TestDelRemovesCableOfKilledAdd: the link is there, its alias is not yet; the record tells that it is ours.
func TestDelRemovesCableOfKilledAdd(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c := h.Container("c")
	a, r := attach(t, h, c, everything())
	h.Run(t, "ip", "link", "set", hostEnd(t, r), "alias", "")
	a.del(t)
	gone(t, a, c, hostEnd(t, r))
}

// TestDelsAtOnce: ten attachments of one network, and each DEL twice.
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

// TestDelWithStateElsewhere: stateDir is read from the configuration, be the rest what it may.
func TestDelWithStateElsewhere(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	h := nettest.Host(t, nettest.Watch(dir))
	c := h.Container("c")
	a, r := attach(t, h, c, everything().with(conf{"stateDir": dir}))
	call := a.call(t, "DEL")
	call.Config = []byte(`{"name": "net", "stateDir": "` + dir + `", "bridge`)
	h.CNI(t, call).OK(t)
	expect.Equal(t, "host link", hasLink(t, h.Netns, hostEnd(t, r)), false)
	noLeaks(t, h)
	if _, err := os.Stat(dir + "/net/" + a.id + "@eth0.json"); err == nil {
		t.Error("the record is still there")
	}
}
