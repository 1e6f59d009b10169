package cluster

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/pkg/nodeproblem"
)

// TestOverlay: in mode auto two nodes on one network and one behind a router. All pods reach each other by their own addresses, although the
// router drops packets with them, and no frame on the overlay asks for a node.
//
// Claim: In mode auto pods of nodes behind a router reach those of all other nodes in both families, with their own addresses, and nodes on one network use no overlay
// Claim: Packets of a node itself to pods behind a router, and the answers, go through the overlay
// Claim: On the VXLAN device there is no ARP and no neighbour discovery, also while entries are missing
func TestOverlay(t *testing.T) {
	t.Parallel()
	r := newRouted(t, "auto")
	r.startAgents()
	r.awaitAuto()
	captures := map[*node]*nettest.Capture{}
	for _, n := range r.nodes {
		captures[n] = n.Capture(t, device)
	}
	mesh(t, r.pods)
	near, far := r.pods[0], r.pods[2]
	for family := range 2 {
		sees(t, near, far.Netns, far.addresses[family], near.addresses[family])
		sees(t, far, near.Netns, near.addresses[family], far.addresses[family])
		if err := r.first.PingOnce(far.addresses[family]); err != nil {
			t.Errorf("the host itself: %v", err)
		}
		sees(t, near, r.lan.Outside, netip.MustParseAddr([]string{nettest.LANOutside4, nettest.LANOutside6}[family]), netip.MustParseAddr(r.first.object.addresses[family]))
	}
	for n, capture := range captures {
		frames := capture.Stop(t)
		usual := []nettest.Kind{nettest.EchoRequest, nettest.EchoReply, nettest.MLDReport} // the last one of ff02::2, where the host forwards
		if other := frames.Where(func(f nettest.Frame) bool { return !slices.Contains(usual, f.Kind) }); len(other) > 0 {
			t.Errorf("frames on the overlay of %s:\n%s", n.object.name, other)
		}
		if len(frames.Of(nettest.EchoRequest)) < 4 {
			t.Errorf("echo requests on the overlay of %s:\n%s", n.object.name, frames)
		}
		between := frames.Where(func(f nettest.Frame) bool {
			return slices.Contains(r.pods[0].addresses, f.Src) && slices.Contains(r.pods[1].addresses, f.Dst)
		})
		if len(between) > 0 {
			t.Errorf("between nodes on one network, on the overlay of %s:\n%s", n.object.name, between)
		}
	}
	for _, n := range r.nodes {
		if !strings.Contains(n.read(conflist), `"mtu": 1450`) || len(n.status().Problems) > 0 {
			t.Errorf("conflist %s\nstatus %s", n.read(conflist), n.read(statusFile))
		}
	}
}

// TestOverlayModes: the mode changes from direct to auto, to vxlan and back, while pods have the MTU of direct.
//
// Claim: The mode of the overlay can be changed and changed back; with direct again nothing is left of it
// Claim: A pod with an MTU of 1500, from before the overlay, sends a TCP stream through it
func TestOverlayModes(t *testing.T) {
	t.Parallel()
	r := newRouted(t, "direct")
	r.startAgents()
	onlyDirect := func() {
		t.Helper()
		r.first.awaitBy(r.second, "eth0")
		r.first.awaitBy(r.far, "")
		r.first.awaitProblem(nodeproblem.NotDirect, "is on no network of this host")
		for _, n := range r.nodes {
			eventually(t, "no "+device, func() error {
				if n.has(device) {
					return fmt.Errorf("%s has it", n.object.name)
				}
				return nil
			})
		}
		mesh(t, r.pods[:2])
	}
	onlyDirect()
	r.restart("auto")
	r.awaitAuto()
	mesh(t, r.pods)
	var rates [2][2]float64 // of direct routes and of the overlay, between the same two nodes
	for family := range 2 {
		stream(t, r.pods[0], r.pods[2], amount{family, 4 << 20})
		stream(t, r.pods[2], r.pods[0], amount{family, 4 << 20})
		rates[0][family] = best(t, r.pods[0], r.pods[1], family)
	}
	r.restart("vxlan")
	r.first.awaitBy(r.second, device)
	r.second.awaitBy(r.first, device)
	mesh(t, r.pods)
	for family := range 2 {
		rates[1][family] = best(t, r.pods[0], r.pods[1], family)
		t.Logf("TCP between pods of two nodes, IPv%d: direct %.0f MB/s, overlay %.0f MB/s: %.2f", 4+2*family, rates[0][family], rates[1][family], rates[1][family]/rates[0][family])
	}
	r.restart("direct")
	onlyDirect()
	r.restart("auto")
	r.awaitAuto()
	mesh(t, r.pods)
}

// best returns the highest rate of five streams, in MB/s: other work of the machine makes the others slower.
func best(t *testing.T, from, to pod, family int) (rate float64) {
	t.Helper()
	for range 5 {
		rate = max(rate, stream(t, from, to, amount{family, 64 << 20}))
	}
	return rate
}

// amount is what stream sends.
type amount struct{ family, size int }

// stream sends bytes by TCP from a pod with an MTU of 1500, and returns MB/s.
func stream(t *testing.T, from, to pod, c amount) float64 {
	t.Helper()
	if mtu := from.Run(t, "ip", "link", "show", "eth0"); !strings.Contains(mtu, "mtu 1500") {
		t.Fatalf("the pod has another MTU: %s", mtu)
	}
	var listener net.Listener
	var err error
	to.Do(func() { listener, err = net.Listen("tcp", netip.AddrPortFrom(to.addresses[c.family], 5001).String()) })
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	got := make(chan int64, 1)
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			got <- -1
			return
		}
		defer conn.Close()
		n, _ := io.Copy(io.Discard, conn)
		got <- n
	}()
	var conn net.Conn
	from.Do(func() { conn, err = net.DialTimeout("tcp", listener.Addr().String(), time.Minute) })
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	began := time.Now()
	if _, err = conn.Write(make([]byte, c.size)); err != nil {
		t.Errorf("%s to %s: %v", from.addresses[c.family], to.addresses[c.family], err)
	}
	conn.Close()
	if n := <-got; n != int64(c.size) {
		t.Errorf("%s received %d bytes of %s, want %d", to.addresses[c.family], n, from.addresses[c.family], c.size)
	}
	return float64(c.size) / 1e6 / time.Since(began).Seconds()
}
