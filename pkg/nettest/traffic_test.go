package nettest

import (
	"net/netip"
	"testing"
	"time"
)

func localhost() netip.Addr { return netip.MustParseAddr("127.0.0.1") }

// pair makes two containers on a bridge.
func pair(t testing.TB) (h *Node, a, b *Container) {
	t.Helper()
	h = Host(t)
	h.Bridge("br0", "192.0.2.1/24", "2001:db8::1/64")
	a, b = h.Container("a"), h.Container("b")
	h.Veth("va", a.Netns, "eth0")
	h.Veth("vb", b.Netns, "eth0")
	h.Plug("va", "br0")
	h.Plug("vb", "br0")
	a.AddAddress("eth0", "192.0.2.2/24", "2001:db8::2/64")
	b.AddAddress("eth0", "192.0.2.3/24", "2001:db8::3/64")
	h.Baseline()
	return h, a, b
}

func TestPing(t *testing.T) {
	t.Parallel()
	_, a, b := pair(t)
	for _, dst := range []string{"192.0.2.3", "2001:db8::3", "192.0.2.1", "2001:db8::1"} {
		r := a.Ping(netip.MustParseAddr(dst), PingOptions{Count: 50, Linger: 20 * time.Millisecond})
		if !r.OK() || len(r.RTTs) != 50 || r.Redirects != 0 {
			t.Errorf("ping %s: %s", dst, r)
		}
	}
	r := b.Ping(netip.MustParseAddr("192.0.2.2"), PingOptions{From: netip.MustParseAddr("192.0.2.3"), Size: 1400})
	if !r.OK() {
		t.Errorf("ping from an address: %s", r)
	}
}

// TestPingFails: no reply, no route and a foreign source are different errors.
func TestPingFails(t *testing.T) {
	t.Parallel()
	_, a, _ := pair(t)
	short := PingOptions{Count: 2, Timeout: 50 * time.Millisecond}
	if r := a.Ping(netip.MustParseAddr("192.0.2.99"), short); r.OK() || r.Err != nil || r.Sent != 2 || r.Received != 0 {
		t.Errorf("ping into silence: %s", r)
	}
	if r := a.Ping(netip.MustParseAddr("198.51.100.7"), short); r.Err == nil || r.Sent != 0 {
		t.Errorf("ping without a route: %s", r)
	}
	short.From = netip.MustParseAddr("203.0.113.1")
	if r := a.Ping(netip.MustParseAddr("192.0.2.3"), short); r.Err == nil {
		t.Errorf("ping from a foreign address: %s", r)
	}
	if err := a.PingOnce(netip.MustParseAddr("192.0.2.99")); err == nil {
		t.Error("PingOnce into silence succeeds")
	}
}

// TestPingCountsDuplicates: two machines with one address both answer.
func TestPingCountsDuplicates(t *testing.T) {
	t.Parallel()
	h, a, b := pair(t)
	twin := h.Container("twin")
	h.Veth("vt", twin.Netns, "eth0")
	h.Baseline()
	twin.Run(t, "ip", "link", "set", "eth0", "address", b.MAC("eth0"))
	twin.AddAddress("eth0", "192.0.2.3/24")
	h.Plug("vt", "br0")
	b.Run(t, "ip", "neigh", "replace", "192.0.2.2", "lladdr", a.MAC("eth0"), "dev", "eth0")
	twin.Run(t, "ip", "neigh", "replace", "192.0.2.2", "lladdr", a.MAC("eth0"), "dev", "eth0")
	a.Run(t, "ip", "neigh", "replace", "192.0.2.3", "lladdr", b.MAC("eth0"), "dev", "eth0")
	// A bridge that remembers nothing floods to both.
	h.Run(t, "ip", "link", "set", "br0", "type", "bridge", "ageing_time", "0", "fdb_flush")
	r := a.Ping(netip.MustParseAddr("192.0.2.3"), PingOptions{Count: 3, Linger: 50 * time.Millisecond})
	if r.Received != 3 || r.Duplicates != 3 || r.OK() {
		t.Errorf("ping of a twin: %s", r)
	}
	h.NoOracle("the twin's port is part of the test")
}

