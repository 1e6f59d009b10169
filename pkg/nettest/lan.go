package nettest

import (
	"net/netip"
	"testing"
)

// Addresses of LAN, all of the documentation ranges.
const (
	LANHost4    = "192.0.2.10"
	LANHost6    = "2001:db8:0:1::10"
	LANRouter4  = "192.0.2.1"
	LANRouter6  = "2001:db8:0:1::1"
	LANOutside4 = "198.51.100.7"
	LANOutside6 = "2001:db8:0:2::7"

	lanUplinkMAC = "52:54:00:00:53:10"
)

// LAN is a network outside the host, which the host's bridge is part of:
//
//	host: br0 192.0.2.10/24, 2001:db8:0:1::10/64
//	        eth0 ─── lan0 (Switch) ─── lan 192.0.2.1, 2001:db8:0:1::1 (Router)
//	                                   wan 198.51.100.1, 2001:db8:0:2::1
//	                                     └── eth0 198.51.100.7, 2001:db8:0:2::7 (Outside)
//
// The router forwards and may send redirects; no address is translated. The
// host has its default routes by the router and does not forward.
type LAN struct {
	Bridge string // "br0"
	Uplink string // "eth0", a port of the bridge
	MAC    string // of the bridge

	Switch  *Netns // its bridge is "lan0", its port to the host "host"
	Router  *Netns // "lan" and "wan"
	Outside *Netns // "eth0"
}

// LANOption changes how LAN makes a network.
type LANOption func(*lanSetup)

type lanSetup struct{ bridgeMAC string }

// BridgeMAC gives br0 a MAC of its own. Without it br0 has its uplink's, which
// the kernel chose and changes when a port with a lower one comes: so it is on
// most hosts, and so it is hardest to leave alone.
func BridgeMAC(mac string) LANOption {
	return func(s *lanSetup) { s.bridgeMAC = mac }
}

// LAN makes a LAN with a router and an outside host, and the host's br0 on it.
// When it returns, host and outside have reached each other by both protocols.
// The host's links become part of the baseline. Once for each host.
func (h *Node) LAN(t testing.TB, opts ...LANOption) *LAN {
	t.Helper()
	var s lanSetup
	for _, o := range opts {
		o(&s)
	}
	l := &LAN{Bridge: "br0", Uplink: "eth0"}
	l.Switch, l.Router, l.Outside = h.machine("switch"), h.machine("router"), h.machine("outside")
	l.Switch.addBridge("lan0", "")
	l.wireRouter(t)
	l.wireOutside()
	h.addBridge(l.Bridge, s.bridgeMAC)
	h.addVeth(l.Uplink, lanUplinkMAC, l.Switch, "host")
	l.Switch.Plug("host", "lan0")
	h.Plug(l.Uplink, l.Bridge)
	h.AddAddress(l.Bridge, LANHost4+"/24", LANHost6+"/64")
	h.AddRoute("0.0.0.0/0", LANRouter4)
	h.AddRoute("::/0", LANRouter6)
	l.MAC = h.MAC(l.Bridge)
	h.mustReach(t, LANOutside4, LANOutside6)
	l.Outside.mustReach(t, LANHost4, LANHost6)
	h.adopt(l.Bridge, l.Uplink)
	return l
}

// wireRouter puts the router on the switch.
func (l *LAN) wireRouter(t testing.TB) {
	t.Helper()
	if err := l.Router.forward(); err != nil {
		t.Fatal(err)
	}
	l.Router.Veth("lan", l.Switch, "router")
	l.Switch.Plug("router", "lan0")
	l.Router.AddAddress("lan", LANRouter4+"/24", LANRouter6+"/64")
}

// wireOutside puts the outside host behind the router.
func (l *LAN) wireOutside() {
	l.Router.Veth("wan", l.Outside, "eth0")
	l.Router.AddAddress("wan", "198.51.100.1/24", "2001:db8:0:2::1/64")
	l.Outside.AddAddress("eth0", LANOutside4+"/24", LANOutside6+"/64")
	l.Outside.AddRoute("0.0.0.0/0", "198.51.100.1")
	l.Outside.AddRoute("::/0", "2001:db8:0:2::1")
}

// Neighbour adds another machine to the LAN, with addresses such as
// "192.0.2.20/24" on its "eth0" and default routes by the router.
func (l *LAN) Neighbour(name string, addrs ...string) *Netns {
	l.Switch.t.Helper()
	n := l.Switch.host.machine(name)
	port := "to-" + name
	n.Veth("eth0", l.Switch, port[:min(len(port), 15)])
	l.Switch.Plug(port[:min(len(port), 15)], "lan0")
	n.AddAddress("eth0", addrs...)
	for _, a := range addrs {
		if netip.MustParsePrefix(a).Addr().Is4() {
			n.AddRoute("0.0.0.0/0", LANRouter4)
			continue
		}
		n.AddRoute("::/0", LANRouter6)
	}
	return n
}
