package ports

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// routeLoopback makes a container send packets for 127.0.0.0/8 to the host, as its root user can.
func routeLoopback(t *testing.T, b *box, gateway netip.Addr) {
	t.Helper()
	b.Run(t, "ip", "address", "del", "127.0.0.1/8", "dev", "lo")
	b.Run(t, "ip", "route", "add", "127.0.0.0/8", "via", gateway.String(), "dev", "eth0")
	b.SetSysctl("net/ipv4/conf/eth0/route_localnet", "1")
	t.Cleanup(func() {
		b.Run(t, "ip", "route", "del", "127.0.0.0/8")
		b.Run(t, "ip", "address", "add", "127.0.0.1/8", "dev", "lo")
		b.SetSysctl("net/ipv4/conf/eth0/route_localnet", "0")
	})
}

// attack connects from containers to a server on the host's 127.0.0.1; server is the expected server, "" for no reply.
func (w *publishingHost) attack(t *testing.T, server string, from ...*box) {
	t.Helper()
	if got := w.Sysctl("net/ipv4/conf/" + w.near.bridge() + "/route_localnet"); got != "1" {
		t.Errorf("route_localnet is %s", got)
	}
	var tries []try
	for _, b := range from {
		for _, proto := range tcpAndUDP() {
			tries = append(tries, try{from: b.Netns, proto: proto, to: netip.AddrPortFrom(localhost[0], 6000), server: server})
		}
	}
	all(t, tries)
}

// withIntruder returns a host with a server on 127.0.0.1 and a neighbour that sends packets there.
func withIntruder(t *testing.T, s *scene) *publishingHost {
	t.Helper()
	w := newHost(t, s, nil, port(8080)...)
	listen(t, s.Netns, localhost, 6000)
	routeLoopback(t, w.neighbour, w.near.gateway()[0])
	return w
}

// open removes the protection, to show that the attack then succeeds.
func (w *publishingHost) open(t *testing.T) {
	t.Helper()
	w.Run(t, "nft", "delete element inet patchbay localnet { "+w.near.bridge()+" }")
}

// TestLocalhostIsClosedToContainers: route_localnet opens the host's 127.0.0.1 to the bridge; a rule, which is added before, closes it.
//
// Claim: The host's 127.0.0.1 is closed to containers, and stays closed as long as route_localnet is on: after the last port, GC and
// reload
func TestLocalhostIsClosedToContainers(t *testing.T) {
	bridgeNetfilter(t, func(t *testing.T, s *scene, _ bool) {
		w := withIntruder(t, s)
		w.attack(t, "", w.neighbour)
		w.open(t)
		w.attack(t, "host:6000", w.neighbour)
	})
}

// TestLocalhostStaysClosed: it stays closed as long as route_localnet is on, which is still so without any port: after GC, after reload, and after
// a flush of the ruleset and reload.
//
// Claim: The host's 127.0.0.1 is closed to containers, and stays closed as long as route_localnet is on: after the last port, GC and
// reload
func TestLocalhostStaysClosed(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	w := withIntruder(t, s)
	s.CNI(t, call("DEL", w.web, "eth0", w.near.config(nil))).OK(t)
	w.attack(t, "", w.neighbour)
	s.gc(t, w.near, w.neighbour)
	w.attack(t, "", w.neighbour)
	s.Run(t, nettest.Patchbay(t), "reload")
	w.attack(t, "", w.neighbour)
	s.Run(t, "nft", "flush", "ruleset")
	w.attack(t, "host:6000", w.neighbour) // only an administrator can flush the ruleset
	s.Run(t, nettest.Patchbay(t), "reload")
	w.attack(t, "", w.neighbour)
	s.SetSysctl("net/ipv4/conf/"+w.near.bridge()+"/route_localnet", "0")
	s.gc(t, w.near, w.neighbour)
	if got := s.Run(t, "nft", "list", "set", "inet", "patchbay", "localnet"); strings.Contains(got, "elements") {
		t.Errorf("unused elements are left:\n%s", got)
	}
}

// gc calls GC for a network with these valid attachments.
func (s *scene) gc(t *testing.T, n network, valid ...*box) {
	t.Helper()
	list := []map[string]string{}
	for _, b := range valid {
		list = append(list, map[string]string{"containerID": b.ID(), "ifname": "eth0"})
	}
	with := n
	with.keys = map[string]any{"cni.dev/valid-attachments": list}
	s.CNI(t, nettest.Call{Command: "GC", Config: with.config(nil)}).OK(t)
}
