package load

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

const (
	portsOfBridge = 1023 // Linux, BR_PORT_BITS 10
	codeFull      = 103
)

// TestLastPort: of eight that want a bridge's last port at once one gets it, and the others are told so and leave nothing. Each
// port that comes free, ours or not, is one more ADD that passes.
func TestLastPort(t *testing.T) {
	h := nettest.Host(t)
	h.Bridge("cni0")
	occupy(t, h, "cni0", portsOfBridge-1)
	h.Baseline()
	c := gather(t, h, 8, network("net", "cni0", pool("10.1.0.0/24")))
	c.compete(t, 1)
	c.detachAll(t)
	h.NoLeaks(t)
	c.compete(t, 1)
	h.Run(t, "ip", "link", "del", "port0") // with its other end
	c.compete(t, 2)
	c.detachAll(t)
	h.Allow("link port0")
	h.Allow("link tail0")
	h.NoLeaks(t)
}

// occupy makes cables whose both ends are ports. They stay down: nothing goes round.
func occupy(t *testing.T, h *nettest.Node, bridge string, ports int) {
	t.Helper()
	br, err := h.Netlink().LinkByName(bridge)
	if err != nil {
		t.Fatal(err)
	}
	for i := range ports / 2 {
		near := netlink.NewLinkAttrs()
		near.Name, near.MasterIndex = fmt.Sprintf("port%d", i), br.Attrs().Index
		cable := &netlink.Veth{LinkAttrs: near, PeerName: fmt.Sprintf("tail%d", i)}
		if err := h.Netlink().LinkAdd(cable); err != nil {
			t.Fatal(err)
		}
		far := netlink.NewLinkAttrs()
		far.Name = cable.PeerName
		if err := h.Netlink().LinkSetMaster(&netlink.Veth{LinkAttrs: far}, br); err != nil {
			t.Fatal(err)
		}
	}
}

// compete lets everybody who is not attached try; so many must succeed, and the others leave nothing.
func (c *crowd) compete(t *testing.T, places int) {
	t.Helper()
	rest := c.some(func(m *member) bool { return m.prev == nil })
	r := rest.all(t, "ADD")
	if r.ok() != places {
		t.Errorf("%d ADDs succeeded, there is room for %d", r.ok(), places)
	}
	for _, a := range r.answers {
		if a.Exit != 0 {
			refused(t, a, codeFull)
		}
	}
	c.judge(t, netip.MustParsePrefix("10.1.0.0/24"))
	c.some(attached).all(t, "CHECK").allOK(t)
}

func attached(m *member) bool { return m.prev != nil }

// some are those members for which a condition holds.
func (c *crowd) some(hold func(*member) bool) *crowd {
	out := &crowd{h: c.h, plugin: c.plugin, config: c.config}
	for _, m := range c.members {
		if hold(m) {
			out.members = append(out.members, m)
		}
	}
	return out
}

// detachAll makes the DEL of everybody.
func (c *crowd) detachAll(t *testing.T) {
	t.Helper()
	c.all(t, "DEL").allOK(t)
	for _, m := range c.members {
		m.prev = nil
	}
	look(t, c.h, c.containers()).equal(t, newState())
}
