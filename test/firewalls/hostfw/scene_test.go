package hostfw

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
	"github.com/patchbay-cni/patchbay/test/kit/serve"
)

// TestMain runs more tests in parallel than there are CPUs: they mostly wait for timeouts.
func TestMain(m *testing.M) { expect.Main(m, 4) }

// Addresses of the scene: IPv4 first, then IPv6.
func outsideAddrs() []string { return []string{"198.51.100.7", "2001:db8:0:2::7"} }
func hostAddrs() []string    { return []string{"198.51.100.1", "2001:db8:0:2::1"} }
func webAddrs() []string     { return []string{"10.88.0.2", "fd00:88::2"} }

// scene is a host with forwarding, without Patchbay: eth0 leads to an outside machine that has a route to the containers, and bridge cni0 has two
// containers. All listen on port 80.
type scene struct {
	h                   *nettest.Node
	outside, web, other *nettest.Container
}

func newScene(t *testing.T) *scene {
	t.Helper()
	h := nettest.Host(t)
	s := &scene{h, h.Container("outside"), h.Container("web"), h.Container("other")}
	h.SetSysctl("net/ipv4/ip_forward", "1")
	h.SetSysctl("net/ipv6/conf/all/forwarding", "1")
	h.Veth("eth0", s.outside.Netns, "eth0")
	h.AddAddress("eth0", "198.51.100.1/24", "2001:db8:0:2::1/64")
	s.outside.AddAddress("eth0", "198.51.100.7/24", "2001:db8:0:2::7/64")
	route(s.outside, "198.51.100.1", "2001:db8:0:2::1")
	h.Bridge("cni0", "10.88.0.1/16", "fd00:88::1/64")
	for i, c := range []*nettest.Container{s.web, s.other} {
		port := fmt.Sprint("port", i)
		h.Veth(port, c.Netns, "eth0")
		h.Plug(port, "cni0")
		c.AddAddress("eth0", fmt.Sprintf("10.88.0.%d/16", 2+i), fmt.Sprintf("fd00:88::%d/64", 2+i))
		route(c, "10.88.0.1", "fd00:88::1")
	}
	for _, n := range []*nettest.Container{s.outside, s.web, s.other} {
		n.Settle("eth0")
		serve.TCP(t, n.Netns, ":80", nil)
	}
	h.Settle("cni0")
	h.Settle("eth0")
	h.Baseline()
	return s
}

func route(c *nettest.Container, gateway4, gateway6 string) {
	c.AddRoute("0.0.0.0/0", gateway4)
	c.AddRoute("::/0", gateway6)
}

// bridgeNetfilter sets bridge-nf-call for both families in the host's namespace.
func (s *scene) bridgeNetfilter(value string) {
	s.h.SetSysctl("net/bridge/bridge-nf-call-iptables", value)
	s.h.SetSysctl("net/bridge/bridge-nf-call-ip6tables", value)
}

func connect(from *nettest.Netns, addr string, port uint16, timeout time.Duration) error {
	return serve.Connect(from, netip.AddrPortFrom(netip.MustParseAddr(addr), port), timeout)
}

// connects checks that a connection succeeds.
func connects(t *testing.T, from *nettest.Netns, addr string, port uint16) {
	t.Helper()
	if err := connect(from, addr, port, 20*time.Second); err != nil {
		t.Errorf("%s does not reach %s port %d: %v", from.Name(), addr, port, err)
	}
}

// barred checks that a connection fails. The caller must have shown that it succeeds without the firewall.
func barred(t *testing.T, from *nettest.Netns, addr string, port uint16) {
	t.Helper()
	if err := connect(from, addr, port, 700*time.Millisecond); err == nil {
		t.Errorf("%s reaches %s port %d", from.Name(), addr, port)
	}
}
