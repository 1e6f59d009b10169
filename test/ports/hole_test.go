package ports

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// invade makes a container send what is for 127.0.0.0/8 to the host, as its root can.
func invade(t *testing.T, b *box, gateway netip.Addr) {
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

// attack asks a server on the host's 127.0.0.1 from containers; server is who answers, "" for nobody.
func (w *town) attack(t *testing.T, server string, from ...*box) {
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

// besieged is a town with a server on 127.0.0.1 and a neighbour that sends there.
func besieged(t *testing.T, s *scene) *town {
	t.Helper()
	w := newTown(t, s, nil, port(8080)...)
	serve(t, s.Netns, localhost, 6000)
	invade(t, w.neighbour, w.near.gateway()[0])
	return w
}

// open removes the rule, so that an attack shows that it could have succeeded.
func (w *town) open(t *testing.T) {
	t.Helper()
	w.Run(t, "nft", "delete element inet patchbay localnet { "+w.near.bridge()+" }")
}

// route_localnet opens the host's 127.0.0.1 to the bridge; the rule that is made before it closes that.
func TestLocalhostIsClosedToContainers(t *testing.T) {
	bridgeNetfilter(t, func(t *testing.T, s *scene, _ bool) {
		w := besieged(t, s)
		w.attack(t, "", w.neighbour)
		w.open(t)
		w.attack(t, "host:6000", w.neighbour)
	})
}

// It stays closed as long as route_localnet is on, which it is when the last port is gone: after GC,
// after reload, and after a flush that reload has mended.
func TestLocalhostStaysClosed(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	w := besieged(t, s)
	s.CNI(t, call("DEL", w.web, "eth0", w.near.config(nil))).OK(t)
	w.attack(t, "", w.neighbour)
	s.gc(t, w.near, w.neighbour)
	w.attack(t, "", w.neighbour)
	s.Run(t, nettest.Patchbay(t), "reload")
	w.attack(t, "", w.neighbour)
	s.Run(t, "nft", "flush", "ruleset")
	w.attack(t, "host:6000", w.neighbour) // nobody but an administrator does that
	s.Run(t, nettest.Patchbay(t), "reload")
	w.attack(t, "", w.neighbour)
	s.SetSysctl("net/ipv4/conf/"+w.near.bridge()+"/route_localnet", "0")
	s.gc(t, w.near, w.neighbour)
	if got := s.Run(t, "nft", "list", "set", "inet", "patchbay", "localnet"); strings.Contains(got, "elements") {
		t.Errorf("what nothing needs any more is left:\n%s", got)
	}
}

// gc is a GC of a network of which these are valid.
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
