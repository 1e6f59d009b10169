package verbs

import (
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// TestDeletedBridgeGetsItsMAC: another program deletes the bridge of a running container. The next ADD makes it again with the MAC that the
// container has in its neighbour table and the runtime in its result, and reload finds nothing to correct.
//
// Claim: A bridge that another program has deleted gets its MAC again, from ADD as from reload, and reload does not change it to and fro
func TestDeletedBridgeGetsItsMAC(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	conf := cni.Network(cni.DefaultGateway(), cni.Pool("10.1.0.0/24"))
	a, b := on(h, h.Container("a"), conf), on(h, h.Container("b"), conf)
	a.add(t)
	before := h.MAC("cni0")
	ip(t, h.Netns, "link del cni0")
	b.add(t)
	expect.Equal(t, "MAC after ADD", h.MAC("cni0"), before)
	expect.Contains(t, h.Run(t, nettest.Patchbay(t), "reload"), "is a port of bridge cni0 again, for net/"+a.id)
	a.check(t)
	b.check(t)
	// Records of an earlier version may disagree.
	h.Run(t, "sed", "-i", "s/"+before+"/02:00:00:00:53:99/", "/run/patchbay/net/"+b.id+"@eth0.json")
	expect.Equal(t, "reload with another MAC in the younger record mentions a MAC", strings.Contains(h.Run(t, nettest.Patchbay(t), "reload"), "MAC"), false)
	expect.Equal(t, "MAC after reload", h.MAC("cni0"), before)
	a.del(t)
	expect.Contains(t, h.Run(t, nettest.Patchbay(t), "reload"), "bridge cni0 has MAC 02:00:00:00:53:99 again")
	b.del(t)
}
