package noderoute

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// watched is a Watch, and changes that it reports.
type watched struct {
	t     *testing.T
	h     *nettest.Node
	watch *Watch
	marks int
}

func (w *watched) run(args ...string) { w.h.Run(w.t, "ip", args...) }

// reported returns whether a change was reported, up to a change of the other kind that is made here. So a report that is missing is seen
// without waiting for a time: the kernel keeps the order.
func (w *watched) reported(change Change) bool {
	w.t.Helper()
	if w.marks++; change == RouteLost {
		w.run("address", "add", fmt.Sprintf("127.1.0.%d/32", w.marks), "dev", "lo")
	} else {
		w.run("route", "add", "10.99.0.0/24", "dev", "lo", "proto", "112")
		w.run("route", "del", "10.99.0.0/24", "dev", "lo", "proto", "112")
	}
	var all Change
	for all&^change == 0 {
		next, err := w.watch.Next()
		must(w.t, err)
		all |= next
	}
	return all&change != 0
}

// TestWatch: what is reported, and what is not.
func TestWatch(t *testing.T) {
	h, _, table := open(t)
	for _, name := range []string{"br0", "eth0"} { // their link-local addresses are events too
		h.Settle(name)
	}
	w := &watched{t: t, h: h}
	var err error
	h.Do(func() { w.watch, err = OpenWatch() })
	must(t, err)
	t.Cleanup(w.watch.Close)
	dst, via := netip.MustParsePrefix("10.244.2.0/24"), netip.MustParseAddr("192.0.2.20")
	for _, step := range []struct {
		name string
		do   func()
		kind Change
		want bool
	}{
		{"our own addition", func() { must(t, table.Add(Route{Dst: dst, Via: via})) }, RouteLost, false},
		{"a route of another program", func() {
			w.run("route", "add", "10.9.0.0/16", "via", "192.0.2.20")
			w.run("route", "del", "10.9.0.0/16")
		}, RouteLost, false},
		{"routes are flushed", func() { w.run("route", "flush", "proto", "112") }, RouteLost, true},
		{"another program replaces the route", func() {
			must(t, table.Add(Route{Dst: dst, Via: via}))
			w.run("route", "replace", dst.String(), "via", "192.0.2.21", "proto", "static")
		}, RouteLost, true},
		{"another setting of an interface", func() {
			w.run("route", "del", dst.String())
			w.run("link", "set", "eth0", "txqueuelen", "77")
		}, LinkChanged, false},
		{"an interface goes down", func() { w.run("link", "set", "br0", "down") }, LinkChanged, true},
		{"an interface comes up", func() { w.run("link", "set", "br0", "up") }, LinkChanged, true},
		{"an address", func() { w.run("address", "add", "192.0.2.78/32", "dev", "br0") }, LinkChanged, true},
	} {
		step.do()
		if got := w.reported(step.kind); got != step.want {
			t.Errorf("%s: reported %t, want %t", step.name, got, step.want)
		}
	}
	h.AddRoute("0.0.0.0/0", nettest.LANRouter4)
	h.NoOracle("br0 was down, which ends its IPv6 addresses")
}
