package ports

import (
	"net/netip"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// sharedBridge returns two networks of one bridge, the first of them isolated. Neither gives the bridge an
// address, because ADD would fail for that reason.
func sharedBridge(policy string) (isolated, other network) {
	keys := func(policy string) map[string]any {
		return map[string]any{"bridge": "cni81", "isDefaultGateway": false, "ipMasq": false, "ingressPolicy": policy}
	}
	return network{name: "kept", n: 81, keys: keys("isolated")}, network{name: "other", n: 82, keys: keys(policy)}
}

// refused checks that an ADD fails because of the other network, and that its DEL succeeds.
func (s *scene) refused(t *testing.T, b *box, n network, parts ...string) {
	t.Helper()
	e := s.CNI(t, call("ADD", b, "eth0", n.config(nil))).Error(t)
	if e.Code != 7 {
		t.Errorf("got %+v, want code 7", e)
	}
	expect.Contains(t, e.Msg+" "+e.Details, parts...)
	s.CNI(t, call("DEL", b, "eth0", n.config(nil))).OK(t)
}

// TestIsolatedSharesNoBridge: a bridge of an isolated network is not shared with another network, in either order; after the DEL of the first the
// other may use it.
//
// Claim: A bridge that an isolated network uses serves no other network, in either order and concurrently; an isolated network on a LAN's
// bridge reaches the LAN, but not with bridge-nf-call 1
func TestIsolatedSharesNoBridge(t *testing.T) {
	for _, policy := range []string{"open", "same-bridge", "isolated"} {
		t.Run(policy, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			isolated, other := sharedBridge(policy)
			for _, order := range [][2]network{{isolated, other}, {other, isolated}} {
				first, second := &box{Container: s.Container("of-" + order[0].name)}, &box{Container: s.Container("next-" + order[1].name)}
				s.CNI(t, call("ADD", first, "eth0", order[0].config(nil))).OK(t)
				s.refused(t, second, order[1], "cni81", "kept", "other", first.ID())
				s.CNI(t, call("DEL", first, "eth0", order[0].config(nil))).OK(t)
				s.CNI(t, call("ADD", second, "eth0", order[1].config(nil))).OK(t)
				s.CNI(t, call("DEL", second, "eth0", order[1].config(nil))).OK(t)
			}
		})
	}
}

// TestIsolatedRace: two concurrent ADDs never both succeed.
//
// Claim: A bridge that an isolated network uses serves no other network, in either order and concurrently; an isolated network on a LAN's
// bridge reaches the LAN, but not with bridge-nf-call 1
func TestIsolatedRace(t *testing.T) {
	for _, policy := range []string{"open", "isolated"} {
		t.Run(policy, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			a, b := sharedBridge(policy)
			x, y := &box{Container: s.Container("x")}, &box{Container: s.Container("y")}
			outcomes := map[int]int{}
			for range 20 {
				one := s.StartCNI(t, call("ADD", x, "eth0", a.config(nil)))
				two := s.StartCNI(t, call("ADD", y, "eth0", b.config(nil)))
				won := 0
				for _, answer := range []nettest.Answer{one.Wait(t), two.Wait(t)} {
					if answer.Exit == 0 {
						won++
					} else if e := answer.Error(t); e.Code != 7 {
						t.Errorf("got %+v, want code 7", e)
					}
				}
				outcomes[won]++
				s.CNI(t, call("DEL", x, "eth0", a.config(nil))).OK(t)
				s.CNI(t, call("DEL", y, "eth0", b.config(nil))).OK(t)
			}
			t.Logf("rounds by number of successful ADDs: %v", outcomes)
			if outcomes[2] > 0 {
				t.Errorf("both succeeded %d times", outcomes[2])
			}
		})
	}
}

// onLAN is an isolated network on br0, a bridge with an uplink to a LAN.
const onLAN = `{"cniVersion": "1.0.0", "name": "lan", "type": "patchbay", "bridge": "br0", "ingressPolicy": "isolated",
	"ipam": {"type": "patchbay", "ranges": [
		[{"subnet": "192.0.2.0/24", "rangeStart": "192.0.2.100", "rangeEnd": "192.0.2.150", "gateway": "192.0.2.1"}],
		[{"subnet": "2001:db8:0:1::/64", "rangeStart": "2001:db8:0:1::100", "gateway": "2001:db8:0:1::1"}]],
		"routes": [{"dst": "0.0.0.0/0"}, {"dst": "::/0"}]}}`

// lanBox attaches a container to br0 and starts its server.
func lanBox(t *testing.T, h *nettest.Node, name string) *box {
	t.Helper()
	b := &box{Container: h.Container(name)}
	for _, ip := range h.CNI(t, call("ADD", b, "eth0", []byte(onLAN))).Result(t).IPs {
		addr, _ := netip.AddrFromSlice(ip.Address.IP)
		b.addrs = append(b.addrs, addr.Unmap())
	}
	t.Cleanup(func() { h.CNI(t, call("DEL", b, "eth0", []byte(onLAN))).OK(t) })
	listen(t, b.Netns, b.addrs, 80)
	return b
}

// TestIsolatedOnALAN: on a bridge with an uplink isolated containers reach the LAN, and the LAN them, but not each other. With bridge-nf-call they
// do not reach the LAN either: in table inet the interface of a bridged packet is the bridge, and its uplink cannot be distinguished from a
// container's port.
//
// Claim: A bridge that an isolated network uses serves no other network, in either order and concurrently; an isolated network on a LAN's
// bridge reaches the LAN, but not with bridge-nf-call 1
func TestIsolatedOnALAN(t *testing.T) {
	for _, value := range []string{"0", "1"} {
		t.Run("bridge-nf-call="+value, func(t *testing.T) {
			t.Parallel()
			h := nettest.Host(t)
			nettest.Need(t, nettest.NFTables, nettest.Tool("nft"), nettest.BrNetfilter)
			lan := h.LAN(t)
			machine := addrs("192.0.2.20", "2001:db8:0:1::20")
			neighbour := lan.Neighbour("machine", "192.0.2.20/24", "2001:db8:0:1::20/64")
			h.SetSysctl("net/bridge/bridge-nf-call-iptables", value)
			h.SetSysctl("net/bridge/bridge-nf-call-ip6tables", value)
			h.Baseline()
			one, two := lanBox(t, h, "one"), lanBox(t, h, "two")
			listen(t, neighbour, machine, 80)
			listen(t, lan.Outside, addrs(nettest.LANOutside4, nettest.LANOutside6), 80)
			reached := func(name string) string {
				if value == "1" {
					return ""
				}
				return name
			}
			var tries []try
			for i := range 2 {
				for _, proto := range tcpAndUDP() {
					to := func(addrs []netip.Addr) netip.AddrPort { return netip.AddrPortFrom(addrs[i], 80) }
					outside := addrs(nettest.LANOutside4, nettest.LANOutside6)
					tries = append(tries,
						try{from: one.Netns, proto: proto, to: to(machine), server: reached("machine"), saw: one.addrs},
						try{from: one.Netns, proto: proto, to: to(outside), server: reached("outside"), saw: one.addrs},
						try{from: neighbour, proto: proto, to: to(two.addrs), server: reached("two"), saw: machine},
						try{from: lan.Outside, proto: proto, to: to(two.addrs), server: reached("two"), saw: outside},
						try{from: h.Netns, proto: proto, to: to(two.addrs), server: "two"},
						try{from: one.Netns, proto: proto, to: to(two.addrs)},
						try{from: h.Netns, proto: proto, to: to(machine), server: "machine"},
					)
				}
			}
			all(t, tries)
		})
	}
}
