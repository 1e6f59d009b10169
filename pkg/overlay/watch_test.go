package overlay

import (
	"net/netip"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/pkg/nlsock"
)

// TestSilent: while a device is set up and gets its addresses, and when packets are sent to a gateway and to a node without an entry, nothing
// leaves it that asks for a node or announces one.
//
// Claim: On the VXLAN device there is no ARP and no neighbour discovery, also while entries are missing
func TestSilent(t *testing.T) {
	h, o := open(t)
	d := device4()
	h.Run(t, "ip", "link", "add", d.Name, "address", d.MAC.String(), "mtu", "1450", "type", "vxlan", "id", "4096", "local", nettest.LANHost4, "dstport", "8472", "nolearning")
	capture := h.Capture(t, d.Name)
	index, _ := ensure(t, o, d)
	must(t, o.SetAddresses(index, []netip.Prefix{netip.MustParsePrefix("10.244.1.0/32"), netip.MustParsePrefix("fd00:10:244:1::/128")}, nil))
	h.Run(t, "ip", "route", "add", "10.244.2.0/24", "via", "10.244.2.0", "dev", d.Name, "onlink")
	h.Run(t, "ip", "route", "add", "fd00:10:244:2::/64", "via", "fe80::2", "dev", d.Name)
	for _, pod := range []string{"10.244.2.5", "fd00:10:244:2::5"} {
		h.Ping(netip.MustParseAddr(pod), nettest.PingOptions{Count: 1})
	}
	frames := capture.Stop(t)
	if asked := frames.Where(func(f nettest.Frame) bool { return f.Kind != nettest.EchoRequest }); len(asked) > 0 {
		t.Errorf("frames on the overlay:\n%s", asked)
	}
	if sent := frames.Of(nettest.EchoRequest); len(sent) != 2 {
		t.Errorf("echo requests:\n%s", sent)
	}
	_, err := o.Remove(d.Name)
	must(t, err)
}

// reported reports whether one of the notifications concerns the overlay, up to that of a change of lo which is made here: the kernel keeps
// the order.
func reported(t *testing.T, h *nettest.Node, w *Watch) (found bool) {
	t.Helper()
	h.Run(t, "ip", "link", "set", "lo", "alias", "mark")
	h.Run(t, "ip", "link", "set", "lo", "alias", "")
	for marks := 0; marks < 2; {
		datagram, err := w.socket.Receive()
		must(t, err)
		for m := range nlsock.Messages(datagram) {
			found = found || w.concerns(m)
			if m.Type == unix.RTM_NEWLINK && unix.ByteSliceToString(nlsock.Attribute(m.Data[unix.SizeofIfInfomsg:], unix.IFLA_IFNAME)) == "lo" {
				marks++
			}
		}
	}
	return found
}

// TestWatch: each change of a device or of an entry of it is reported, and none of other interfaces.
func TestWatch(t *testing.T) {
	h, o := open(t)
	index, _ := ensure(t, o, device4())
	var w *Watch
	var err error
	h.Do(func() { w, err = OpenWatch() })
	must(t, err)
	t.Cleanup(w.Close)
	w.Follow([]int{index})
	mac := device4().MAC.String()
	for _, step := range []struct {
		change string
		want   bool
	}{
		{"ip neigh add 10.9.9.9 lladdr " + mac + " nud permanent dev patchbay.vx", true},
		{"ip neigh replace 192.0.2.99 lladdr " + mac + " nud permanent dev br0", false},
		{"ip neigh flush dev patchbay.vx nud permanent", true},
		{"ip link set br0 txqueuelen 77", false},
		{"bridge fdb add 02:00:00:00:00:09 dev patchbay.vx dst 192.0.2.99 self permanent", true},
		{"ip neigh del 192.0.2.99 dev br0", false},
		{"bridge fdb del 02:00:00:00:00:09 dev patchbay.vx self", true},
		{"ip link set patchbay.vx address 02:00:00:00:00:01", true},
		{"ip link set br0 txqueuelen 1000", false},
		{"ip link set patchbay.vx down", true},
		{"ip link del patchbay.vx", true},
	} {
		h.Run(t, strings.Fields(step.change)[0], strings.Fields(step.change)[1:]...)
		if got := reported(t, h, w); got != step.want {
			t.Errorf("%s: reported %t", step.change, got)
		}
	}
}
