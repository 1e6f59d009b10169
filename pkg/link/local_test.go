package link_test

import (
	"net/netip"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// in returns a Host in the network namespace of a test's host.
func in(t *testing.T, h *nettest.Node) *link.Host {
	t.Helper()
	var host *link.Host
	var err error
	h.Do(func() { host, err = link.OpenHost() })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(host.Close)
	return host
}

func TestIsLocal(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	h.LAN(t)
	h.Run(t, "ip", "route", "add", "unreachable", "203.0.113.1")
	h.Run(t, "ip", "route", "add", "blackhole", "203.0.113.2")
	h.Run(t, "ip", "route", "add", "prohibit", "203.0.113.3")
	h.Run(t, "ip", "route", "add", "local", "203.0.113.4", "dev", "lo")
	h.Run(t, "ip", "-6", "route", "add", "unreachable", "2001:db8:9::1")
	h.Run(t, "ip", "-6", "route", "add", "blackhole", "2001:db8:9::2")
	h.Baseline()
	host := in(t, h)
	for addr, want := range map[string]bool{
		nettest.LANHost4: true, "127.0.0.1": true, "127.0.0.53": true, nettest.LANHost6: true, "::1": true, "203.0.113.4": true,
		nettest.LANOutside4: false, nettest.LANRouter4: false, nettest.LANOutside6: false, nettest.LANRouter6: false,
		"192.0.2.255": false, "224.0.0.1": false, "ff02::1": false,
		"203.0.113.1": false, "203.0.113.2": false, "203.0.113.3": false, "2001:db8:9::1": false, "2001:db8:9::2": false,
	} {
		if got, err := host.IsLocal(netip.MustParseAddr(addr)); err != nil || got != want {
			t.Errorf("%s: got %v, %v, want %v", addr, got, err, want)
		}
	}
}

// TestIsLocalWithoutRoutes: loopback addresses are local on a host that has no route.
func TestIsLocalWithoutRoutes(t *testing.T) {
	t.Parallel()
	host := in(t, nettest.Host(t))
	for addr, want := range map[string]bool{"127.0.0.1": true, "::1": true, nettest.LANOutside4: false, nettest.LANOutside6: false} {
		if got, err := host.IsLocal(netip.MustParseAddr(addr)); err != nil || got != want {
			t.Errorf("%s: got %v, %v, want %v", addr, got, err, want)
		}
	}
}
