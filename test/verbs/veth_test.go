package verbs

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// derived holds what is derived from network, container ID and interface name.
type derived struct{ Link, Alias, HostMAC, MAC string }

func derivedOf(t *testing.T, h *nettest.Node, c *nettest.Container, a *attachment) derived {
	t.Helper()
	r := a.add(t)
	host := hostEnd(t, r)
	return derived{
		Link: host, Alias: linkOf(t, h.Netns, host).Attrs().Alias,
		HostMAC: h.MAC(host), MAC: c.MAC(a.ifname),
	}
}

// TestNamesAreDerived: a second ADD has the same host interface, alias and MACs, also on another bridge and with other
// addresses.
//
// Claim: ADD derives the names of interfaces from the attachment
func TestNamesAreDerived(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c := h.Container("c")
	a := on(h, c, cni.Network())
	first := derivedOf(t, h, c, a)
	a.del(t)
	again := on(h, c, cni.Network(cni.Gateway(), cni.Pool("10.1.0.0/24"), cni.Conf{"bridge": "cni9"}))
	expect.Equal(t, "after DEL and ADD", derivedOf(t, h, c, again), first)
}

// TestNamesDiffer: by network, container and interface name.
//
// Claim: ADD derives the names of interfaces from the attachment
func TestNamesDiffer(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c, d := h.Container("c"), h.Container("d")
	other := on(h, c, cni.Network(cni.Conf{"name": "other"}))
	other.ifname = "net1"
	second := on(h, c, cni.Network())
	second.ifname = "net2"
	all := []derived{
		derivedOf(t, h, c, on(h, c, cni.Network())), derivedOf(t, h, d, on(h, d, cni.Network())),
		derivedOf(t, h, c, other), derivedOf(t, h, c, second),
	}
	for i, one := range all {
		for _, two := range all[:i] {
			if one.Link == two.Link || one.MAC == two.MAC || one.HostMAC == two.HostMAC || one.Alias == two.Alias {
				t.Errorf("%v and %v", one, two)
			}
		}
	}
}

// TestNamesDifferByNetworkAlone: the interface name is the same, in two namespaces of one container ID.
func TestNamesDifferByNetworkAlone(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c, d := h.Container("c"), h.Container("d")
	second := on(h, d, cni.Network(cni.Conf{"name": "other"}))
	second.id = c.ID()
	one, two := derivedOf(t, h, c, on(h, c, cni.Network())), derivedOf(t, h, d, second)
	if one.Link == two.Link || one.MAC == two.MAC {
		t.Errorf("%v and %v", one, two)
	}
}

// TestNamesDifferByMachine: two hosts on one LAN run containers of the same name.
//
// Claim: ADD derives the names of interfaces from the attachment
func TestNamesDifferByMachine(t *testing.T) {
	t.Parallel()
	var all []derived
	for _, id := range []string{"0123456789abcdef0123456789abcdef", "fedcba9876543210fedcba9876543210"} {
		h := nettest.Host(t)
		machineID(t, h, id)
		c := h.Container("c")
		all = append(all, derivedOf(t, h, c, on(h, c, cni.Network())))
	}
	if all[0].MAC == all[1].MAC || all[0].HostMAC == all[1].HostMAC {
		t.Errorf("%v", all)
	}
}

// machineID gives a host a machine ID of its own.
func machineID(t *testing.T, h *nettest.Node, id string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "machine-id")
	if err := os.WriteFile(path, []byte(id+"\n"), 0o444); err != nil {
		t.Fatal(err)
	}
	h.Run(t, "mount", "--bind", path, "/etc/machine-id")
}

// TestMACsWithoutMachineID: they are random, and the record keeps the container's, so CHECK and DEL still find
// everything.
func TestMACsWithoutMachineID(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	machineID(t, h, "")
	c := h.Container("c")
	a := on(h, c, cni.Network(cni.Gateway(), cni.Pool("10.1.0.0/24")))
	first := derivedOf(t, h, c, a)
	a.check(t)
	a.del(t)
	noLeaks(t, h)
	second := derivedOf(t, h, c, a)
	if first.MAC == second.MAC {
		t.Errorf("the same MAC %s twice", first.MAC)
	}
	expect.Equal(t, "host link", second.Link, first.Link)
}

// TestHostLinkIsNamedByHash: the name is veth and 11 base32 digits.
func TestHostLinkIsNamedByHash(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	_, r := attach(t, h, h.Container("c"), cni.Network())
	if !regexp.MustCompile(`^veth[a-z2-7]{11}$`).MatchString(hostEnd(t, r)) {
		t.Errorf("host link %s", hostEnd(t, r))
	}
}

