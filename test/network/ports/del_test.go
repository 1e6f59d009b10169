package ports

import (
	"net/netip"
	"strings"
	"testing"
)

// closed returns attempts to connect to ports that are no longer published: the host refuses them.
func closed(s *scene, numbers ...uint16) []try {
	var tries []try
	for _, number := range numbers {
		for _, to := range append(at(number, uplink...), at(number, localhost...)...) {
			for _, proto := range tcpAndUDP() {
				tries = append(tries, try{from: s.Netns, proto: proto, to: to, refused: true})
				if to.Addr() != localhost[0] {
					tries = append(tries, try{from: s.outside.Netns, proto: proto, to: to, refused: true})
				}
			}
		}
	}
	return tries
}

// TestDelWithoutPorts: a DEL without port mappings, as from a runtime that lost them, leaves nothing behind, and connections to the ports are
// refused.
//
// Claim: DEL without port mappings removes them all; 4 096 of them are added and removed in one transaction each
func TestDelWithoutPorts(t *testing.T) {
	bridgeNetfilter(t, func(t *testing.T, s *scene, _ bool) {
		ports := append(port(8080), mapping{HostPort: 9000, ContainerPort: 80, HostIP: uplink[0].String()},
			mapping{HostPort: 9100, ContainerPort: 80, Range: 5, Protocol: "udp"})
		w := newHost(t, s, map[string]any{"markMasqBit": 20}, ports...)
		all(t, w.tries(8080, tcpAndUDP()...))
		s.CNI(t, call("DEL", w.web, "eth0", w.near.config(nil))).OK(t)
		all(t, closed(s, 8080, 9000, 9100))
		if rules := s.Run(t, "nft", "list", "ruleset"); strings.Contains(rules, w.web.ID()) || !strings.Contains(rules, w.neighbour.ID()) {
			t.Errorf("want elements of the neighbour, and none of %s:\n%s", w.web.ID(), rules)
		}
	})
}

// TestMostPorts: the maximum number of ports of a container is added and removed in one transaction each, and each port leads to its target.
//
// Claim: DEL without port mappings removes them all; 4 096 of them are added and removed in one transaction each
func TestMostPorts(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	near := network{name: "near", n: 81}
	s.box(t, "first", near) // creates the table
	before := s.RulesetGeneration(t)
	web := s.box(t, "web", near, mapping{HostPort: 20000, ContainerPort: 30000, Range: 4096})
	if got := s.RulesetGeneration(t) - before; got != 1 {
		t.Errorf("ADD took %d transactions", got)
	}
	listen(t, web.Netns, web.addrs, 30000, 32000, 34095)
	var tries []try
	for number, server := range map[uint16]string{20000: "web:30000", 22000: "web:32000", 24095: "web:34095"} {
		for _, to := range at(number, uplink...) {
			tries = append(tries, try{from: s.outside.Netns, proto: "tcp", to: to, server: server, saw: faraway})
		}
	}
	all(t, tries)
	all(t, []try{{from: s.outside.Netns, proto: "tcp", to: netip.AddrPortFrom(uplink[0], 24096), refused: true}})
	before = s.RulesetGeneration(t)
	s.CNI(t, call("DEL", web, "eth0", near.config(nil))).OK(t)
	if got := s.RulesetGeneration(t) - before; got != 1 {
		t.Errorf("DEL took %d transactions", got)
	}
	all(t, closed(s, 20000, 22000, 24095))
	if rules := s.Run(t, "nft", "list", "ruleset"); strings.Contains(rules, web.ID()) {
		t.Error("elements are left")
	}
}
