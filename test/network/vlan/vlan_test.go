package vlan

import (
	"net/netip"
	"strconv"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// TestApart: containers of one VLAN reach each other, and none of another VLAN or of a network without one, on the same bridge and in the
// same subnet. DEL leaves nothing but the bridge.
//
// Claim: Containers of different VLANs of a bridge do not reach each other, those of the same VLAN do; on a kernel without VLAN filtering ADD and STATUS say so and change nothing
func TestApart(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	hundred := network("hundred", "10.1.0.10", "10.1.0.19", vlan(100))
	if !filters(t, h, hundred) {
		return
	}
	a, b := attach(t, h, "a", hundred), attach(t, h, "b", hundred)
	c := attach(t, h, "c", network("other", "10.1.0.20", "10.1.0.29", vlan(200)))
	d := attach(t, h, "d", network("plain", "10.1.0.30", "10.1.0.39"))
	e := attach(t, h, "e", network("plain", "10.1.0.30", "10.1.0.39"))
	both(t, a, b, true)
	both(t, d, e, true)
	both(t, a, c, false)
	both(t, a, d, false)
	both(t, c, d, false)
	expect.Equal(t, "VLANs of a", vlansOf(t, h, a.port), []string{"100 PVID Egress Untagged"})
	expect.Equal(t, "VLANs of d", vlansOf(t, h, d.port), []string{"1 PVID Egress Untagged"})
	for _, one := range []*attached{a, b, c, d, e} {
		one.del(t)
	}
	h.NoLeaks(t)
}

// TestTrunk: interfaces of VLANs in a container reach the containers of these VLANs, and of no other; frames without a tag are in the
// native VLAN.
//
// Claim: A port with `vlanTrunk` carries exactly these VLANs with their tag, and the native VLAN without
func TestTrunk(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	trunk := cni.Conf{"vlanTrunk": []cni.Conf{{"id": 20}, {"minID": 30, "maxID": 32, "id": 40}}}
	config := network("trunk", "10.1.0.10", "10.1.0.19", vlan(10), trunk)
	if !filters(t, h, config) {
		return
	}
	router := attach(t, h, "router", config)
	expect.Equal(t, "VLANs", vlansOf(t, h, router.port), []string{"10 PVID Egress Untagged", "20", "30-32", "40"})
	native := attach(t, h, "native", network("ten", "10.1.0.20", "10.1.0.29", vlan(10)))
	both(t, router, native, true)
	for id, want := range map[int]bool{20: true, 31: true, 40: true, 33: false, 100: false} {
		text := strconv.Itoa(id)
		access := attach(t, h, "access"+text, network("access"+text, "10.1.0.30", "10.1.0.39", vlan(id)))
		router.Run(t, "ip", "link", "add", "link", "eth0", "name", "eth0."+text, "type", "vlan", "id", text)
		router.Run(t, "ip", "address", "add", "192.0.2."+text+"/24", "dev", "eth0."+text)
		router.Run(t, "ip", "link", "set", "eth0."+text, "up")
		access.Run(t, "ip", "address", "add", "192.0.2.201/24", "dev", "eth0")
		router.reaches(t, access.Name(), netip.MustParseAddr("192.0.2.201"), want)
		access.reaches(t, "the router", netip.MustParseAddr("192.0.2."+text), want)
		router.Run(t, "ip", "link", "del", "eth0."+text)
		access.del(t)
	}
	native.del(t)
	router.del(t)
	h.NoLeaks(t)
}

// TestNativeOfTrunk: the native VLAN of vlanTrunk alone is 1, that of the bridge, and preserveDefaultVlan keeps it beside vlan.
//
// Claim: The default VLAN of the bridge is removed from a port with VLANs unless `preserveDefaultVlan` is set; without `vlan` it is the native VLAN of `vlanTrunk`
func TestNativeOfTrunk(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	all := network("trunk", "10.1.0.10", "10.1.0.19", cni.Conf{"vlanTrunk": []cni.Conf{{"minID": 1, "maxID": 4094}}})
	if !filters(t, h, all) {
		return
	}
	router := attach(t, h, "router", all)
	plain := attach(t, h, "plain", network("plain", "10.1.0.20", "10.1.0.29"))
	keeps := attach(t, h, "keeps", network("keeps", "10.1.0.30", "10.1.0.39", vlan(100), cni.Conf{"preserveDefaultVlan": true}))
	expect.Equal(t, "VLANs of the trunk", vlansOf(t, h, router.port), []string{"1 PVID Egress Untagged", "2-4094"})
	expect.Equal(t, "VLANs with preserveDefaultVlan", vlansOf(t, h, keeps.port), []string{"1 Egress Untagged", "100 PVID Egress Untagged"})
	both(t, router, plain, true)
	both(t, keeps, plain, false) // what it sends is in VLAN 100
	for _, one := range []*attached{router, plain, keeps} {
		one.del(t)
	}
	h.NoLeaks(t)
}

// TestDrift: CHECK reports a lost VLAN, one too many, another tagging and filtering that was turned off, and reload restores each; also a
// bridge that was deleted.
//
// Claim: CHECK compares the VLANs of a port and the filtering of its bridge, and `reload` restores both
func TestDrift(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	config := network("net", "10.1.0.10", "10.1.0.19", vlan(100), cni.Conf{"vlanTrunk": []cni.Conf{{"minID": 20, "maxID": 25}}})
	if !filters(t, h, config) {
		return
	}
	a, b := attach(t, h, "a", config), attach(t, h, "b", config)
	port := "bridge port " + a.port
	for _, harm := range []struct{ command, says string }{
		{"bridge vlan del dev PORT vid 22-23", port + " is not in VLAN 22-23"},
		{"bridge vlan add dev PORT vid 1", port + " is also in VLAN 1"},
		{"bridge vlan add dev PORT vid 100", port + " has another tagging in VLAN 100"},
		{"ip link set cni0 type bridge vlan_filtering 0", "bridge cni0 does not filter by VLAN"},
		{"ip link set PORT nomaster", "host link " + a.port + " is not a port of bridge cni0"},
	} {
		h.Run(t, "sh", "-c", replace(harm.command, a.port))
		if said := doctor(t, h); !strings.Contains(said, " of network net is not in its VLAN") && !strings.Contains(harm.command, "nomaster") {
			t.Errorf("%s: doctor says\n%s", harm.command, said)
		}
		a.drifted(t, harm.says)
		both(t, a, b, true)
	}
	h.Run(t, "ip", "link", "del", "cni0")
	h.Run(t, nettest.Patchbay(t), "reload")
	both(t, a, b, true)
	expect.Equal(t, "VLANs", vlansOf(t, h, a.port), []string{"20-25", "100 PVID Egress Untagged"})
	a.del(t)
	b.del(t)
	h.NoLeaks(t)
}
