package attacks

import (
	"encoding/json"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// Neighbour is the MAC that a namespace has for an address; nil for none.
func Neighbour(t testing.TB, ns *nettest.Netns, dev string, addr netip.Addr) net.HardwareAddr {
	t.Helper()
	var all []struct{ Dst, Lladdr string }
	decode(t, ns.Run(t, "ip", "-j", "neigh", "show", "dev", dev, "to", addr.String()), &all)
	for _, n := range all {
		if n.Dst == addr.String() && n.Lladdr != "" {
			return MAC(n.Lladdr)
		}
	}
	return nil
}

// PortOf is the port behind which a bridge has seen a MAC last; "" for none.
func PortOf(t testing.TB, ns *nettest.Netns, bridge string, mac net.HardwareAddr) string {
	t.Helper()
	var all []struct{ Mac, Ifname, Master string }
	decode(t, ns.Run(t, "bridge", "-j", "fdb", "show", "br", bridge), &all)
	for _, e := range all {
		if e.Mac == mac.String() && e.Master == bridge {
			return e.Ifname
		}
	}
	return ""
}

// DefaultRouters are the gateways of the default routes by IPv6.
func DefaultRouters(t testing.TB, ns *nettest.Netns) (gateways []string) {
	t.Helper()
	var all []struct {
		Gateway  string
		Nexthops []struct{ Gateway string }
	}
	decode(t, ns.Run(t, "ip", "-6", "-j", "route", "show", "default"), &all)
	for _, r := range all {
		gateways = append(gateways, r.Gateway)
		for _, hop := range r.Nexthops {
			gateways = append(gateways, hop.Gateway)
		}
	}
	return gateways
}

func decode(t testing.TB, text string, into any) {
	t.Helper()
	if strings.TrimSpace(text) == "" {
		return
	}
	if err := json.Unmarshal([]byte(text), into); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
}

// Until repeats a look until it is true; false at the deadline. It is for what the kernel does a moment after the request, without
// an event to wait for.
func Until(within time.Duration, look func() bool) bool {
	for end := time.Now().Add(within); ; time.Sleep(5 * time.Millisecond) {
		if look() {
			return true
		}
		if time.Now().After(end) {
			return false
		}
	}
}
