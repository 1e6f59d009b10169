package vlan

import (
	"net/netip"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
)

// TestPortIsolation: two isolated ports do not reach each other, and both reach the gateway and a port that is not isolated. CHECK reports
// a changed flag, reload restores it.
//
// Claim: `portIsolation` separates the isolated ports of a bridge from each other only; CHECK compares it, `reload` restores it
func TestPortIsolation(t *testing.T) {
	t.Parallel()
	nettest.Need(t, nettest.PortIsolation)
	h := nettest.Host(t)
	isolated := network("net", "10.1.0.10", "10.1.0.19", cni.Gateway(), cni.Conf{"portIsolation": true})
	a, b := attach(t, h, "a", isolated), attach(t, h, "b", isolated)
	c := attach(t, h, "c", network("open", "10.1.0.20", "10.1.0.29", cni.Gateway()))
	gateway := netip.MustParseAddr("10.1.0.1")
	both(t, a, b, false)
	both(t, a, c, true)
	both(t, b, c, true)
	a.reaches(t, "the gateway", gateway, true)

	h.Run(t, "bridge", "link", "set", "dev", a.port, "isolated", "off")
	both(t, a, b, true)
	a.drifted(t, "isolation of bridge port "+a.port+" is false, portIsolation is true")
	both(t, a, b, false)
	h.Run(t, "bridge", "link", "set", "dev", c.port, "isolated", "on")
	c.drifted(t, "isolation of bridge port "+c.port+" is true, portIsolation is false")
	h.Run(t, "ip", "link", "set", a.port, "nomaster")
	h.Run(t, nettest.Patchbay(t), "reload")
	both(t, a, b, false)

	for _, one := range []*attached{a, b, c} {
		one.del(t)
	}
	h.NoLeaks(t)
}
