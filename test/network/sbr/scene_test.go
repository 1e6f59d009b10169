// Package sbr tests source-based routing: a container on two networks answers, and sends, by the network whose address it uses.
package sbr

import (
	"encoding/json"
	"net/netip"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
)

// Addresses of a machine that the host routes to.
const (
	outside4, outside6 = "203.0.113.7", "2001:db8:7::7"
	uplink4, uplink6   = "203.0.113.1", "2001:db8:7::1"
)

const (
	codeConfig = 7
	codeDrift  = 106
)

// first returns the network of eth0, which has the container's default routes.
func first() cni.Conf {
	return cni.Network(cni.Conf{"name": "first", "bridge": "cni1"}, cni.DefaultGateway(), cni.Pool("10.1.0.0/24", "fd00:1::/64"))
}

// second returns the network of eth1 with more keys.
func second(keys ...cni.Conf) cni.Conf {
	return cni.Network(append([]cni.Conf{{"name": "second", "bridge": "cni2", "sbr": true}, cni.DefaultGateway(), cni.Pool("10.2.0.0/24", "fd00:2::/64")}, keys...)...)
}

// scene is a host that routes between its bridges and a machine outside, with a container. Reverse path filtering is strict in the
// container and on the host.
type scene struct {
	*nettest.Node
	c       *nettest.Container
	outside *nettest.Container
}

func newScene(t *testing.T) *scene {
	t.Helper()
	h := nettest.Host(t)
	s := &scene{h, h.Container("c"), h.Container("outside")}
	h.Veth("uplink", s.outside.Netns, "eth0")
	h.AddAddress("uplink", uplink4+"/24", uplink6+"/64")
	s.outside.AddAddress("eth0", outside4+"/24", outside6+"/64")
	s.outside.AddRoute("0.0.0.0/0", uplink4)
	s.outside.AddRoute("::/0", uplink6)
	h.Settle("uplink")
	s.outside.Settle("eth0")
	h.SetSysctl("net/ipv4/conf/all/rp_filter", "1")
	s.c.SetSysctl("net/ipv4/conf/all/rp_filter", "1")
	h.Baseline()
	return s
}

// call returns a call for an interface of the container.
func (s *scene) call(t *testing.T, verb, ifname string, conf cni.Conf) nettest.Call {
	t.Helper()
	call := cni.Call(t, verb, s.c, conf)
	call.IfName = ifname
	return call
}

// add attaches an interface, and returns the configuration with the result.
func (s *scene) add(t *testing.T, ifname string, conf cni.Conf) cni.Conf {
	t.Helper()
	answer := s.CNI(t, s.call(t, "ADD", ifname, conf)).OK(t)
	return conf.With(cni.Prev(json.RawMessage(answer.Stdout)))
}

// both attaches both networks, and returns the configuration of the second with its result.
func (s *scene) both(t *testing.T, conf cni.Conf) cni.Conf {
	t.Helper()
	s.add(t, "eth0", first())
	return s.add(t, "eth1", conf)
}

// detach calls DEL for both interfaces.
func (s *scene) detach(t *testing.T) {
	t.Helper()
	s.CNI(t, s.call(t, "DEL", "eth1", second())).OK(t)
	s.CNI(t, s.call(t, "DEL", "eth0", first())).OK(t)
}

// rules returns the policy rules of the container that are not the kernel's own, of both families.
func (s *scene) rules(t *testing.T) (all []string) {
	t.Helper()
	for _, family := range []string{"-4", "-6"} {
		for line := range strings.Lines(s.c.Run(t, "ip", family, "rule")) {
			if _, rule, _ := strings.Cut(strings.TrimSpace(line), "\t"); !strings.HasPrefix(rule, "from all") {
				all = append(all, rule)
			}
		}
	}
	return all
}

// routes returns the routes of a table by eth1, of one family, without what iproute2 appends to each.
func (s *scene) routes(t *testing.T, family, table string) (all []string) {
	t.Helper()
	list := "ip " + family + " route show table " + table + " dev eth1 2>&1 || true" // a table without routes does not exist
	for line := range strings.Lines(s.c.Run(t, "sh", "-c", list)) {
		if strings.Contains(line, "FIB table does not exist") || strings.Contains(line, "Dump terminated") {
			continue
		}
		all = append(all, strings.Join(strings.Fields(line), " "))
	}
	return all
}

// pingFrom pings the machine outside from an address of the container, and returns whether the request left by an interface, and was
// answered.
func (s *scene) pingFrom(t *testing.T, ifname string, from, to netip.Addr) (left, answered bool) {
	t.Helper()
	capture := s.c.Capture(t, ifname)
	result := s.c.Ping(to, nettest.PingOptions{From: from})
	requests := capture.Stop(t).Where(func(f nettest.Frame) bool { return f.Kind == nettest.EchoRequest && f.Outgoing && f.Dst == to })
	return len(requests) > 0, result.OK()
}