// TestHostLinkAliasNamesTheAttachment: a prefix for programs, the rest for the reader.
//
// Claim: ADD derives the names of interfaces from the attachment
func TestHostLinkAliasNamesTheAttachment(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c := h.Container("c")
	_, r := attach(t, h, c, cni.Network())
	alias := linkOf(t, h.Netns, hostEnd(t, r)).Attrs().Alias
	mark, people, _ := strings.Cut(alias, " ")
	if !regexp.MustCompile(`^patchbay:[0-9a-f]{12}$`).MatchString(mark) {
		t.Errorf("mark %q", mark)
	}
	expect.Equal(t, "for people", people, "net/"+c.ID()+"/eth0")
}

// TestHostLinkAliasIsCut: at the length that the kernel accepts.
func TestHostLinkAliasIsCut(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	a := on(h, h.Container("c"), cni.Network(cni.Conf{"name": "n" + strings.Repeat("x", 120)}))
	a.id = strings.Repeat("c", 200)
	r := a.add(t)
	expect.Equal(t, "bytes", len(linkOf(t, h.Netns, hostEnd(t, r)).Attrs().Alias), 255)
	a.check(t)
}

// TestMACPrefixes: 02 on the container interface, fe on the host interface, the rest is the same.
//
// Claim: ADD derives the names of interfaces from the attachment
func TestMACPrefixes(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c := h.Container("c")
	_, r := attach(t, h, c, cni.Network())
	inside, outside := c.MAC("eth0"), h.MAC(hostEnd(t, r))
	expect.Equal(t, "container end", inside[:3], "02:")
	expect.Equal(t, "host end", outside[:3], "fe:")
	expect.Equal(t, "the rest", outside[3:], inside[3:])
}

// TestHostInterfaceHasNoIPv6Address: a bridge port needs none, and would use it in the container's network.
func TestHostInterfaceHasNoIPv6Address(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c := h.Container("c")
	_, r := attach(t, h, c, cni.Network(cni.DefaultGateway(), cni.Pool("10.1.0.0/24", "fd00:1::/64")))
	ping(t, c.Netns, "fd00:1::1") // a reply shows that the link has carrier
	list, err := h.Netlink().AddrList(linkOf(t, h.Netns, hostEnd(t, r)), netlink.FAMILY_ALL)
	if err != nil || len(list) != 0 {
		t.Errorf("addresses of the host end: %v, %v", list, err)
	}
}

// TestBothInterfacesHaveTheMTU: host and container interface have the configured MTU.
//
// Claim: ADD creates the veth pair in one message, with the peer in the container's namespace
func TestBothInterfacesHaveTheMTU(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	h.Bridge("br0")
	c := h.Container("c")
	_, r := attach(t, h, c, cni.Network(cni.Conf{"bridge": "br0", "mtu": 1342}))
	expect.Equal(t, "host end", linkOf(t, h.Netns, hostEnd(t, r)).Attrs().MTU, 1342)
	expect.Equal(t, "container end", linkOf(t, c.Netns, "eth0").Attrs().MTU, 1342)
}

// TestBothInterfacesAreUpAndPeers: host and container interface are up and are a veth pair.
//
// Claim: ADD creates the veth pair in one message, with the peer in the container's namespace
func TestBothInterfacesAreUpAndPeers(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c := h.Container("c")
	_, r := attach(t, h, c, cni.Network())
	host, inside := linkOf(t, h.Netns, hostEnd(t, r)), linkOf(t, c.Netns, "eth0")
	expect.Equal(t, "types", []string{host.Type(), inside.Type()}, []string{"veth", "veth"})
	expect.Equal(t, "peer of the host end", host.Attrs().ParentIndex, inside.Attrs().Index)
	expect.Equal(t, "peer of the container end", inside.Attrs().ParentIndex, host.Attrs().Index)
	expect.Equal(t, "up", []bool{isUp(t, h.Netns, host.Attrs().Name), isUp(t, c.Netns, "eth0")}, []bool{true, true})
}

// TestVethIsCreatedInPlace: the container interface is created in the container and not moved there: the kernel would
// report an interface in the host.
//
// Claim: ADD creates the veth pair in one message, with the peer in the container's namespace
func TestVethIsCreatedInPlace(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c := h.Container("c")
	updates, done := make(chan netlink.LinkUpdate, 1000), make(chan struct{})
	defer close(done)
	var err error
	h.Do(func() { err = netlink.LinkSubscribe(updates, done) })
	if err != nil {
		t.Fatal(err)
	}
	a := on(h, c, cni.Network())
	a.ifname = "inside0"
	a.add(t)
	host := hostEnd(t, a.result(t))
	ip(t, h.Netns, "link add last type bridge") // events arrive in order: this one is the last
	defer ip(t, h.Netns, "link del last")
	var names []string
	for u := range updates {
		name := u.Link.Attrs().Name
		if name == "last" {
			break
		}
		names = append(names, name)
	}
	if slices.Contains(names, "inside0") || !slices.Contains(names, host) {
		t.Errorf("links seen in the host: %s", names)
	}
}
