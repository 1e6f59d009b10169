package versions

import (
	"fmt"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
)

// TestPortsAreRemovedByTheOther: DEL and GC of one version remove the ports of an attachment that the other version added, and no others; the
// next ADD finds the port free.
//
// Claim: DEL and GC of an older or a newer Patchbay remove the ports that the other version published, and no others
func TestPortsAreRemovedByTheOther(t *testing.T) {
	t.Parallel()
	for _, verb := range []string{"DEL", "GC"} {
		for name, adds := range map[string]int{"old removes new": 1, "new removes old": 0} {
			t.Run(verb+", "+name, func(t *testing.T) {
				t.Parallel()
				port := func(n int) cni.Conf { return cni.Ports(cni.Conf{"hostPort": n, "containerPort": 80, "range": 3}) }
				s := newScene(t, cni.Masquerade(), cni.Conf{"masqAll": true}, port(8080))
				both := []string{s.old, s.next}
				c, stays, next := s.Container("c"), s.Container("stays"), s.Container("next")
				s.add(both[adds], c)
				first := s.config
				s.config = first.With(port(9090))
				s.add(both[adds], stays)
				s.publishes(map[int]*nettest.Container{8080: c, 8082: c, 9090: stays, 9092: stays})
				s.config = first
				s.removeBy(verb, both[1-adds], c, stays)
				s.publishes(map[int]*nettest.Container{9090: stays, 9092: stays})
				if text := s.table(); strings.Contains(text, c.ID()) {
					t.Errorf("rules of %s are left:\n%s", c.Name(), text)
				}
				s.add(s.next, next)
				s.publishes(map[int]*nettest.Container{8080: next, 8082: next, 9090: stays, 9092: stays})
				s.del(both[1-adds], stays)
				s.del(s.old, next)
				s.publishes(nil)
				s.NoLeaks(t)
			})
		}
	}
}

// publishes checks that of the ports 8080, 8082, 9090 and 9092 exactly those in want are published, for these containers.
func (s *scene) publishes(want map[int]*nettest.Container) {
	s.t.Helper()
	text := s.table()
	for _, n := range []int{8080, 8082, 9090, 9092} {
		has := strings.Count(text, fmt.Sprintf("tcp . %d comment", n))
		c := want[n]
		if c == nil && has > 0 || c != nil && (has != 1 || !strings.Contains(text, fmt.Sprintf(" : %s . %d", s.addresses[c.ID()], 80+n%10))) {
			s.t.Errorf("port %d is published %d times, want it for %v:\n%s", n, has, c, text)
		}
	}
}
