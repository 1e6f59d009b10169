package nettest

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestAddAddressIsReady: the first packet to a new address is answered.
func TestAddAddressIsReady(t *testing.T) {
	t.Parallel()
	h := Host(t)
	for range 20 {
		c := h.Container("c")
		h.Bridge("br0")
		h.Veth("veth0", c.Netns, "eth0")
		h.Plug("veth0", "br0")
		h.AddAddress("br0", "192.0.2.1/24", "2001:db8::1/64", "fe80::1/64")
		c.AddAddress("eth0", "192.0.2.2/24", "2001:db8::2/64", "fe80::2/64")
		for _, dst := range []string{"192.0.2.1", "2001:db8::1", "fe80::1%eth0"} {
			if err := c.PingOnce(netip.MustParseAddr(dst)); err != nil {
				t.Error(err)
			}
		}
		want := []netip.Prefix{netip.MustParsePrefix("192.0.2.1/24"), netip.MustParsePrefix("2001:db8::1/64")}
		if diff := cmp.Diff(want, h.Addresses("br0"), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
			t.Errorf("addresses (-want +got):\n%s", diff)
		}
		h.Run(t, "ip", "link", "del", "veth0")
		h.Run(t, "ip", "link", "del", "br0")
		c.Delete()
	}
	h.Baseline()
}

// TestAddAddressWaits: the kernel answers before the local route is there, more
// often than not; a caller of AddAddress never sees that.
func TestAddAddressWaits(t *testing.T) {
	t.Parallel()
	h := Host(t)
	h.Bridge("br0")
	h.Veth("veth0", h.machine("peer"), "eth0")
	h.Plug("veth0", "br0")
	for i := range 100 {
		a := netip.PrefixFrom(netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8, 15: byte(i + 1)}), 64)
		h.AddAddress("br0", a.String())
		if !h.isLocal(a.Addr(), "br0") {
			t.Errorf("%s has no local route yet", a)
		}
	}
	h.Baseline()
}
