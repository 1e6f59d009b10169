package verbs

import (
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/expect"
)

const codeClash = 105

// TestForceAddressReplaces what the bridge had: a v4 address, and a v6 one whose subnet overlaps.
func TestForceAddressReplaces(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	h.Bridge("br0", "10.9.0.1/24", "fd00:1::99/48", "fd00:2::1/64")
	h.Allow("address br0 ")
	h.Allow("route ")
	a, _ := attach(t, h, h.Container("c"), network(gateway(), conf{"bridge": "br0", "forceAddress": true}, pool("10.1.0.0/24", "fd00:1::/64")))
	expect.Equal(t, "addresses", addressesOf(t, h.Netns, "br0"), []string{"10.1.0.1/24", "fd00:1::1/64", "fd00:2::1/64"})
	a.check(t)
}

// TestWithoutForceAddressAnotherAddressIsAnError, and the host stays as it was.
func TestWithoutForceAddressAnotherAddressIsAnError(t *testing.T) {
	t.Parallel()
	for _, has := range []string{"10.9.0.1/24", "10.1.0.2/24", "10.1.0.1/16", "fd00:1::99/64", "fd00:1::1/48"} {
		t.Run(strings.ReplaceAll(has, "/", " with "), func(t *testing.T) {
			t.Parallel()
			h := nettest.Host(t)
			h.Oracle(nettest.CleanHost)
			h.Bridge("br0", has)
			a := on(h, h.Container("c"), network(gateway(), conf{"bridge": "br0"}, pool("10.1.0.0/24", "fd00:1::/64")))
			expect.Contains(t, a.fails(t, "ADD", codeClash).Msg, "bridge br0", has)
			expect.Equal(t, "addresses", addressesOf(t, h.Netns, "br0"), []string{has})
		})
	}
}

// TestForceAddressSparesOtherNetwork: containers of another network use the address as their gateway.
func TestForceAddressSparesOtherNetwork(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c := h.Container("c")
	first, _ := attach(t, h, c, network(defaultGateway(), pool("10.1.0.0/24")))
	force := network(gateway(), conf{"name": "other", "forceAddress": true}, pool("10.2.0.0/24"))
	e := on(h, h.Container("d"), force).fails(t, "ADD", codeClash)
	expect.Contains(t, e.Msg, "bridge cni0", "10.1.0.1/24 is the gateway of container "+c.ID()+" on network net")
	first.check(t)
	ping(t, c.Netns, "10.1.0.1")
}

// TestForceAddressAfterTheOthersLeft replaces theirs.
func TestForceAddressAfterTheOthersLeft(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	first, _ := attach(t, h, h.Container("c"), network(gateway(), pool("10.1.0.0/24")))
	first.del(t)
	attach(t, h, h.Container("d"), network(gateway(), conf{"name": "other", "forceAddress": true}, pool("10.2.0.0/24")))
	expect.Equal(t, "addresses", addressesOf(t, h.Netns, "cni0"), []string{"10.2.0.1/24"})
}

// TestHairpinMode is written to the port either way.
func TestHairpinMode(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	_, on := attach(t, h, h.Container("c"), network(conf{"hairpinMode": true}))
	_, off := attach(t, h, h.Container("d"), network())
	expect.Equal(t, "hairpinMode true", hairpin(t, h, hostEnd(t, on)), true)
	expect.Equal(t, "hairpinMode absent", hairpin(t, h, hostEnd(t, off)), false)
}

func hairpin(t *testing.T, h *nettest.Node, port string) bool {
	t.Helper()
	protinfo, err := h.Netlink().LinkGetProtinfo(linkOf(t, h.Netns, port))
	if err != nil {
		t.Fatal(err)
	}
	return protinfo.Hairpin
}

// TestPromiscMode sets the flag, and never takes it away.
func TestPromiscMode(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	attach(t, h, h.Container("c"), network())
	expect.Equal(t, "without", promisc(t, h.Netns, "cni0"), false)
	attach(t, h, h.Container("d"), network(conf{"promiscMode": true}))
	expect.Equal(t, "with", promisc(t, h.Netns, "cni0"), true)
	attach(t, h, h.Container("e"), network())
	expect.Equal(t, "without, after one with", promisc(t, h.Netns, "cni0"), true)
}

// promisc is the flag that somebody has set, not what the bridge code needs of its ports.
func promisc(t *testing.T, n *nettest.Netns, link string) bool {
	t.Helper()
	return linkOf(t, n, link).Attrs().RawFlags&unix.IFF_PROMISC != 0
}

// flagsOf are those of the IPv6 addresses of a link, the kernel's own included.
func flagsOf(t *testing.T, n *nettest.Netns, link string) map[string]int {
	t.Helper()
	list, err := n.Netlink().AddrList(linkOf(t, n, link), netlink.FAMILY_V6)
	if err != nil {
		t.Fatal(err)
	}
	flags := map[string]int{}
	for _, a := range list {
		flags[a.IPNet.String()] = a.Flags
	}
	return flags
}

