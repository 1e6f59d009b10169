package hostfw

import (
	"sync"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// TestFirewallsDrop: each firewall drops packets between a container and the outside, in both directions; with bridge-nf-call also those between two
// containers of one bridge, which the host does not route.
func TestFirewallsDrop(t *testing.T) {
	nettest.Need(t, nettest.BrNetfilter)
	for _, kind := range Kinds() {
		t.Run(kind.Name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			s.bridgeNetfilter("1")
			s.all(t, false, func(bool) checker { return connects })
			kind.Start(t, s.h)
			for _, value := range []string{"0", "1"} {
				s.bridgeNetfilter(value)
				s.all(t, value == "0", func(v6 bool) checker {
					if v6 && !kind.IPv6 {
						return connects
					}
					return barred
				})
			}
			for _, addr := range webAddrs() { // the server still works
				connects(t, s.h.Netns, addr, 80)
			}
		})
	}
}

type checker func(t *testing.T, from *nettest.Netns, addr string, port uint16)

// all checks a connection in each direction over each family, concurrently. If bridged is set, connections on the bridge are not filtered.
func (s *scene) all(t *testing.T, bridged bool, is func(v6 bool) checker) {
	t.Helper()
	var wait sync.WaitGroup
	defer wait.Wait()
	for i, web := range webAddrs() {
		check, neighbour := is(i == 1), is(i == 1)
		if bridged {
			neighbour = connects
		}
		wait.Go(func() { check(t, s.outside.Netns, web, 80) })
		wait.Go(func() { check(t, s.web.Netns, outsideAddrs()[i], 80) })
		wait.Go(func() { neighbour(t, s.other.Netns, web, 80) })
	}
}
