package family

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// Addresses of a host that publishes ports, which its clients send to.
const (
	uplink4 = "203.0.113.10"
	uplink6 = "2001:db8:0:3::10"
)

// uplink gives the host these addresses. The flows that begin live for as long as a case may take,
// if nobody ends them.
func uplink(_ testing.TB, h *nettest.Node) {
	h.Bridge("br0", uplink4+"/24", uplink6+"/64")
	h.SetSysctl("net/netfilter/nf_conntrack_udp_timeout", "3600")
}

// hostPort is that which a container publishes, of TCP and of UDP.
func hostPort(container string) int {
	return map[string]int{"one": 8001, "next": 8002, "beside": 8003}[container]
}

// published is a container with ports of the host, in a network where another one has some too.
func published(s *Scene, c *nettest.Container) Conf {
	neighbour(s, c)
	if c.Name() == "one" {
		s.sendTo(s.t, "beside")
	}
	return firstPublished(s, c)
}

// firstPublished is one with ports.
func firstPublished(_ *Scene, c *nettest.Container) Conf {
	var mappings []Conf
	for _, protocol := range []string{"tcp", "udp"} {
		mappings = append(mappings, Conf{"hostPort": hostPort(c.Name()), "containerPort": 80, "protocol": protocol})
	}
	return Conf{"runtimeConfig": Conf{"portMappings": mappings}}
}

// Traffic has clients send to One's UDP port, if it has one, by IPv4 and IPv6: where the ruleset is
// there, connection tracking remembers where that led. Before an ADD that is the host itself.
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

// Reached wants no flow to a port of One that leads to the host: an ADD has passed.
func (s *Scene) Reached(t testing.TB) {
	t.Helper()
	if !s.publishes || s.late {
		return
	}
	for _, flow := range s.flowsTo(t, "one") {
		if !flow.translated {
			t.Errorf("a flow to its port leads still to the host: %s", flow.text)
		}
	}
}

// ranOutOfTime tells of a verb that gave up ending flows because its second was over, and said so: on
// a machine that chokes, and stepped, a verb is so slow. Any other reason is none.
func ranOutOfTime(answer nettest.Answer) bool {
	said := string(answer.Stderr)
	return strings.Contains(said, "goes astray until it pauses") &&
		(strings.Contains(said, "deadline exceeded") || strings.Contains(said, "i/o timeout"))
}

// undisturbed wants the flows of the neighbour's to be there yet.
func (s *Scene) undisturbed(t testing.TB) {
	t.Helper()
	if len(s.kept) == 0 || !s.publishes {
		return
	}
	leading := 0
	for _, flow := range s.flowsTo(t, "beside") {
		if flow.translated {
			leading++
		}
	}
	if leading != 2 {
		t.Errorf("of a neighbour's flows by IPv4 and IPv6 there are %d", leading)
	}
}

// flow is one of UDP to a host port.
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
