package networks

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
)

// Host addresses that clients send to.
const (
	uplink4 = "203.0.113.10"
	uplink6 = "2001:db8:0:3::10"
)

// uplink gives the host these addresses, and UDP flows a timeout that is longer than any case: they end only if a verb deletes them.
func uplink(_ testing.TB, h *nettest.Node) {
	h.Bridge("br0", uplink4+"/24", uplink6+"/64")
	h.SetSysctl("net/netfilter/nf_conntrack_udp_timeout", "3600")
}

// hostPort returns the port that a container publishes for TCP and UDP.
func hostPort(container string) int {
	return map[string]int{"one": 8001, "next": 8002, "beside": 8003}[container]
}

// published returns port mappings for a container in a network where another container publishes ports too.
func published(s *Scene, c *nettest.Container) cni.Conf {
	neighbour(s, c)
	if c.Name() == "one" {
		s.sendTo(s.t, "beside")
	}
	return firstPublished(s, c)
}

// firstPublished returns port mappings for a container.
func firstPublished(_ *Scene, c *nettest.Container) cni.Conf {
	var mappings []cni.Conf
	for _, protocol := range []string{"tcp", "udp"} {
		mappings = append(mappings, cni.Conf{"hostPort": hostPort(c.Name()), "containerPort": 80, "protocol": protocol})
	}
	return cni.Ports(mappings...)
}

// Traffic sends to the UDP port of One, if it publishes one, over IPv4 and IPv6. If the ruleset exists, connection tracking then has a
// flow to the current target: before an ADD the host itself.
func (s *Scene) Traffic(t testing.TB) {
	t.Helper()
	if s.publishes {
		s.sendTo(t, "one")
	}
}

func (s *Scene) sendTo(t testing.TB, container string) {
	t.Helper()
	for _, addr := range []string{uplink4, uplink6} {
		to := netip.AddrPortFrom(netip.MustParseAddr(addr), uint16(hostPort(container)))
		s.Do(func() { send(t, to) })
	}
}

func send(t testing.TB, to netip.AddrPort) {
	t.Helper()
	conn, err := net.Dial("udp", to.String())
	if err != nil {
		t.Error(err)
		return
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("x")); err != nil {
		t.Error(err)
	}
}

// Reached checks, after a successful ADD, that no flow to a port of One still goes to the host.
func (s *Scene) Reached(t testing.TB) {
	t.Helper()
	if !s.publishes || s.late {
		return
	}
	for _, flow := range s.flowsTo(t, "one") {
		if !flow.translated {
			t.Errorf("a flow to a published port still goes to the host: %s", flow.text)
		}
	}
}

// Late reports whether a verb warned that it could not end flows in time.
func (s *Scene) Late() bool { return s.late }

// flowsTimedOut reports whether a verb warned that it could not end flows within its second. On a loaded machine and under the stepper
// this happens. No other cause is accepted.
func flowsTimedOut(answer nettest.Answer) bool {
	said := string(answer.Stderr)
	return strings.Contains(said, "may be misdirected until they are idle") &&
		(strings.Contains(said, "deadline exceeded") || strings.Contains(said, "i/o timeout"))
}

// keepsNeighbour checks that the flows of the neighbour still exist.
func (s *Scene) keepsNeighbour(t testing.TB) {
	t.Helper()
	if len(s.kept) == 0 || !s.publishes {
		return
	}
	n := 0
	for _, flow := range s.flowsTo(t, "beside") {
		if flow.translated {
			n++
		}
	}
	if n != 2 {
		t.Errorf("%d flows of the neighbour, want 2 (IPv4 and IPv6)", n)
	}
}

// flow is a UDP flow to a host port.
type flow struct {
	text       string
	translated bool
}

func (s *Scene) flowsTo(t testing.TB, container string) (all []flow) {
	t.Helper()
	var list []*netlink.ConntrackFlow
	var err error
	s.Do(func() {
		for _, family := range []netlink.InetFamily{unix.AF_INET, unix.AF_INET6} {
			of, failed := netlink.ConntrackTableList(netlink.ConntrackTable, family)
			list = append(list, of...)
			if failed != nil {
				err = failed
			}
		}
	})
	if err != nil {
		t.Fatal(fmt.Errorf("list flows: %w", err))
	}
	for _, f := range list {
		if f.Forward.Protocol == unix.IPPROTO_UDP && int(f.Forward.DstPort) == hostPort(container) {
			all = append(all, flow{f.String(), !f.Forward.DstIP.Equal(f.Reverse.SrcIP)})
		}
	}
	return all
}
