package hostfw

import (
	"sync"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// Each firewall drops what the outside sends to a container and the container to the outside; and with bridge-nf-call also what two
// containers of one bridge send each other, which the host has nothing to do with.
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
			for _, addr := range webAddrs() { // the web is still there
				connects(t, s.h.Netns, addr, 80)
			}
		})
	}
}

type checker func(t *testing.T, from *nettest.Netns, addr string, port uint16)

// all checks a connection in each direction by each protocol, all at once; what stays on the bridge passes anyway where bridged is
// said.
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