// TestEnableDADWaits: no address is tentative when ADD returns, and the kernel has looked for duplicates.
func TestEnableDADWaits(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c := h.Container("c")
	attach(t, h, c, network(gateway(), conf{"enabledad": true}, pool("fd00:1::/64", "fd00:2::/64")))
	flags := flagsOf(t, c.Netns, "eth0")
	for _, address := range []string{"fd00:1::2/64", "fd00:2::2/64"} {
		f, found := flags[address]
		if !found || f&(unix.IFA_F_TENTATIVE|unix.IFA_F_DADFAILED|unix.IFA_F_NODAD) != 0 {
			t.Errorf("flags of %s: %#x, found %t", address, f, found)
		}
	}
	expect.Equal(t, "accept_dad", c.Sysctl("net/ipv6/conf/eth0/accept_dad"), "1")
	expect.Equal(t, "enhanced_dad", c.Sysctl("net/ipv6/conf/eth0/enhanced_dad"), "1")
	ping(t, c.Netns, "fd00:1::1")
}

// TestEnableDADFindsDuplicate: another machine on the link has the address; ADD fails, and nothing is left.
func TestEnableDADFindsDuplicate(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	h.Bridge("br0")
	other := h.Container("other")
	h.Veth("other", other.Netns, "eth0")
	h.Plug("other", "br0")
	other.AddAddress("eth0", "fd00:1::2/64")
	h.Baseline()
	c := h.Container("c")
	a := on(h, c, network(conf{"bridge": "br0", "enabledad": true}, pool("10.1.0.0/24", "fd00:1::/64")))
	e := a.fails(t, "ADD", 11)
	expect.Contains(t, e.Msg, "fd00:1::2", "is in use by another host on the link")
	expect.Equal(t, "eth0", hasLink(t, c.Netns, "eth0"), false)
	expect.Equal(t, "ports", portsOf(t, h.Netns, "br0"), []string{"other"})
	noLeaks(t, h)
}

// TestWithoutDADAddressesAreUsableAtOnce: not one is tentative.
func TestWithoutDADAddressesAreUsableAtOnce(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c := h.Container("c")
	attach(t, h, c, network(gateway(), pool("fd00:1::/64")))
	for _, n := range []struct {
		netns   *nettest.Netns
		link    string
		address string
	}{{c.Netns, "eth0", "fd00:1::2/64"}, {h.Netns, "cni0", "fd00:1::1/64"}} {
		flags, found := flagsOf(t, n.netns, n.link)[n.address]
		if !found || flags&unix.IFA_F_TENTATIVE != 0 {
			t.Errorf("%s: found %t, flags %#x", n.address, found, flags)
		}
	}
	expect.Equal(t, "accept_dad", c.Sysctl("net/ipv6/conf/eth0/accept_dad"), "0")
}

// TestDisableContainerInterface leaves its end down, the host's up; CHECK and DEL know.
func TestDisableContainerInterface(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c := h.Container("c")
	a, r := attach(t, h, c, network(conf{"disableContainerInterface": true}))
	expect.Equal(t, "container end up", isUp(t, c.Netns, "eth0"), false)
	expect.Equal(t, "host end up", isUp(t, h.Netns, hostEnd(t, r)), true)
	expect.Equal(t, "ports", portsOf(t, h.Netns, "cni0"), []string{hostEnd(t, r)})
	a.check(t)
	a.del(t)
	gone(t, a, c, hostEnd(t, r))
}

// TestStateDir takes records and addresses elsewhere: nothing is made in the usual place.
func TestStateDir(t *testing.T) {
	t.Parallel()
	dir := t.TempDir() + "/deep/state"
	h := nettest.Host(t, nettest.Watch(dir))
	a, _ := attach(t, h, h.Container("c"), network(conf{"stateDir": dir}, pool("10.1.0.0/24")))
	expect.Equal(t, "record", len(files(t, h, dir+"/net")), 1)
	expect.Equal(t, "address", files(t, h, dir+"/ipam/net")["10.1.0.2"], a.id+"\r\neth0")
	expect.Equal(t, "usual place", h.Run(t, "ls", "/run"), "netns\n")
	a.check(t)
	a.del(t)
	expect.Equal(t, "records after DEL", len(files(t, h, dir+"/net")), 0)
}

// TestDataDir takes the addresses elsewhere, the records stay.
func TestDataDir(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	a, _ := attach(t, h, h.Container("c"), network(ipam(conf{"ranges": [][]conf{{{"subnet": "10.1.0.0/24"}}}, "dataDir": "/var/lib/cni/networks"})))
	expect.Equal(t, "address", files(t, h, "/var/lib/cni/networks/net")["10.1.0.2"], a.id+"\r\neth0")
	expect.Equal(t, "record", len(files(t, h, "/run/patchbay/net")), 1)
	a.check(t)
}

// TestStateDirectoriesAreRootsAlone: who may read records knows all attachments.
func TestStateDirectoriesAreRootsAlone(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	a, _ := attach(t, h, h.Container("c"), everything())
	modes := h.Run(t, "stat", "-c", "%a %u", "/run/patchbay", "/run/patchbay/net", recordPath(a), "/var/lib/patchbay/sticky/net")
	expect.Equal(t, "modes", modes, "700 0\n700 0\n600 0\n700 0\n")
}
