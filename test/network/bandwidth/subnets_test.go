package bandwidth

import (
	"testing"
	"time"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
)

// TestSubnets: peer and other are in two subnets. The limits apply to traffic with one of them, in both directions and in each family.
//
// Claim: With `shapedSubnets` the limits apply to these remote subnets alone, with `unshapedSubnets` to all others
func TestSubnets(t *testing.T) {
	const rate = 2e6
	for name, keys := range map[string]cni.Conf{
		"shaped":   {"shapedSubnets": []string{"10.1.0.2/32", "fd00:1::2"}},
		"unshaped": {"unshapedSubnets": []string{"10.1.0.4/31", "fd00:1::4/126"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t, limits(rate, rate), keys)
			other := s.Container("other")
			cni.Add(t, s.Node, other, network())
			t.Cleanup(func() { cni.Del(t, s.Node, other, network()) })
			s.check().OK(t)
			for _, is4 := range []bool{true, false} {
				for _, egress := range []bool{true, false} {
					limited, free := between(t, s.web, s.peer, egress, is4), between(t, s.web, other, egress, is4)
					s.near(t, name, limited, rate)
					if free.rate < 3*rate {
						t.Errorf("%s, IPv4 %t, egress %t: %.0f bit/s with a subnet that is not limited", name, is4, egress, free.rate)
					}
				}
			}
		})
	}
}

func between(t testing.TB, web, other *nettest.Container, egress, is4 bool) transfer {
	t.Helper()
	from, to := other, web
	if egress {
		from, to = web, other
	}
	return send(t, from.Netns, to.Netns, address(to, is4), 500*time.Millisecond, time.Second)
}
