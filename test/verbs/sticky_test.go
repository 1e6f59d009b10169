package verbs

import (
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/expect"
)

func sticky(subnets ...string) conf {
	sets := make([][]conf, len(subnets))
	for i, subnet := range subnets {
		sets[i] = []conf{{"subnet": subnet}}
	}
	return network(ipam(conf{"ranges": sets, "sticky": true}))
}

// pod is an attachment of a pod by name; each has a container ID of its own.
func pod(h *nettest.Node, c *nettest.Container, name string, n conf) *attachment {
	a := on(h, c, n)
	a.args = "K8S_POD_NAMESPACE=default;K8S_POD_NAME=" + name
	return a
}

// TestStickyPodHasItsAddressAgain under a new container ID, as a StatefulSet's has.
func TestStickyPodHasItsAddressAgain(t *testing.T) {
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

// TestStickyContainerHasItsAddressAgain: without a pod the container ID is the owner.
func TestStickyContainerHasItsAddressAgain(t *testing.T) {
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

// TestStickySurvivesReboot: all of /run is gone, cables and bridge are gone, the address is not.
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

// TestStickyAddressIsAvoidedByOthers as long as there is another one, and given when there is none.
func TestStickyAddressIsAvoidedByOthers(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	n := sticky("10.1.0.0/29") // .2 to .6
	first := pod(h, h.Container("c"), "web-0", n)
	first.add(t)
	first.del(t)
	removeAll(t, h, addressDir(first)+"/last_reserved_ip.0") // else it is the last one's turn anyway
	var got []string
	for _, name := range []string{"web-1", "web-2", "web-3", "web-4", "web-5"} {
		got = append(got, addresses(pod(h, h.Container(name), name, n).add(t))[0])
	}
	expect.Equal(t, "addresses", got, []string{"10.1.0.3/29", "10.1.0.4/29", "10.1.0.5/29", "10.1.0.6/29", "10.1.0.2/29"})
}

// TestStickyAddressTaken by another one meanwhile: the owner gets a new one, and keeps that.
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

// TestWithoutStickyTheAddressChanges: round robin.
func TestWithoutStickyTheAddressChanges(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	n := network(pool("10.1.0.0/24"))
	first := pod(h, h.Container("c"), "web-0", n)
	first.add(t)
	first.del(t)
	expect.Equal(t, "again", addresses(pod(h, h.Container("d"), "web-0", n).add(t)), []string{"10.1.0.3/24"})
	expect.Equal(t, "memory", len(files(t, h, "/var/lib/patchbay/sticky/net")), 0)
}
