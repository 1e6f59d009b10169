package versions

import (
	"net/netip"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
)

// TestPoliciesOverVersions: egress and ingressPolicy published hold over an upgrade of the tables, a downgrade by reload, and after both of them
// were flushed. Each version removes what the other added.
//
// Claim: Limits of `egress` and `ingressPolicy` hold after upgrade, downgrade, reload and the next ADD on a flushed ruleset
func TestPoliciesOverVersions(t *testing.T) {
	t.Parallel()
	s := newScene(t, cni.Masquerade(), cni.Conf{
		"ingressPolicy": "published",
		"egress":        cni.Conf{"allow": []string{nettest.LANOutside4}, "default": "drop"},
	})
	lan := s.LAN(t)
	s.Baseline()
	a, b, c, d := s.Container("a"), s.Container("b"), s.Container("c"), s.Container("d")
	s.add(s.old, a)
	s.restricted(lan, a)
	s.add(s.next, b) // builds both tables anew
	s.hasSchema(schema() + 1)
	s.restricted(lan, a, b)
	s.reload(s.old)
	s.hasSchema(schema())
	s.restricted(lan, a, b)
	s.do(s.old, "CHECK", a).OK(t)
	s.Run(t, "nft", "flush", "ruleset")
	s.add(s.old, c) // repairs
	s.restricted(lan, a, b, c)
	s.del(s.next, a)
	s.del(s.old, b)
	s.restricted(lan, c)
	s.add(s.next, d)
	s.restricted(lan, c, d)
	s.del(s.old, d)
	s.del(s.next, c)
	s.NoLeaks(t)
}

// restricted checks that containers reach the destination that is allowed, and neither the host nor each other.
func (s *scene) restricted(lan *nettest.LAN, all ...*nettest.Container) {
	s.t.Helper()
	gateway := netip.MustParseAddr("10.88.0.1")
	for _, c := range all {
		to := map[netip.Addr]bool{netip.MustParseAddr(nettest.LANOutside4): true, gateway: false, netip.MustParseAddr(nettest.LANHost4): false}
		for _, other := range all {
			if other != c {
				to[s.addresses[other.ID()]] = false
			}
		}
		for addr, reaches := range to {
			if err := c.PingOnce(addr); (err == nil) != reaches {
				s.t.Errorf("ping from %s to %s: %v", c.Name(), addr, err)
			}
		}
		if err := lan.Outside.PingOnce(s.addresses[c.ID()]); err == nil {
			s.t.Errorf("the outside reaches %s", c.Name())
		}
	}
}
