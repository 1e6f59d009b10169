package firstpacket

import (
	"net/netip"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// TestAddAnnouncesItself: before ADD returns, it announces the addresses and the multicast listener: neighbours must not send to the previous
// owner of an address, and a bridge with multicast snooping must know the listener.
//
// Claim: The first packet right after ADD arrives, in 100 of 100 runs, with one reply per echo request
func TestAddAnnouncesItself(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	h.Bridge("br0", host4+"/24", host6+"/64")
	neighbour := plugNeighbour(h)
	c := h.Container("announced")
	capture := neighbour.Capture(t, "eth0")
	addrs := add(t, h, c, false)
	frames := capture.Stop(t)
	mac := c.MAC("eth0")

	want := map[string]func(nettest.Frame) bool{
		"a gratuitous ARP request": func(f nettest.Frame) bool {
			return f.Kind == nettest.ARPRequest && f.Src == addrs[0] && f.Dst == addrs[0]
		},
		"a listener report": func(f nettest.Frame) bool {
			return f.Kind == nettest.MLDReport && f.Dst == netip.MustParseAddr("ff02::16")
		},
		"an unsolicited advertisement": func(f nettest.Frame) bool {
			return f.Kind == nettest.Advert && f.Target == addrs[1] && f.Src == addrs[1]
		},
	}
	for name, match := range want {
		fromContainer := func(f nettest.Frame) bool { return f.SrcMAC == mac && match(f) }
		if len(frames.Where(fromContainer)) == 0 {
			t.Errorf("the neighbour did not get %s before ADD returned:\n%s", name, frames)
		}
	}
	del(t, h, c, false)
}
