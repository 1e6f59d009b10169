package vlan

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// routed returns a network of a VLAN with its gateway on the host.
func routed(name, subnet string, id int) cni.Conf {
	return cni.Network(cni.Conf{"name": name}, vlan(id), cni.DefaultGateway(), cni.Masquerade(), cni.Pool(subnet))
}

// TestGateway: the gateway of a VLAN is on an interface of its own, the fourth of the result as in the reference bridge. The host routes
// between VLANs, masquerades, and publishes ports.
//
// Claim: With `vlan` and `isGateway` the gateway is on an interface BRIDGE.VLAN, listed fourth in the result; the host routes, masquerades and publishes ports through it
func TestGateway(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	config := routed("hundred", "10.100.0.0/24", 100)
	if !filters(t, h, config) {
		return
	}
	a, b := attach(t, h, "a", config), attach(t, h, "b", routed("other", "10.200.0.0/24", 200))
	interfaces := a.result.Result(t).Interfaces
	expect.Equal(t, "number of interfaces", len(interfaces), 4)
	expect.Equal(t, "the fourth", []string{interfaces[3].Name, interfaces[3].Mac, interfaces[3].Sandbox}, []string{"cni0.100", h.MAC("cni0.100"), ""})
	expect.Equal(t, "addresses of the bridge", strings.Contains(h.Run(t, "ip", "-4", "address", "show", "cni0"), "inet "), false)
	a.reaches(t, "its gateway", netip.MustParseAddr("10.100.0.1"), true)
	a.reaches(t, "the gateway of the other VLAN", netip.MustParseAddr("10.200.0.1"), true)
	both(t, a, b, true) // routed and masqueraded by the host
	c := attach(t, h, "c", config)
	both(t, a, c, true)
	if rules := h.Run(t, "nft", "list", "map", "inet", "patchbay", "masq4"); !strings.Contains(rules, `"cni0.100" . 10.100.0.2`) {
		t.Errorf("masquerading is not that of cni0.100:\n%s", rules)
	}

	h.Run(t, "bridge", "vlan", "del", "dev", "cni0", "vid", "100", "self")
	a.drifted(t, "bridge cni0 is not in VLAN 100, whose gateway it is")
	h.Run(t, "ip", "address", "del", "10.100.0.1/24", "dev", "cni0.100")
	if e := a.call(t, "CHECK").Error(t); !strings.Contains(e.Msg, "bridge cni0.100 has lost the gateway address 10.100.0.1/24") {
		t.Errorf("CHECK: %+v", e)
	}
	h.Run(t, nettest.Patchbay(t), "reload")
	a.check(t)
	h.Run(t, "ip", "link", "del", "cni0.100")
	a.drifted(t, "interface cni0.100: no such interface")
	a.reaches(t, "its gateway", netip.MustParseAddr("10.100.0.1"), true)
	for _, one := range []*attached{a, b, c} {
		one.del(t)
	}
	h.NoLeaks(t)
}

// TestGatewayOfDefaultVLAN: VLAN 1 is that of the bridge itself, which has the gateway then.
//
// Claim: The gateway of VLAN 1 is on the bridge, which receives its frames without a tag
func TestGatewayOfDefaultVLAN(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	config := routed("one", "10.1.0.0/24", 1)
	if !filters(t, h, config) {
		return
	}
	a := attach(t, h, "a", config)
	expect.Equal(t, "number of interfaces", len(a.result.Result(t).Interfaces), 3)
	a.reaches(t, "its gateway", netip.MustParseAddr("10.1.0.1"), true)
	a.del(t)
	h.NoLeaks(t)
}

// TestGatewayNameTaken: an interface that has the name of the gateway's, and is something else, is left alone.
//
// Claim: An interface with the name of a VLAN's gateway that is not of this VLAN and bridge is an error that names it, and is not changed
func TestGatewayNameTaken(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	config := routed("net", "10.1.0.0/24", 100)
	if !filters(t, h, config) {
		return
	}
	a := attach(t, h, "a", routed("other", "10.2.0.0/24", 200)) // makes the bridge
	h.Run(t, "ip", "link", "add", "cni0.100", "type", "bridge")
	h.Run(t, "ip", "link", "add", "link", "cni0", "name", "cni0.300", "type", "vlan", "id", "301")
	for want, conf := range map[string]cni.Conf{
		"interface cni0.100 of type bridge: not an interface of that VLAN on the bridge cni0": config,
		"interface cni0.300 of VLAN 301: not an interface of that VLAN on the bridge cni0":    routed("third", "10.3.0.0/24", 300),
	} {
		c := h.Container("refused" + conf["name"].(string))
		if e := h.CNI(t, cni.Call(t, "ADD", c, conf)).Error(t); e.Code != 7 || e.Msg != want {
			t.Errorf("ADD: %+v, want %q", e, want)
		}
		if e := h.CNI(t, cni.Call(t, "STATUS", c, conf)).Error(t); e.Code != 50 || !strings.HasSuffix(e.Msg, want) {
			t.Errorf("STATUS: %+v, want %q", e, want)
		}
	}
	h.Run(t, "ip", "link", "del", "cni0.100")
	h.Run(t, "ip", "link", "del", "cni0.300")
	a.del(t)
	h.NoLeaks(t)
}

