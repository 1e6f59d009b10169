package ports

import (
	"net/netip"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// Addresses of the machine outside beside faraway, which no list allows: one of a name server, and one of nothing special.
var (
	resolver = addrs("203.0.113.53", "2001:db8:0:3::53")
	denied   = addrs("203.0.113.8", "2001:db8:0:3::8")
)

const (
	dnsPort     = 53
	servicePort = 90 // of a service of the host
)

// sandbox returns a network whose containers may open connections to faraway, and to its name servers: resolver and the gateway.
func sandbox(name string, n int, allow ...string) network {
	network := network{name: name, n: n}
	servers := append([]netip.Addr{netip.MustParseAddr("127.0.0.53")}, resolver...)
	network.keys = map[string]any{
		"egress": map[string]any{"allow": append([]string{faraway[0].String() + "/32", faraway[1].String() + "/128"}, allow...), "default": "drop"},
		"dns":    map[string]any{"nameservers": append(servers, network.gateway()...)},
	}
	return network
}

// egressScene is a scene with services of the host and of the machine outside.
func egressScene(t *testing.T, s *scene) {
	t.Helper()
	for i, length := range []string{"/24", "/64"} {
		s.outside.AddAddress("eth0", resolver[i].String()+length, denied[i].String()+length)
	}
	s.Baseline()
	for _, of := range [][]netip.Addr{faraway, resolver, denied} {
		listen(t, s.outside.Netns, of, 80, dnsPort)
	}
	listen(t, s.Netns, uplink, servicePort, dnsPort)
}

// expected is a row of the table of TestEgress.
type expected struct {
	from    *nettest.Netns
	to      []netip.AddrPort
	by      string // name of the server; "" where nothing must arrive
	because string
}

func tryAll(t *testing.T, rows []expected) {
	t.Helper()
	var tries []try
	for _, row := range rows {
		for _, to := range row.to {
			for _, proto := range tcpAndUDP() {
				tries = append(tries, try{from: row.from, proto: proto, to: to, server: row.by})
			}
		}
	}
	all(t, tries)
}

// TestEgress: connections from a container with egress to all kinds of destinations, and from them to it.
//
// Claim: With `egress` a container opens connections only to the listed destinations and, at port 53, to the network's name servers:
// not to others outside, other bridges, neighbours, published ports and the host; it answers all of them; IPv4 and IPv6, TCP, UDP and
// ICMP, with bridge-nf-call 0 and 1
func TestEgress(t *testing.T) {
	bridgeNetfilter(t, func(t *testing.T, s *scene, _ bool) {
		egressScene(t, s)
		closed := sandbox("closed", 81)
		e1, e2 := s.server(t, "e1", closed, port(8001)...), s.server(t, "e2", closed, port(8002)...)
		open := s.server(t, "open", network{name: "open", n: 82}, port(8003)...)
		listen(t, s.Netns, closed.gateway(), servicePort, dnsPort)
		host, outside := s.Netns, s.outside.Netns
		tryAll(t, []expected{
			{e1.Netns, at(80, faraway...), "outside", "listed"},
			{e1.Netns, at(dnsPort, faraway...), "outside:53", "listed"},
			{e1.Netns, at(dnsPort, resolver...), "outside:53", "a name server"},
			{e1.Netns, at(dnsPort, closed.gateway()...), s.Name() + ":53", "a name server"},
			{e1.Netns, at(8001, uplink...), "e1", "itself"},
			{e1.Netns, at(80, resolver...), "", "another port of a name server"},
			{e1.Netns, at(80, denied...), "", "not listed"},
			{e1.Netns, at(dnsPort, denied...), "", "not listed"},
			{e1.Netns, at(servicePort, closed.gateway()...), "", "a service of the host"},
			{e1.Netns, at(servicePort, uplink...), "", "a service of the host"},
			{e1.Netns, at(dnsPort, uplink...), "", "an address of the host that is no name server"},
			{e1.Netns, at(80, e2.addrs...), "", "a neighbour"},
			{e1.Netns, at(8002, uplink...), "", "a neighbour's published port"},
			{e1.Netns, at(80, open.addrs...), "", "another bridge"},
			{e1.Netns, at(8003, uplink...), "", "a published port of another bridge"},
			{host, at(80, e1.addrs...), "e1", "answers to the host"},
			{host, at(8001, uplink...), "e1", "answers to the host"},
			{host, at(8001, localhost...), "e1", "answers to the host"},
			{outside, at(80, e1.addrs...), "e1", "answers to the outside"},
			{outside, at(8001, uplink...), "e1", "answers to the outside"},
			{open.Netns, at(80, e1.addrs...), "e1", "answers to another bridge"},
			{open.Netns, at(8001, uplink...), "e1", "answers to another bridge"},
			{open.Netns, at(80, denied...), "outside", "another network is not restricted"},
			{open.Netns, at(servicePort, uplink...), s.Name() + ":90", "another network is not restricted"},
		})
		for i := range 2 {
			pings(t, e1.Netns, faraway[i], true)
			pings(t, e1.Netns, denied[i], false)
			pings(t, e1.Netns, closed.gateway()[i], false)
			pings(t, e1.Netns, e2.addrs[i], false)
			pings(t, host, e1.addrs[i], true)
			pings(t, outside, e1.addrs[i], true)
		}
	})
}

// pings sends an echo request, and again if a reply is expected and does not come.
func pings(t *testing.T, from *nettest.Netns, to netip.Addr, replies bool) {
	t.Helper()
	err := from.PingOnce(to)
	for range 3 {
		if replies && err != nil {
			err = from.PingOnce(to)
		}
	}
	if (err == nil) != replies {
		t.Errorf("ping from %s to %s: %v", from.Name(), to, err)
	}
}

// TestEgressToNeighbours: neighbours whose subnet is listed reach each other and their gateway. Without a restriction all of the first
// test's destinations are reached, which shows that it is able to fail.
//
// Claim: With `egress` a container opens connections only to the listed destinations and, at port 53, to the network's name servers:
// not to others outside, other bridges, neighbours, published ports and the host; it answers all of them; IPv4 and IPv6, TCP, UDP and
// ICMP, with bridge-nf-call 0 and 1
func TestEgressToNeighbours(t *testing.T) {
	bridgeNetfilter(t, func(t *testing.T, s *scene, _ bool) {
		egressScene(t, s)
		listed := sandbox("listed", 81, "10.81.0.0/24", "fd00:81::/64")
		e1, e2 := s.server(t, "e1", listed), s.server(t, "e2", listed, port(8002)...)
		accepting := network{name: "accepting", n: 82, keys: map[string]any{"egress": map[string]any{"allow": []string{"192.0.2.0/24"}, "default": "accept"}}}
		a1, a2 := s.server(t, "a1", accepting), s.server(t, "a2", accepting)
		listen(t, s.Netns, listed.gateway(), servicePort)
		listen(t, s.Netns, accepting.gateway(), servicePort)
		tryAll(t, []expected{
			{e1.Netns, at(80, e2.addrs...), "e2", "a listed neighbour"},
			{e1.Netns, at(8002, uplink...), "e2", "its published port"},
			{e1.Netns, at(servicePort, listed.gateway()...), s.Name() + ":90", "the listed gateway"},
			{e1.Netns, at(servicePort, uplink...), "", "another address of the host"},
			{e1.Netns, at(80, denied...), "", "not listed"},
			{e1.Netns, at(80, a1.addrs...), "", "not listed"},
			{a1.Netns, at(80, denied...), "outside", "not restricted"},
			{a1.Netns, at(80, resolver...), "outside", "not restricted"},
			{a1.Netns, at(80, a2.addrs...), "a2", "not restricted"},
			{a1.Netns, at(servicePort, accepting.gateway()...), s.Name() + ":90", "not restricted"},
			{a1.Netns, at(servicePort, uplink...), s.Name() + ":90", "not restricted"},
			{a1.Netns, at(8002, uplink...), "e2", "not restricted"},
		})
	})
}

// TestEgressAllOrNothing: an empty list, and lists of everything.
//
// Claim: With `egress` a container opens connections only to the listed destinations and, at port 53, to the network's name servers:
// not to others outside, other bridges, neighbours, published ports and the host; it answers all of them; IPv4 and IPv6, TCP, UDP and
// ICMP, with bridge-nf-call 0 and 1
func TestEgressAllOrNothing(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	egressScene(t, s)
	with := func(name string, n int, allow ...string) network {
		return network{name: name, n: n, keys: map[string]any{"egress": map[string]any{"allow": append([]string{}, allow...)}}}
	}
	none, every := s.server(t, "none", with("none", 81), port(8001)...), s.server(t, "every", with("every", 82, "0.0.0.0/0", "::/0"))
	halves := s.server(t, "halves", with("halves", 83, "0.0.0.0/1", "128.0.0.0/1", "::/1", "8000::/1"))
	adjacent := s.server(t, "adjacent", with("adjacent", 84, "203.0.113.6/31", "203.0.113.8/31", "2001:db8:0:3::6/127", "2001:db8:0:3::8/127"))
	tryAll(t, []expected{
		{none.Netns, at(80, faraway...), "", "nothing is listed"},
		{s.outside.Netns, at(8001, uplink...), "none", "answers"},
		{s.outside.Netns, at(80, none.addrs...), "none", "answers"},
		{every.Netns, at(80, faraway...), "outside", "everything is listed"},
		{every.Netns, at(servicePort, uplink...), s.Name() + ":90", "everything is listed"},
		{every.Netns, at(80, none.addrs...), "none", "everything is listed"},
		{halves.Netns, at(80, faraway...), "outside", "both halves are listed"},
		{adjacent.Netns, at(80, faraway...), "outside", "listed"},
		{adjacent.Netns, at(80, denied...), "outside", "listed"},
		{adjacent.Netns, at(80, resolver...), "", "not listed"},
	})
}
