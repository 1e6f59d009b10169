package versions

import (
	"fmt"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// TestPortsAreTakenByTheOther: DEL and GC by the version that did not ADD take the ports of one, and
// leave those of the other; and the next one finds the port free.
func TestPortsAreTakenByTheOther(t *testing.T) {
	t.Parallel()
	for _, verb := range []string{"DEL", "GC"} {
		for name, adds := range map[string]int{"old takes new's": 1, "new takes old's": 0} {
			t.Run(verb+", "+name, func(t *testing.T) {
				t.Parallel()
				port := func(n int) string {
					return fmt.Sprintf(`"masqAll": true, "runtimeConfig": {"portMappings": [{"hostPort": %d, "containerPort": 80, "range": 3}]},`, n)
				}
				s := newScene(t, masq+port(8080))
				both := []string{s.old, s.next}
				c, stays, next := s.Container("c"), s.Container("stays"), s.Container("next")
				s.add(both[adds], c)
				first := s.config
				s.config = strings.Replace(first, port(8080), port(9090), 1)
				s.add(both[adds], stays)
				s.publishes(map[int]*nettest.Container{8080: c, 8082: c, 9090: stays, 9092: stays})
				s.config = first
				s.take(verb, both[1-adds], c, stays)
				s.publishes(map[int]*nettest.Container{9090: stays, 9092: stays})
				if text := s.table(); strings.Contains(text, c.ID()) {
					t.Errorf("something of %s is left:\n%s", c.Name(), text)
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

// publishes wants each port to be a container's, and of 8080, 8082, 9090 and 9092 no other to be anybody's.
func (s *scene) publishes(want map[int]*nettest.Container) {
	s.t.Helper()
	text := s.table()
	for _, n := range []int{8080, 8082, 9090, 9092} {
		has := strings.Count(text, fmt.Sprintf("tcp . %d comment", n))
		c := want[n]
		if c == nil && has > 0 || c != nil && (has != 1 || !strings.Contains(text, fmt.Sprintf(" : %s . %d", s.addresses[c.ID()], 80+n%10))) {
			s.t.Errorf("port %d is there %d times, wanted of %v:\n%s", n, has, c, text)
		}
	}
}
