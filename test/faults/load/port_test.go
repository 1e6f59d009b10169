package load

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
)

const (
	portsOfBridge = 1023 // Linux, BR_PORT_BITS 10
	codeFull      = 103
)

// TestLastPort: of eight concurrent ADDs on a bridge with one free port one succeeds; the others fail with code 103 and leave nothing.
// Each bridge port that becomes free, Patchbay's or not, lets one more ADD succeed.
//
// Claim: The last free bridge port, and each that becomes free, goes to one ADD; the others leave nothing behind
func TestLastPort(t *testing.T) {
	h := nettest.Host(t)
	h.Bridge("cni0")
	fillPorts(t, h, "cni0", portsOfBridge-1)
	h.Baseline()
	c := newBatch(t, h, 8, network("net", "cni0", cni.Pool("10.1.0.0/24")))
	c.addRest(t, 1)
	c.detachAll(t)
	h.NoLeaks(t)
	c.addRest(t, 1)
	h.Run(t, "ip", "link", "del", "port0") // and its peer
	c.addRest(t, 2)
	c.detachAll(t)
	h.Allow("link port0")
	h.Allow("link tail0")
	h.NoLeaks(t)
}

// fillPorts creates veth pairs with both ends in the bridge. They stay down, so that there is no loop.
func fillPorts(t *testing.T, h *nettest.Node, bridge string, ports int) {
	t.Helper()
	br, err := h.Netlink().LinkByName(bridge)
	if err != nil {
		t.Fatal(err)
	}
	for i := range ports / 2 {
		near := netlink.NewLinkAttrs()
		near.Name, near.MasterIndex = fmt.Sprintf("port%d", i), br.Attrs().Index
		pair := &netlink.Veth{LinkAttrs: near, PeerName: fmt.Sprintf("tail%d", i)}
		if err := h.Netlink().LinkAdd(pair); err != nil {
			t.Fatal(err)
		}
		far := netlink.NewLinkAttrs()
		far.Name = pair.PeerName
		if err := h.Netlink().LinkSetMaster(&netlink.Veth{LinkAttrs: far}, br); err != nil {
			t.Fatal(err)
		}
	}
}

// addRest calls ADD for every member that is not attached: places of them must succeed, and the others leave nothing behind.
func (c *batch) addRest(t *testing.T, places int) {
	t.Helper()
	rest := c.some(func(m *member) bool { return m.prev == nil })
	r := rest.all(t, "ADD")
	if r.ok() != places {
		t.Errorf("%d ADDs succeeded, want %d", r.ok(), places)
	}
	for _, a := range r.answers {
		if a.Exit != 0 {
			refused(t, a, codeFull)
		}
	}
	c.compareResults(t, netip.MustParsePrefix("10.1.0.0/24"))
	c.some(attached).all(t, "CHECK").allOK(t)
}

func attached(m *member) bool { return m.prev != nil }

// some returns the members for which hold is true.
func (c *batch) some(hold func(*member) bool) *batch {
	out := &batch{h: c.h, plugin: c.plugin, config: c.config}
	for _, m := range c.members {
		if hold(m) {
			out.members = append(out.members, m)
		}
	}
	return out
}

// detachAll calls DEL for all members; nothing may be left behind.
func (c *batch) detachAll(t *testing.T) {
	t.Helper()
	c.all(t, "DEL").allOK(t)
	for _, m := range c.members {
		m.prev = nil
	}
	readState(t, c.h, c.containers()).equal(t, newState())
}
