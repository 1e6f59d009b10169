package link_test

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

func surveyHost(t *testing.T, h *nettest.Node) (s *link.Survey) {
	t.Helper()
	h.Do(func() {
		var err error
		if s, err = link.SurveyHost(); err != nil {
			t.Fatal(err)
		}
	})
	return s
}

func surveyNetns(t *testing.T, h *nettest.Node, path string) (s *link.Survey, err error) {
	t.Helper()
	h.Do(func() { s, err = link.SurveyNetns(path) })
	return s, err
}

func surveyed(t *testing.T, s *link.Survey, name string) link.SurveyLink {
	t.Helper()
	for _, l := range s.Links {
		if l.Name == name {
			return l
		}
	}
	t.Fatalf("no %s in %+v", name, s.Links)
	return link.SurveyLink{}
}

// TestSurveyMatchesVeth: the two ends of a veth pair refer to each other by index and namespace ID, and not to an interface of
// a third namespace.
//
// Claim: `patchbay show` draws the picture from the kernel and the records, step by step
func TestSurveyMatchesVeth(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	h.Bridge("br0", "192.0.2.10/24")
	c, other := h.Container("c1"), h.Container("c2")
	h.Veth("port", c.Netns, "eth0")
	h.Plug("port", "br0")
	c.AddAddress("eth0", "192.0.2.100/24", "2001:db8::100/64")
	c.AddRoute("0.0.0.0/0", "192.0.2.1")
	h.Run(t, "ip", "link", "set", "port", "alias", "some words")
	h.Baseline()

	host := surveyHost(t, h)
	inside, err := surveyNetns(t, h, c.Path())
	if err != nil {
		t.Fatal(err)
	}
	outside, err := surveyNetns(t, h, other.Path())
	if err != nil {
		t.Fatal(err)
	}
	bridge, port, eth0 := surveyed(t, host, "br0"), surveyed(t, host, "port"), surveyed(t, inside, "eth0")
	if bridge.Kind != "bridge" || !bridge.Up || bridge.MTU != 1500 || bridge.Addresses[0].Prefix.String() != "192.0.2.10/24" {
		t.Errorf("bridge: %+v", bridge)
	}
	if port.Master != bridge.Index || port.Kind != "veth" || port.Alias != "some words" || !port.Carrier {
		t.Errorf("port: %+v", port)
	}
	if port.Peer != eth0.Index || eth0.Peer != port.Index || port.PeerNetns < 0 || port.PeerNetns != inside.PeerID {
		t.Errorf("ends do not match: %+v, %+v, namespace %d", port, eth0, inside.PeerID)
	}
	if outside.PeerID == inside.PeerID || host.PeerID != -1 {
		t.Errorf("IDs of the namespaces: %d, %d", inside.PeerID, outside.PeerID)
	}
	cookies := in(t, h).Cookie() != 0 // Linux 5.14
	if (inside.Cookie != 0) != cookies || cookies && inside.Cookie == outside.Cookie {
		t.Errorf("cookies of the namespaces: %d, %d", inside.Cookie, outside.Cookie)
	}
	if eth0.MAC != c.MAC("eth0") || len(eth0.Addresses) < 2 || !eth0.Addresses[0].Permanent {
		t.Errorf("container interface: %+v", eth0)
	}
	want := link.SurveyRoute{Gateway: netip.MustParseAddr("192.0.2.1"), Link: "eth0"}
	if len(inside.Routes) != 1 || inside.Routes[0] != want {
		t.Errorf("routes: %+v, want %+v", inside.Routes, want)
	}
}

// TestSurveyRoutes: only default routes are listed, with all of their hops, in the order of their metrics.
func TestSurveyRoutes(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	h.Bridge("br0", "192.0.2.10/24", "2001:db8::10/64")
	for _, r := range []string{
		"default via 192.0.2.9 metric 50", "198.51.100.0/24 via 192.0.2.3", "unreachable default metric 9999",
		"default nexthop via 192.0.2.1 nexthop via 192.0.2.2", "default via 192.0.2.7 table 77",
		"default via inet6 2001:db8::2 metric 70",
	} {
		h.Run(t, "sh", "-c", "ip -4 route add "+r)
	}
	h.Run(t, "ip", "-6", "route", "add", "default", "via", "2001:db8::1")
	h.Run(t, "ip", "-6", "route", "add", "default", "dev", "br0", "metric", "2000")
	h.SetSysctl("net/ipv6/conf/all/forwarding", "1")
	h.Baseline()

	s := surveyHost(t, h)
	want := []link.SurveyRoute{
		{Gateway: netip.MustParseAddr("192.0.2.1"), Link: "br0"},
		{Gateway: netip.MustParseAddr("192.0.2.2"), Link: "br0"},
		{Gateway: netip.MustParseAddr("192.0.2.9"), Link: "br0", Metric: 50},
		{Gateway: netip.MustParseAddr("2001:db8::2"), Link: "br0", Metric: 70},
		{IPv6: true, Gateway: netip.MustParseAddr("2001:db8::1"), Link: "br0", Metric: 1024},
		{IPv6: true, Link: "br0", Metric: 2000},
	}
	if len(s.Routes) != len(want) {
		t.Fatalf("routes: %+v", s.Routes)
	}
	for i := range want {
		if s.Routes[i] != want[i] {
			t.Errorf("route %d: %+v, want %+v", i, s.Routes[i], want[i])
		}
	}
	if s.Forward4 || !s.Forward6 {
		t.Errorf("forwarding: %v, %v", s.Forward4, s.Forward6)
	}
}

// TestSurveyNoNetns: the path leads to no network namespace.
func TestSurveyNoNetns(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	plain := filepath.Join(t.TempDir(), "pin")
	if err := os.WriteFile(plain, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	tests := map[string]error{
		"/run/netns/none":           link.ErrNoNetns,
		plain:                       link.ErrNotNetns, // what a reboot leaves of a named namespace
		"/proc/self/ns/mnt":         link.ErrNotNetns,
		"/proc/self/ns/net/too/far": nil,
	}
	for path, want := range tests {
		s, err := surveyNetns(t, h, path)
		if s != nil || err == nil || want != nil && !errors.Is(err, want) {
			t.Errorf("%s: %v, %v; want %v", path, s, err, want)
		}
	}
	if s, err := surveyNetns(t, h, "/proc/thread-self/ns/net"); err != nil || s.Cookie != surveyHost(t, h).Cookie {
		t.Errorf("the host's own: %v, %v", s, err)
	}
}

// TestSurveyInterrupted: an interrupted dump is repeated, four times at most.
func TestSurveyInterrupted(t *testing.T) {
	for _, interrupted := range []int{0, 4, 5, 100} {
		calls := 0
		err := link.SurveyDump(func() error {
			if calls++; calls <= interrupted {
				return netlink.ErrDumpInterrupted
			}
			return nil
		})
		if calls != min(interrupted+1, 5) || (err == nil) != (interrupted < 5) {
			t.Errorf("interrupted %d times: %d calls, %v", interrupted, calls, err)
		}
	}
	if err := link.SurveyDump(func() error { return unix.EPERM }); !errors.Is(err, unix.EPERM) {
		t.Error(err)
	}
}
