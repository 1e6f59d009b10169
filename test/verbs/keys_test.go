package verbs

import (
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

const codeClash = 105

// TestForceAddressReplaces: forceAddress replaces addresses that overlap the gateway's subnet, in either family, and
// no others.
//
// Claim: The keys forceAddress, mtu, hairpinMode, promiscMode, enabledad and disableContainerInterface work as documented
func TestForceAddressReplaces(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	h.Bridge("br0", "10.9.0.1/24", "10.1.0.9/24", "10.1.0.100/32", "fd00:1::99/48", "fd00:2::1/64", "fd00:1::100/128")
	h.Allow("address br0 ")
	h.Allow("route ")
	a, _ := attach(t, h, h.Container("c"), cni.Network(cni.Gateway(), cni.Conf{"bridge": "br0", "forceAddress": true}, cni.Pool("10.1.0.0/24", "fd00:1::/64")))
	expect.Equal(t, "addresses", addressesOf(t, h.Netns, "br0"), []string{
		"10.1.0.1/24", "10.1.0.100/32", "10.9.0.1/24", "fd00:1::1/64", "fd00:1::100/128", "fd00:2::1/64",
	})
	a.check(t)
}

// TestWithoutForceAddressAnotherAddressIsAnError: and the host is unchanged.
func TestWithoutForceAddressAnotherAddressIsAnError(t *testing.T) {
	t.Parallel()
	for _, has := range []string{"10.9.0.1/24", "10.1.0.2/24", "10.1.0.1/16", "fd00:1::99/64", "fd00:1::1/48"} {
		t.Run(strings.ReplaceAll(has, "/", " with "), func(t *testing.T) {
			t.Parallel()
			h := nettest.Host(t)
			h.Oracle(nettest.CleanHost)
			h.Bridge("br0", has)
			a := on(h, h.Container("c"), cni.Network(cni.Gateway(), cni.Conf{"bridge": "br0"}, cni.Pool("10.1.0.0/24", "fd00:1::/64")))
			expect.Contains(t, a.fails(t, "ADD", codeClash).Msg, "bridge br0", has)
			expect.Equal(t, "addresses", addressesOf(t, h.Netns, "br0"), []string{has})
		})
	}
}

// TestForceAddressKeepsOtherNetwork: containers of another network use the address as their gateway.
//
// Claim: The keys forceAddress, mtu, hairpinMode, promiscMode, enabledad and disableContainerInterface work as documented
func TestForceAddressKeepsOtherNetwork(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	h.Bridge("br0")
	c := h.Container("c")
	first, _ := attach(t, h, c, cni.Network(cni.DefaultGateway(), cni.Conf{"bridge": "br0"}, cni.Pool("10.1.0.0/24")))
	force := cni.Network(cni.Gateway(), cni.Conf{"name": "other", "bridge": "br0", "forceAddress": true}, cni.Pool("10.1.0.0/16"))
	e := on(h, h.Container("d"), force).fails(t, "ADD", codeClash)
	expect.Contains(t, e.Msg, "bridge br0", "10.1.0.1/24 is the gateway of container "+c.ID()+" on network net")
	first.check(t)
	ping(t, c.Netns, "10.1.0.1")
}

// TestForceAddressAfterTheOthersLeft: forceAddress replaces the gateway address of a network without attachments.
func TestForceAddressAfterTheOthersLeft(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	first, _ := attach(t, h, h.Container("c"), cni.Network(cni.Gateway(), cni.Pool("10.1.0.0/24")))
	first.del(t)
	attach(t, h, h.Container("d"), cni.Network(cni.Gateway(), cni.Conf{"name": "other", "forceAddress": true}, cni.Pool("10.2.0.0/24")))
	expect.Equal(t, "addresses", addressesOf(t, h.Netns, "cni0"), []string{"10.2.0.1/24"})
}

// TestHairpinMode: it is written to the bridge port, on or off.
//
// Claim: The keys forceAddress, mtu, hairpinMode, promiscMode, enabledad and disableContainerInterface work as documented
func TestHairpinMode(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	_, on := attach(t, h, h.Container("c"), cni.Network(cni.Conf{"hairpinMode": true}))
	_, off := attach(t, h, h.Container("d"), cni.Network())
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

// TestPromiscMode: it sets the flag, and nothing removes it.
//
// Claim: The keys forceAddress, mtu, hairpinMode, promiscMode, enabledad and disableContainerInterface work as documented
func TestPromiscMode(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	attach(t, h, h.Container("c"), cni.Network())
	expect.Equal(t, "without", promisc(t, h.Netns, "cni0"), false)
	attach(t, h, h.Container("d"), cni.Network(cni.Conf{"promiscMode": true}))
	expect.Equal(t, "with", promisc(t, h.Netns, "cni0"), true)
	attach(t, h, h.Container("e"), cni.Network())
	expect.Equal(t, "without, after one with", promisc(t, h.Netns, "cni0"), true)
}

// promisc reports whether the flag was set by an administrator; the bridge code sets another one on its ports.
func promisc(t *testing.T, n *nettest.Netns, link string) bool {
	t.Helper()
	return linkOf(t, n, link).Attrs().RawFlags&unix.IFF_PROMISC != 0
}

// flagsOf returns the flags of the IPv6 addresses of a link, including link-local ones.
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

// TestEnableDADWaits: when ADD returns the kernel has finished duplicate address detection.
//
// Claim: The keys forceAddress, mtu, hairpinMode, promiscMode, enabledad and disableContainerInterface work as documented
func TestEnableDADWaits(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c := h.Container("c")
	attach(t, h, c, cni.Network(cni.Gateway(), cni.Conf{"enabledad": true}, cni.Pool("fd00:1::/64", "fd00:2::/64")))
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

// TestEnableDADFindsDuplicate: another machine on the link has the address; ADD fails and leaves nothing.
//
// Claim: The keys forceAddress, mtu, hairpinMode, promiscMode, enabledad and disableContainerInterface work as documented
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
	n := cni.Network(cni.Conf{"bridge": "br0", "enabledad": true}, cni.Pool("10.1.0.0/24", "fd00:1::/64"))
	n["ipam"].(cni.Conf)["probe"] = false // else IPAM does not choose the address
	a := on(h, c, n)
	e := a.fails(t, "ADD", 11)
	expect.Contains(t, e.Msg, "fd00:1::2", "in use by another host on the link")
	expect.Equal(t, "eth0", hasLink(t, c.Netns, "eth0"), false)
	expect.Equal(t, "ports", portsOf(t, h.Netns, "br0"), []string{"other"})
	noLeaks(t, h)
}

// TestWithoutDADAddressesAreUsableAtOnce: no address is tentative.
func TestWithoutDADAddressesAreUsableAtOnce(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c := h.Container("c")
	attach(t, h, c, cni.Network(cni.Gateway(), cni.Pool("fd00:1::/64")))
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

// TestDisableContainerInterface: the container interface stays down, the host interface is up; CHECK and DEL take that
// into account.
//
// Claim: The keys forceAddress, mtu, hairpinMode, promiscMode, enabledad and disableContainerInterface work as documented
func TestDisableContainerInterface(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c := h.Container("c")
	a, r := attach(t, h, c, cni.Network(cni.Conf{"disableContainerInterface": true}))
	expect.Equal(t, "container end up", isUp(t, c.Netns, "eth0"), false)
	expect.Equal(t, "host end up", isUp(t, h.Netns, hostEnd(t, r)), true)
	expect.Equal(t, "ports", portsOf(t, h.Netns, "cni0"), []string{hostEnd(t, r)})
	a.check(t)
	a.del(t)
	gone(t, a, c, hostEnd(t, r))
}

// TestStateDir: records and addresses are in that directory. The default directory has only the notes by which
// networks of other state directories find who has addresses on the bridge.
//
// Claim: The keys dns, stateDir, args.cni.*, runtimeConfig.* and CNI_ARGS work as documented
func TestStateDir(t *testing.T) {
	t.Parallel()
	dir := t.TempDir() + "/deep/state"
	h := nettest.Host(t, nettest.Watch(dir))
	a, _ := attach(t, h, h.Container("c"), cni.Network(cni.Conf{"stateDir": dir}, cni.Pool("10.1.0.0/24")))
	expect.Equal(t, "record", len(files(t, h, dir+"/net")), 1)
	expect.Equal(t, "address", files(t, h, dir+"/ipam/net")["10.1.0.2"], a.id+"\r\neth0")
	expect.Equal(t, "usual place", h.Run(t, "ls", "-A", "/run/patchbay"), ".bridges\n.elsewhere\n")
	a.check(t)
	a.del(t)
	expect.Equal(t, "records after DEL", len(files(t, h, dir+"/net")), 0)
}

// TestDataDir: the addresses are in that directory, the records stay in stateDir.
//
// Claim: The keys dns, stateDir, args.cni.*, runtimeConfig.* and CNI_ARGS work as documented
func TestDataDir(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	a, _ := attach(t, h, h.Container("c"), cni.Network(cni.IPAM(cni.Conf{"ranges": [][]cni.Conf{{{"subnet": "10.1.0.0/24"}}}, "dataDir": "/var/lib/cni/networks"})))
	expect.Equal(t, "address", files(t, h, "/var/lib/cni/networks/net")["10.1.0.2"], a.id+"\r\neth0")
	expect.Equal(t, "record", len(files(t, h, "/run/patchbay/net")), 1)
	a.check(t)
}

// TestStateDirectoriesAreRootsAlone: only root may read records, which list all attachments.
func TestStateDirectoriesAreRootsAlone(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	a, _ := attach(t, h, h.Container("c"), everything())
	modes := h.Run(t, "stat", "-c", "%a %u", "/run/patchbay", "/run/patchbay/net", recordPath(a), "/var/lib/patchbay/sticky/net")
	expect.Equal(t, "modes", modes, "700 0\n700 0\n600 0\n700 0\n")
}