func TestCapture(t *testing.T) {
	t.Parallel()
	h, a, b := pair(t)
	onBridge, inB := h.Capture(t, "vb"), b.Capture(t, "eth0")
	dump4 := b.Tcpdump(t, "eth0", "icmp[icmptype] == icmp-echo")
	dump6 := b.Tcpdump(t, "eth0", "icmp6", "and", "ip6[40]", "==", "128")
	none := b.Tcpdump(t, "eth0", "tcp")
	for _, dst := range []string{"192.0.2.3", "2001:db8::3"} {
		if r := a.Ping(netip.MustParseAddr(dst), PingOptions{Count: 100}); !r.OK() {
			t.Fatal(r)
		}
	}
	if err := inB.Wait(200, 5*time.Second, func(f Frame) bool { return f.Kind == EchoReply && f.Outgoing }); err != nil {
		t.Error(err)
	}
	for where, frames := range map[string]Frames{"vb": onBridge.Stop(t), "eth0": inB.Stop(t)} {
		counts := map[Kind]int{EchoRequest: 200, EchoReply: 200, ARPRequest: 1, ARPReply: 1, Redirect: 0}
		for kind, want := range counts {
			if got := len(frames.Of(kind)); got != want {
				t.Errorf("%s: %d of %s, want %d", where, got, kind, want)
			}
		}
		for _, f := range frames.From(netip.MustParseAddr("192.0.2.2")) {
			if f.SrcMAC != a.MAC("eth0") {
				t.Errorf("%s: source of %s", where, f)
			}
		}
		target := func(f Frame) bool { return f.Kind == Solicit && f.Target == netip.MustParseAddr("2001:db8::3") }
		if len(frames.Where(target)) != 1 || len(frames.Of(Advert)) == 0 {
			t.Errorf("%s: no neighbour discovery:\n%s", where, frames)
		}
	}
	for name, d := range map[string]*Tcpdump{"icmp": dump4, "icmp6": dump6} {
		if lines := d.Stop(t); len(lines) != 100 {
			t.Errorf("tcpdump %s has %d lines", name, len(lines))
		}
	}
	if lines := none.Stop(t); len(lines) != 0 {
		t.Errorf("tcpdump of nothing has %q", lines)
	}
}

func TestLAN(t *testing.T) {
	t.Parallel()
	h := Host(t)
	h.Oracle(CleanHost)
	l := h.LAN(t)
	if l.MAC != lanUplinkMAC || h.MAC(l.Uplink) != l.MAC {
		t.Errorf("br0 has MAC %s, eth0 %s", l.MAC, h.MAC(l.Uplink))
	}
	seen, outside := l.Router.Capture(t, "lan"), l.Outside.Capture(t, "eth0")
	n := l.Neighbour("neighbour", "192.0.2.20/24", "2001:db8:0:1::20/64")
	for _, dst := range []string{LANOutside4, LANOutside6} {
		if r := n.Ping(netip.MustParseAddr(dst), PingOptions{Count: 5}); !r.OK() {
			t.Errorf("neighbour to %s: %s", dst, r)
		}
		if r := h.Ping(netip.MustParseAddr(dst), PingOptions{Count: 5}); !r.OK() {
			t.Errorf("host to %s: %s", dst, r)
		}
	}
	frames := seen.Stop(t)
	fromHost := frames.Of(EchoRequest).From(netip.MustParseAddr(LANHost4))
	if len(fromHost) != 5 || fromHost[0].SrcMAC != l.MAC || len(frames.Of(Redirect)) != 0 {
		t.Errorf("the router saw:\n%s", frames)
	}
	// No NAT: the outside sees who asks.
	if got := outside.Stop(t).Of(EchoRequest).From(netip.MustParseAddr("2001:db8:0:1::20")); len(got) != 5 {
		t.Errorf("the outside saw:\n%s", got)
	}
}

// TestLANRedirects: a wrong gateway causes an ICMP redirect, and a capture shows it, so that tests
// that expect no redirect can fail.
func TestLANRedirects(t *testing.T) {
	t.Parallel()
	h := Host(t)
	l := h.LAN(t, BridgeMAC("02:00:00:00:00:10"))
	if l.MAC != "02:00:00:00:00:10" {
		t.Errorf("br0 has MAC %s", l.MAC)
	}
	h.SetSysctl("net/ipv4/ip_forward", "1")
	n := l.Neighbour("neighbour", "192.0.2.20/24")
	n.Run(t, "ip", "route", "replace", "default", "via", LANHost4)
	seen := l.Switch.Capture(t, "to-neighbour")
	r := n.Ping(netip.MustParseAddr(LANOutside4), PingOptions{Count: 1})
	frames := seen.Stop(t)
	if !r.OK() || r.Redirects != 1 || len(frames.Of(Redirect)) != 1 {
		t.Errorf("ping: %s; seen:\n%s", r, frames)
	}
}
