package vlan

import (
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

func replace(command, port string) string { return strings.ReplaceAll(command, "PORT", port) }

// TestBridgeOfOthers: a bridge that Patchbay did not create and that does not filter by VLAN is an error that names it; with filtering it
// is used.
//
// Claim: A bridge of others without VLAN filtering is an error that names it, never a network without isolation
func TestBridgeOfOthers(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	config := network("net", "10.1.0.10", "10.1.0.19", vlan(100))
	if !filters(t, h, config) {
		return
	}
	h.Bridge("cni0")
	h.Baseline()
	c := h.Container("refused")
	const want = "bridge cni0 does not filter by VLAN, and Patchbay did not create it"
	if e := h.CNI(t, cni.Call(t, "ADD", c, config)).Error(t); e.Code != 7 || e.Msg != want || !strings.Contains(e.Details, "vlan_filtering 1") {
		t.Errorf("ADD: %+v", e)
	}
	if e := h.CNI(t, cni.Call(t, "STATUS", c, config)).Error(t); e.Code != 50 || !strings.HasSuffix(e.Msg, want) {
		t.Errorf("STATUS: %+v", e)
	}
	h.NoLeaks(t)
	h.Run(t, "ip", "link", "set", "cni0", "type", "bridge", "vlan_filtering", "1")
	h.Baseline()
	a, b := attach(t, h, "a", config), attach(t, h, "b", config)
	both(t, a, b, true)
	a.del(t)
	b.del(t)
	h.NoLeaks(t)
}

// TestFilteringIsTurnedOn: the first network with a VLAN on our bridge turns filtering on, and the attachments that are there keep their
// traffic. If a port has no VLAN for frames without a tag, it would lose its traffic: ADD fails and names it.
//
// Claim: VLAN filtering is turned on on a bridge of Patchbay if no port loses its traffic, else ADD and STATUS name the port
func TestFilteringIsTurnedOn(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	config := network("net", "10.1.0.10", "10.1.0.19", vlan(100))
	if !filters(t, h, config) {
		return
	}
	plain := network("plain", "10.1.0.20", "10.1.0.29")
	a, b := attach(t, h, "a", plain), attach(t, h, "b", plain)
	h.Run(t, "bridge", "vlan", "del", "dev", a.port, "vid", "1")
	both(t, a, b, true) // the bridge does not filter yet
	c := h.Container("refused")
	want := "bridge cni0 does not filter by VLAN, and port " + a.port + " would lose its traffic: it has no VLAN for frames without a tag"
	if e := h.CNI(t, cni.Call(t, "ADD", c, config)).Error(t); e.Code != 7 || e.Msg != want {
		t.Errorf("ADD: %+v, want %q", e, want)
	}
	if e := h.CNI(t, cni.Call(t, "STATUS", c, config)).Error(t); e.Code != 50 || !strings.HasSuffix(e.Msg, want) {
		t.Errorf("STATUS: %+v, want %q", e, want)
	}
	h.Run(t, "bridge", "vlan", "add", "dev", a.port, "vid", "1", "pvid", "untagged")
	h.Run(t, "ip", "link", "add", "link", "cni0", "name", "cni0.7", "type", "vlan", "id", "7")
	if e := h.CNI(t, cni.Call(t, "ADD", c, config)).Error(t); !strings.Contains(e.Msg, "interface cni0.7 would lose its traffic: the bridge itself is not in VLAN 7") {
		t.Errorf("ADD: %+v", e)
	}
	h.Run(t, "ip", "link", "del", "cni0.7")
	d := attach(t, h, "d", config)
	both(t, a, b, true)
	both(t, a, d, false)
	expect.Equal(t, "VLANs of a", vlansOf(t, h, a.port), []string{"1 PVID Egress Untagged"})
	for _, one := range []*attached{a, b, d} {
		one.del(t)
	}
	h.NoLeaks(t)
}
