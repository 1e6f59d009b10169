package verbs

import (
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

func sticky(subnets ...string) cni.Conf {
	sets := make([][]cni.Conf, len(subnets))
	for i, subnet := range subnets {
		sets[i] = []cni.Conf{{"subnet": subnet}}
	}
	return cni.Network(cni.IPAM(cni.Conf{"ranges": sets, "sticky": true}))
}

// pod returns an attachment of a pod by its name, under a new container ID.
func pod(h *nettest.Node, c *nettest.Container, name string, n cni.Conf) *attachment {
	a := on(h, c, n)
	a.args = "K8S_POD_NAMESPACE=default;K8S_POD_NAME=" + name
	return a
}

// TestStickyPodGetsItsAddressAgain: under a new container ID, like the pods of a StatefulSet.
//
// Claim: IPAM supports exclusions, sticky addresses, small pools, round robin, requested addresses and resolvConf
func TestStickyPodGetsItsAddressAgain(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	n := sticky("10.1.0.0/24", "fd00:1::/64")
	first := pod(h, h.Container("c"), "web-0", n)
	want := addresses(first.add(t))
	first.del(t)
	other := pod(h, h.Container("d"), "web-1", n)
	expect.Equal(t, "another pod", addresses(other.add(t)), []string{"10.1.0.3/24", "fd00:1::3/64"})
	again := pod(h, h.Container("e"), "web-0", n)
	expect.Equal(t, "the pod again", addresses(again.add(t)), want)
	again.check(t)
}

// TestStickyContainerGetsItsAddressAgain: without a pod the container ID is the owner.
func TestStickyContainerGetsItsAddressAgain(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c := h.Container("c")
	first := on(h, c, sticky("10.1.0.0/24"))
	want := addresses(first.add(t))
	first.del(t)
	attach(t, h, h.Container("d"), sticky("10.1.0.0/24"))
	expect.Equal(t, "again", addresses(on(h, c, sticky("10.1.0.0/24")).add(t)), want)
}

func TestStickyNeedsTheSamePodNamespace(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	n := sticky("10.1.0.0/24")
	first := pod(h, h.Container("c"), "web-0", n)
	first.add(t)
	first.del(t)
	other := on(h, h.Container("d"), n)
	other.args = "K8S_POD_NAMESPACE=kube-system;K8S_POD_NAME=web-0"
	expect.Equal(t, "address", addresses(other.add(t)), []string{"10.1.0.3/24"})
}

// TestStickySurvivesReboot: /run, interfaces and bridge are lost, the address is kept.
//
// Claim: IPAM supports exclusions, sticky addresses, small pools, round robin, requested addresses and resolvConf
func TestStickySurvivesReboot(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	n := sticky("10.1.0.0/24", "fd00:1::/64")
	attach(t, h, h.Container("x"), n)
	first := pod(h, h.Container("c"), "web-0", n)
	want := addresses(first.add(t))
	ip(t, h.Netns, "link del "+hostEnd(t, first.result(t)))
	removeAll(t, h, "/run/patchbay")
	other := pod(h, h.Container("d"), "web-1", n)
	expect.Equal(t, "a newcomer", addresses(other.add(t)), []string{"10.1.0.4/24", "fd00:1::4/64"})
	again := pod(h, h.Container("e"), "web-0", n)
	expect.Equal(t, "again", addresses(again.add(t)), want)
}

// TestStickyOnDiskSurvivesReboot: the address files of the previous boot do not keep the owners from their addresses.
//
// Claim: IPAM supports exclusions, sticky addresses, small pools, round robin, requested addresses and resolvConf
func TestStickyOnDiskSurvivesReboot(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	n := sticky("10.1.0.0/24", "fd00:1::/64")
	n["ipam"].(cni.Conf)["dataDir"] = "/var/lib/cni/networks"
	first := pod(h, h.Container("c"), "web-0", n)
	want := addresses(first.add(t))
	h.Reboot()
	first.state = ""
	again := pod(h, h.Container("e"), "web-0", n)
	expect.Equal(t, "again", addresses(again.add(t)), want)
	again.check(t)
}

// TestStickyAddressIsAvoidedByOthers: it is assigned to others only if no other address is left.
//
// Claim: IPAM supports exclusions, sticky addresses, small pools, round robin, requested addresses and resolvConf
func TestStickyAddressIsAvoidedByOthers(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	n := sticky("10.1.0.0/29") // .2 to .6
	first := pod(h, h.Container("c"), "web-0", n)
	first.add(t)
	first.del(t)
	removeAll(t, h, addressDir(first)+"/last_reserved_ip.0") // else round robin would avoid it anyway
	var got []string
	for _, name := range []string{"web-1", "web-2", "web-3", "web-4", "web-5"} {
		got = append(got, addresses(pod(h, h.Container(name), name, n).add(t))[0])
	}
	expect.Equal(t, "addresses", got, []string{"10.1.0.3/29", "10.1.0.4/29", "10.1.0.5/29", "10.1.0.6/29", "10.1.0.2/29"})
}

// TestStickyAddressTaken: another container has got the address meanwhile, so the owner gets a new one and keeps that.
func TestStickyAddressTaken(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	n := sticky("10.1.0.0/24")
	first := pod(h, h.Container("c"), "web-0", n)
	first.add(t)
	first.del(t)
	thief := on(h, h.Container("d"), n)
	thief.args = "IP=10.1.0.2"
	thief.add(t)
	again := pod(h, h.Container("e"), "web-0", n)
	expect.Equal(t, "while taken", addresses(again.add(t)), []string{"10.1.0.3/24"})
	again.del(t)
	thief.del(t)
	expect.Equal(t, "afterwards", addresses(pod(h, h.Container("f"), "web-0", n).add(t)), []string{"10.1.0.3/24"})
}

// TestWithoutStickyTheAddressChanges: addresses are assigned round robin.
func TestWithoutStickyTheAddressChanges(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	n := cni.Network(cni.Pool("10.1.0.0/24"))
	first := pod(h, h.Container("c"), "web-0", n)
	first.add(t)
	first.del(t)
	expect.Equal(t, "again", addresses(pod(h, h.Container("d"), "web-0", n).add(t)), []string{"10.1.0.3/24"})
	expect.Equal(t, "memory", len(files(t, h, "/var/lib/patchbay/sticky/net")), 0)
}
