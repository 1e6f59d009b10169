package boot

import (
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// uplinks are kinds of interface that the kernel of the other tests lacks: the commands that create up0, of the ports p0 and p1, and the namespace out at
// their other ends q0 and q1.
func uplinks() map[string]struct{ create, refused, reason string } {
	const switched = "ip -n out link add lan type bridge forward_delay 0; ip -n out link set q0 master lan; ip -n out link set q1 master lan; ip -n out link set lan up; "
	return map[string]struct{ create, refused, reason string }{
		"bond": {
			switched + "ip link add up0 type bond mode active-backup miimon 100; ip link set p0 down; ip link set p1 down; ip link set p0 master up0; ip link set p1 master up0",
			"p0", "p0 cannot be the uplink of a bridge: it is a slave of bond up0; use the bond: --uplink up0",
		},
		"team": {
			switched + `ip link set p0 down; ip link set p1 down; teamd -d -t up0 -c '{"runner":{"name":"activebackup"},"ports":{"p0":{},"p1":{}}}'`,
			"p0", "p0 cannot be the uplink of a bridge: it is a slave of team up0; use the team: --uplink up0",
		},
		"VLAN interface": {
			"ip link add link p0 name up0 type vlan id 5; ip -n out link add link q0 name lan type vlan id 5; ip -n out link set lan up", "", "",
		},
		"interface with a VLAN interface": {
			"ip link set p0 down; ip link set p0 name up0; ip link set up0 up; ip -n out link set q0 down; ip -n out link set q0 name lan; ip -n out link set lan up; " +
				"ip link add link up0 name vlan6 type vlan id 6; ip link set vlan6 up; ip address add 10.6.0.2/24 dev vlan6; " +
				"ip -n out link add link lan name vlan6 type vlan id 6; ip -n out link set vlan6 up; ip -n out address add 10.6.0.1/24 dev vlan6", "", "",
		},
	}
}

// TestUplinks: the other kinds of uplink are bridged and restored like a network card, on the stock kernel.
//
// Claim: `bridge create` and `bridge delete` work with a bond, a team or a VLAN interface as the uplink, and with a VLAN interface on the uplink
func TestUplinks(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for name, tt := range uplinks() {
		t.Run(name, func(t *testing.T) {
			s.Shell(t, `ip netns add out
				for n in 0 1; do ip link add p$n type veth peer name q$n netns out; ip link set p$n up; ip -n out link set q$n up; done
				`+tt.create+`
				ip -n out address add 203.0.113.1/24 dev lan
				ip link set up0 up; ip address add 203.0.113.10/24 dev up0; ip route add default via 203.0.113.1`)
			s.bridgedAndBack(t, strings.HasPrefix(name, "interface"))
			if tt.refused != "" {
				r := s.Try(t, "patchbay", "bridge", "create", "br0", "--uplink", tt.refused, "--yes")
				expect.Contains(t, r.Stderr, tt.reason)
			}
			s.Shell(t, "teamd -k -t up0 2>/dev/null || :; ip netns del out; ip link del up0 2>/dev/null || :; ip link del p0 2>/dev/null || :; ip link del p1 2>/dev/null || :")
			s.until(t, "the ports are deleted", func() bool { return !strings.Contains(s.Run(t, "ip", "link"), " p0") })
		})
	}
}

// bridgedAndBack creates and deletes a bridge with up0, which reaches the router meanwhile; so does the VLAN interface, if there is one.
func (s *site) bridgedAndBack(t *testing.T, vlan bool) {
	t.Helper()
	s.until(t, "the router answers", func() bool { return s.Try(t, "ping", "-c", "1", "-W", "1", "203.0.113.1").Exit == 0 })
	s.until(t, "the addresses are checked", func() bool {
		own := s.Run(t, "ip", "-6", "address", "show", "up0") // a bond gets its own after its first port is up
		return strings.Contains(own, "fe80::") && !strings.Contains(s.state(t), "tentative")
	})
	before := s.state(t)
	expect.Contains(t, s.Run(t, "patchbay", "bridge", "create", "br0", "--uplink", "up0", "--yes"), "br0: gateway 203.0.113.1 answers\n", "br0: kept, up0 is its port\n")
	expect.Contains(t, s.Run(t, "ip", "link", "show", "up0"), " master br0 ")
	expect.Contains(t, s.Run(t, "ip", "route", "get", "203.0.113.1"), " dev br0 ")
	for _, to := range map[bool][]string{false: {"203.0.113.1"}, true: {"203.0.113.1", "10.6.0.1"}}[vlan] {
		s.Run(t, "ping", "-c", "2", "-W", "5", to)
	}
	s.Run(t, "patchbay", "bridge", "delete", "br0")
	s.unchanged(t, "after delete", before)
}
