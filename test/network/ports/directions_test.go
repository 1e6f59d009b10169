package ports

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

var localhost = addrs("127.0.0.1")

// publishingHost is a host with every kind of client of the published port of web.
type publishingHost struct {
	*scene
	near, far            network
	web, neighbour, afar *box
	host                 []netip.Addr
	calls                bool // bridged packets traverse the ruleset (bridge-nf-call)
}

func newHost(t *testing.T, s *scene, keys map[string]any, ports ...mapping) *publishingHost {
	t.Helper()
	w := &publishingHost{scene: s, calls: s.Sysctl("net/bridge/bridge-nf-call-iptables") == "1", near: network{name: "near", n: 81, keys: keys}, far: network{name: "far", n: 82}}
	w.web = s.server(t, "web", w.near, ports...)
	w.neighbour = s.box(t, "neighbour", w.near)
	w.afar = s.box(t, "afar", w.far)
	w.host = slices.Concat(uplink, w.near.gateway(), w.far.gateway(), localhost)
	return w
}

// sources is a client, the host addresses that it connects to, and the source addresses that web may see.
type sources struct {
	from *nettest.Netns
	by   []netip.Addr
	saw  []netip.Addr
}

func (w *publishingHost) directions() []sources {
	gateways := slices.Concat(uplink, w.near.gateway())
	neighbour := w.host
	if w.calls { // requests and replies are translated on the bridge: no connection is masqueraded
		neighbour = w.neighbour.addrs
	}
	return []sources{
		{w.outside.Netns, gateways, faraway},
		{w.Netns, gateways, w.host},
		{w.Netns, localhost, w.host},
		{w.web.Netns, gateways, w.host},
		{w.neighbour.Netns, gateways, neighbour},
		{w.afar.Netns, slices.Concat(gateways, w.far.gateway()), w.host}, // afar is masqueraded by its own network
	}
}

// tries returns the connections from all clients to a port.
func (w *publishingHost) tries(number uint16, protos ...string) []try {
	var all []try
	for _, d := range w.directions() {
		for _, to := range at(number, d.by...) {
			for _, proto := range protos {
				all = append(all, try{from: d.from, proto: proto, to: to, server: "web", saw: d.saw})
			}
		}
	}
	return all
}

// TestEveryDirection: a published port is reachable from everywhere through each address of the host. The server sees the address of clients from
// outside. Clients whose replies would bypass the host are masqueraded.
//
// Claim: A published port is reached by TCP, UDP and SCTP, IPv4 and IPv6, with bridge-nf-call 0 and 1: from outside, from the host by each
// address, from 127.0.0.1, the container itself, a neighbour and another network; ::1 is refused at once; the server sees the address of a
// client from outside, and an address of the host for all others
func TestEveryDirection(t *testing.T) {
	bridgeNetfilter(t, func(t *testing.T, s *scene, _ bool) {
		w := newHost(t, s, nil, append(port(8080), mapping{HostPort: 8080, ContainerPort: 80, Protocol: "sctp"})...)
		serveSCTP(t, w.web.Netns, 80)
		all(t, w.tries(8080, "tcp", "udp", "sctp"))
		// Replies of a container cannot be delivered to ::1; the connection is refused.
		for _, proto := range tcpAndUDP() {
			all(t, []try{{from: w.Netns, proto: proto, to: netip.MustParseAddrPort("[::1]:8080"), refused: true}})
		}
	})
}

// TestHostIP: a port with a hostIP is reachable through this address, from everywhere, and refused at every other address.
//
// Claim: hostIP publishes on this address alone, a wildcard of one family or one host address; ranges, several containers, and one
// container on two networks work
func TestHostIP(t *testing.T) {
	bridgeNetfilter(t, func(t *testing.T, s *scene, _ bool) {
		var ports []mapping
		for i, ip := range []string{uplink[0].String(), uplink[1].String(), "127.0.0.1", "0.0.0.0", "::"} {
			for _, m := range port(9001 + uint16(i)) {
				m.HostIP = ip
				ports = append(ports, m)
			}
		}
		w := newHost(t, s, nil, ports...)
		is := []func(netip.Addr) bool{
			func(a netip.Addr) bool { return a == uplink[0] },
			func(a netip.Addr) bool { return a == uplink[1] },
			func(a netip.Addr) bool { return a == localhost[0] },
			netip.Addr.Is4,
			netip.Addr.Is6,
		}
		var tries []try
		for i, reached := range is {
			for _, c := range w.tries(9001+uint16(i), tcpAndUDP()...) {
				if !reached(c.to.Addr()) {
					c.server, c.saw, c.refused = "", nil, true
				}
				tries = append(tries, c)
			}
		}
		all(t, tries)
	})
}

// TestRange: the first and the last port of a range lead to their targets, and the ports next to the range are closed.
//
// Claim: hostIP publishes on this address alone, a wildcard of one family or one host address; ranges, several containers, and one
// container on two networks work
func TestRange(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	w := newHost(t, s, nil,
		mapping{HostPort: 9000, ContainerPort: 7000, Range: 10}, mapping{HostPort: 9000, ContainerPort: 7000, Range: 10, Protocol: "udp"})
	listen(t, w.web.Netns, w.web.addrs, 7000, 7009, 7010)
	var tries []try
	for _, proto := range tcpAndUDP() {
		for _, a := range uplink {
			for number, server := range map[uint16]string{9000: "web:7000", 9009: "web:7009"} {
				tries = append(tries, try{from: s.outside.Netns, proto: proto, to: netip.AddrPortFrom(a, number), server: server, saw: faraway})
			}
			for _, number := range []uint16{8999, 9010} {
				tries = append(tries, try{from: s.outside.Netns, proto: proto, to: netip.AddrPortFrom(a, number), refused: true})
			}
		}
	}
	all(t, tries)
}

// TestSeveral: several containers publish ports on one network and reach each other's, and one container publishes ports on two networks, which
// both reply although its default route uses one of them.
//
// Claim: hostIP publishes on this address alone, a wildcard of one family or one host address; ranges, several containers, and one
// container on two networks work
func TestSeveral(t *testing.T) {
	bridgeNetfilter(t, func(t *testing.T, s *scene, _ bool) {
		w := newHost(t, s, nil, port(8081)...)
		twin := s.server(t, "twin", w.near, port(8082)...)
		both := s.box(t, "both", w.near, port(8083)...)
		second := w.far
		second.keys = map[string]any{"isDefaultGateway": false, "isGateway": true}
		s.attach(t, both, "eth1", second, port(8084)...)
		listen(t, both.Netns, both.addrs, 80)
		var tries []try
		for _, from := range []*nettest.Netns{s.outside.Netns, s.Netns, w.web.Netns, twin.Netns, w.neighbour.Netns, w.afar.Netns} {
			for number, server := range map[uint16]string{8081: "web", 8082: "twin", 8083: "both", 8084: "both"} {
				for _, proto := range tcpAndUDP() {
					for _, to := range at(number, uplink...) {
						tries = append(tries, try{from: from, proto: proto, to: to, server: server})
					}
				}
			}
		}
		all(t, tries)
	})
}
