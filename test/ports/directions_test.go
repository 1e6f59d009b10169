package ports

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

var localhost = addrs("127.0.0.1")

// town is a host with everybody who may ask for a port of web, and what the host's addresses are.
type town struct {
	*scene
	near, far            network
	web, neighbour, afar *box
	host                 []netip.Addr
	calls                bool // bridged packets are shown to the ruleset
}

func newTown(t *testing.T, s *scene, keys map[string]any, ports ...mapping) *town {
	t.Helper()
	w := &town{scene: s, calls: s.Sysctl("net/bridge/bridge-nf-call-iptables") == "1", near: network{name: "near", n: 81, keys: keys}, far: network{name: "far", n: 82}}
	w.web = s.server(t, "web", w.near, ports...)
	w.neighbour = s.box(t, "neighbour", w.near)
	w.afar = s.box(t, "afar", w.far)
	w.host = slices.Concat(uplink, w.near.gateway(), w.far.gateway(), localhost)
	return w
}

// sources is from where, by which address of the host, and what web may see as the source.
type sources struct {
	from *nettest.Netns
	by   []netip.Addr
	saw  []netip.Addr
}

func (w *town) directions() []sources {
	gateways := slices.Concat(uplink, w.near.gateway())
	neighbour := w.host
	if w.calls { // its packets are translated on the bridge, and so are the answers: nobody is masqueraded
		neighbour = w.neighbour.addrs
	}
	return []sources{
		{w.outside.Netns, gateways, faraway},
		{w.Netns, gateways, w.host},
		{w.Netns, localhost, w.host},
		{w.web.Netns, gateways, w.host},
		{w.neighbour.Netns, gateways, neighbour},
		{w.afar.Netns, slices.Concat(gateways, w.far.gateway()), w.host}, // afar is masqueraded as its network is
	}
}

// tries are all directions to a port.
func (w *town) tries(number uint16, protos ...string) []try {
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

// A published port is reached from everywhere by each address of the host, and the server sees who
// asked from outside; whose answer would miss the host on its way back has an address of the host.
func TestEveryDirection(t *testing.T) {
	bridgeNetfilter(t, func(t *testing.T, s *scene, _ bool) {
		w := newTown(t, s, nil, append(port(8080), mapping{HostPort: 8080, ContainerPort: 80, Protocol: "sctp"})...)
		serveSCTP(t, w.web.Netns, 80)
		all(t, w.tries(8080, "tcp", "udp", "sctp"))
		// No answer of a container would be delivered to ::1: that is told at once.
		for _, proto := range tcpAndUDP() {
			all(t, []try{{from: w.Netns, proto: proto, to: netip.MustParseAddrPort("[::1]:8080"), refused: true}})
		}
	})
}

// A port with a hostIP is reached by this address, from everywhere, and refused by every other one.
func TestHostIP(t *testing.T) {
	bridgeNetfilter(t, func(t *testing.T, s *scene, _ bool) {
		var ports []mapping
		for i, ip := range []string{uplink[0].String(), uplink[1].String(), "127.0.0.1", "0.0.0.0", "::"} {
			for _, m := range port(9001 + uint16(i)) {
				m.HostIP = ip
				ports = append(ports, m)
			}
		}
		w := newTown(t, s, nil, ports...)
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

// The first and the last port of a range lead to theirs, and the one behind it to nobody.
func TestRange(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	w := newTown(t, s, nil,
		mapping{HostPort: 9000, ContainerPort: 7000, Range: 10}, mapping{HostPort: 9000, ContainerPort: 7000, Range: 10, Protocol: "udp"})
	serve(t, w.web.Netns, w.web.addrs, 7000, 7009, 7010)
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

// Several containers have ports on one network, each reaches the other's, and one container has
// ports on two networks, which answer whatever way its default route goes.
func TestSeveral(t *testing.T) {
	bridgeNetfilter(t, func(t *testing.T, s *scene, _ bool) {
		w := newTown(t, s, nil, port(8081)...)
		twin := s.server(t, "twin", w.near, port(8082)...)
		both := s.box(t, "both", w.near, port(8083)...)
		second := w.far
		second.keys = map[string]any{"isDefaultGateway": false, "isGateway": true}
		s.attach(t, both, "eth1", second, port(8084)...)
		serve(t, both.Netns, both.addrs, 80)
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
