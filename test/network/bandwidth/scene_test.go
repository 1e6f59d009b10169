// Package bandwidth tests the limits of the key bandwidth: how fast TCP and UDP are in both directions, whom they apply to, that a container
// cannot lift them, and that nothing is left of them. Its benchmarks print the figures of docs/bandwidth.md.
package bandwidth

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

func TestMain(m *testing.M) { expect.Main(m, 1) }

// network has an address of each family for a container, and the gateway on the bridge.
func network(keys ...cni.Conf) cni.Conf {
	return cni.Network(cni.Gateway(), cni.Pool("10.1.0.0/24", "fd00:1::/64")).With(keys...)
}

// limits returns the keys of the reference plugin.
func limits(ingress, egress uint64) cni.Conf {
	return cni.Conf{"ingressRate": ingress, "egressRate": egress}
}

// scene is a host with a container that is limited and another one that is not.
type scene struct {
	*nettest.Node
	t         testing.TB
	web, peer *nettest.Container
	conf      cni.Conf
	result    json.RawMessage
	dev       string // host interface of web
}

func newScene(t testing.TB, keys ...cni.Conf) *scene {
	t.Helper()
	h := nettest.Host(t)
	s := &scene{Node: h, t: t, web: h.Container("web"), peer: h.Container("peer"), conf: network(keys...)}
	cni.Add(t, h, s.peer, network())
	answer := cni.Add(t, h, s.web, s.conf)
	s.result, s.dev = json.RawMessage(answer.Stdout), answer.Result(t).Interfaces[1].Name
	t.Cleanup(func() {
		cni.Del(t, h, s.web, s.conf)
		cni.Del(t, h, s.peer, network())
	})
	return s
}

// ifb returns the name of the ifb device of web.
func (s *scene) ifb() string { return "ifb" + strings.TrimPrefix(s.dev, "veth") }

// qdiscs returns what tc prints about an interface of the host.
func (s *scene) qdiscs(dev string) string { return s.Run(s.t, "tc", "qdisc", "show", "dev", dev) }

// check calls CHECK of web with the result of its ADD.
func (s *scene) check() nettest.Answer {
	return cni.Check(s.t, s.Node, s.web, s.conf.With(cni.Prev(s.result)))
}

// address returns an address of a container.
func address(c *nettest.Container, is4 bool) string {
	for _, p := range c.Addresses("eth0") {
		if p.Addr().Is4() == is4 && !p.Addr().IsLinkLocalUnicast() {
			return p.Addr().String()
		}
	}
	return ""
}