// TestUnfinishedGateway: an ADD that was killed has left the gateway's interface down, in the group that marks it, and the bridge is not in
// the VLAN. The next ADD finishes it; many at once share it.
//
// Claim: The interface of a VLAN's gateway that a killed ADD left unfinished is finished by the next; ADDs at the same time share it
func TestUnfinishedGateway(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	config := routed("net", "10.100.0.0/24", 100)
	if !filters(t, h, config) {
		return
	}
	first := attach(t, h, "first", routed("other", "10.200.0.0/24", 200)) // makes the bridge
	h.Run(t, "ip", "link", "add", "link", "cni0", "name", "cni0.100", "type", "vlan", "id", "100")
	left, err := h.Netlink().LinkByName("cni0.100")
	if err == nil {
		err = h.Netlink().LinkSetGroup(left, 1<<31|0x70627962)
	}
	if err != nil {
		t.Fatal(err)
	}
	var calls []*nettest.Running
	var all []*nettest.Container
	for _, name := range []string{"a", "b", "c", "d"} {
		c := h.Container(name)
		all = append(all, c)
		calls = append(calls, h.StartCNI(t, cni.Call(t, "ADD", c, config)))
	}
	for i, call := range calls {
		call.Wait(t).OK(t)
		if err := all[i].PingOnce(netip.MustParseAddr("10.100.0.1")); err != nil {
			t.Errorf("%s pings its gateway: %v", all[i].Name(), err)
		}
	}
	expect.Equal(t, "alias", strings.Contains(h.Run(t, "ip", "link", "show", "cni0.100"), "alias patchbay:vlan"), true)
	for _, c := range all {
		cni.Del(t, h, c, config)
	}
	first.del(t)
	h.NoLeaks(t)
}

// TestPurge: the gateways of two VLANs are on a bridge of another program and on one of Patchbay's. `uninstall --purge` deletes both
// interfaces, and none of a VLAN that another program made.
//
// Claim: `uninstall --purge` deletes the gateway's interface of a VLAN on every bridge, and no interface of a VLAN that others made
func TestPurge(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	config := routed("net", "10.100.0.0/24", 100)
	if !filters(t, h, config) {
		return
	}
	h.Bridge("br0")
	h.Run(t, "ip", "link", "set", "br0", "type", "bridge", "vlan_filtering", "1")
	h.Run(t, "ip", "link", "add", "link", "br0", "name", "br0.300", "type", "vlan", "id", "300")
	h.Baseline()
	h.Oracle(nettest.CleanHost)
	for _, a := range []*attached{attach(t, h, "a", config), attach(t, h, "b", routed("other", "10.200.0.0/24", 200).With(cni.Conf{"bridge": "br0"}))} {
		a.del(t)
	}
	purge := func(more ...string) string {
		return h.Run(t, nettest.Patchbay(t), append([]string{"uninstall", "--purge", "--bin-dir", t.TempDir()}, more...)...)
	}
	want := []string{"interface cni0.100\n", "interface br0.200\n", "bridge cni0\n"}
	for _, link := range want {
		expect.Contains(t, purge("--dry-run"), "would delete "+link)
	}
	done := purge()
	for _, link := range want {
		expect.Contains(t, done, "deleted "+link)
	}
	expect.Equal(t, "interfaces of VLANs", strings.Fields(h.Run(t, "ip", "-br", "link", "show", "type", "vlan"))[0], "br0.300@br0")
	h.SetSysctl("net/ipv4/ip_forward", "0")
	h.Run(t, "sh", "-c", "bridge vlan del dev br0 vid 200 self")
	h.NoLeaks(t)
}
