package tap

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

const (
	owner      = 12345 // a user that this machine does not have
	group      = 12346
	vnetHeader = unix.IFF_VNET_HDR
)

// TestGuest: a program opens the tap by its name as the owner, and answers as a guest does, with the address and the MAC that attach
// prints.
//
// Claim: `attach --tap` gives a virtual machine the addresses, the MAC, the published ports and the network of an attachment: a program of
// --owner that opens the tap by name is reached at the attachment's address, and reaches the gateway
func TestGuest(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	vm, peer := h.Container("vm"), h.Container("peer")
	a := h.attach(t, "vm", "--owner", "12345", "-p", "9000:9/udp")
	expect.Equal(t, "tap", a.TapName, "tap0")
	if a.Tap.Owner == nil || *a.Tap.Owner != owner || a.Tap.Group != nil || a.MTU != 1500 || a.State != "up" {
		t.Errorf("attach -o json: %+v", a)
	}
	h.ok(t, "attach", "peer")
	g := a.guest(owner)
	if h.PingOnce(g.Address) == nil {
		t.Error("the address answers without a guest")
	}
	m := g.boot(t, vm.Netns)
	expect.Equal(t, "the gateway answers the guest", m.line(t), "echo reply from "+a.Gateways[0])
	for _, from := range []*nettest.Netns{h.Netns, peer.Netns} {
		if r := from.Ping(g.Address, nettest.PingOptions{Count: 3, Timeout: 5 * time.Second}); !r.OK() {
			t.Errorf("ping the guest from %s: %s", from.Name(), r)
		}
	}
	expect.Contains(t, h.Run(t, "ip", "neigh", "show", g.Address.String()), a.MAC)
	for _, to := range []string{"127.0.0.1:9000", a.Gateways[0] + ":9000"} {
		expect.Equal(t, "published port at "+to, ask(t, h.Netns, to), "guest: hello")
	}
	expect.Equal(t, "published port, from a container", ask(t, peer.Netns, a.Gateways[0]+":9000"), "guest: hello")
	expect.Contains(t, h.ok(t, "show"), "eth0", "tap0  tap, open", "guest  "+a.Addresses[0])
	h.ok(t, "detach", "vm", "peer")
	if line := m.line(t); !strings.HasPrefix(line, "error: read: ") {
		t.Errorf("the guest after detach: %s", line)
	}
}

// TestAnnounced: neighbours learn the MAC of the guest when it is attached, whatever guest had the address before.
//
// Claim: ADD with a tap announces the addresses of the guest (gratuitous ARP, neighbour advertisement), which no kernel has yet
func TestAnnounced(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	vm, peer := h.Container("vm"), h.Container("peer")
	conf := cni.Network(cni.DefaultGateway(), cni.Pool("10.96.0.0/24", "fd00:96::/64"))
	cni.Add(t, h.Node, peer, conf).OK(t)
	seen := peer.Capture(t, "eth0")
	conf = conf.With(cni.Conf{"tap": cni.Conf{"owner": owner}})
	r := cni.Add(t, h.Node, vm, conf).Result(t)
	for i, kind := range []nettest.Kind{nettest.ARPRequest, nettest.Advert} {
		addr, _ := netip.AddrFromSlice(r.IPs[i].Address.IP)
		err := seen.Wait(1, 10*time.Second, func(f nettest.Frame) bool {
			return f.Kind == kind && f.Src == addr.Unmap() && f.SrcMAC == r.Interfaces[2].Mac
		})
		if err != nil {
			t.Errorf("%s of %s: %v", kind, addr, err)
		}
	}
	for _, c := range []*nettest.Container{vm, peer} {
		cni.Del(t, h.Node, c, conf)
	}
}

// ask sends a datagram and returns the answer.
func ask(t testing.TB, from *nettest.Netns, to string) string {
	t.Helper()
	var conn net.Conn
	var err error
	from.Do(func() { conn, err = new(net.Dialer).DialContext(context.Background(), "udp", to) })
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := conn.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 100)
	n, err := conn.Read(buf)
	if err != nil {
		t.Errorf("no answer from %s: %v", to, err)
	}
	return string(buf[:n])
}

// TestWhoOpens: the kernel lets nobody else open the tap.
//
// Claim: Only the user and the group of --owner can open the tap of `attach --tap`, by default only root; USER:GROUP requires both
func TestWhoOpens(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	vm := h.Container("vm")
	for _, c := range []struct {
		owner    []string
		uid, gid int
		opens    bool
	}{
		{nil, owner, group, false},
		{[]string{"--owner", "12345"}, owner, group, true},
		{[]string{"--owner", "12345"}, owner + 1, group, false},
		{[]string{"--owner", ":12346"}, owner + 1, group, true},
		{[]string{"--owner", ":12346"}, owner, owner, false},
		{[]string{"--owner", "12345:12346"}, owner, group, true},
		{[]string{"--owner", "12345:12346"}, owner, owner, false},
		{[]string{"--owner", "12345:12346"}, owner + 1, group, false},
	} {
		h.attach(t, append([]string{"vm"}, c.owner...)...)
		_, line := guest{Tap: "tap0", UID: c.uid, GID: c.gid, Flags: vnetHeader}.start(t, vm.Netns)
		if want := map[bool]string{true: "open", false: "error: open tap0: operation not permitted"}[c.opens]; line != want {
			t.Errorf("%v, user %d in group %d: %s, want %s", c.owner, c.uid, c.gid, line, want)
		}
		h.ok(t, "detach", "vm")
	}
}

// TestQueues: a tap of one queue is opened once, one of several as often as the monitor has queues.
//
// Claim: `attach --tap` makes a tap that Firecracker and qemu open, with --multi-queue one for a monitor with several queues
func TestQueues(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	vm := h.Container("vm")
	for _, c := range []struct {
		option []string
		flags  uint16
		queues int
		first  string
	}{
		{nil, vnetHeader, 1, "open"},
		{nil, 0, 1, "open"},
		{nil, vnetHeader, 2, "error: open tap0: device or resource busy"},
		{nil, vnetHeader | unix.IFF_MULTI_QUEUE, 1, "error: open tap0: invalid argument"},
		{[]string{"--multi-queue"}, vnetHeader | unix.IFF_MULTI_QUEUE, 4, "open"},
		{[]string{"--multi-queue"}, vnetHeader, 1, "error: open tap0: invalid argument"},
	} {
		h.attach(t, append([]string{"vm", "--owner", "12345"}, c.option...)...)
		_, line := guest{Tap: "tap0", UID: owner, GID: group, Flags: c.flags, Queues: c.queues}.start(t, vm.Netns)
		expect.Equal(t, strings.Join(c.option, " "), line, c.first)
		h.ok(t, "detach", "vm")
	}
}

// TestUp: a program of `up --tap` has the tap, and everything is removed when it ends. Taps of other programs stay.
//
// Claim: `detach`, `down` and the end of `up --tap -- CMD` delete the tap, and no tap of another program in the namespace
func TestUp(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	expect.Contains(t, h.ok(t, "up", "one", "--tap", "--tap-name", "vmtap", "--", "ip", "-br", "link", "show", "vmtap"), "vmtap")
	vm := h.Container("vm")
	vm.Run(t, "ip", "tuntap", "add", "other", "mode", "tap")
	out := h.ok(t, "attach", "vm", "--tap", "--owner", "root:12346")
	expect.Contains(t, out, "network patchbay, tap tap0 of user 0 in group 12346\n  guest: MAC 02:", ", gateway 10.77.0.1, MTU 1500\n")
	vm.Run(t, "ip", "link", "set", "tap0", "name", "renamed")
	h.ok(t, "down", "vm")
	if links := vm.Run(t, "ip", "-br", "link"); strings.Contains(links, "renamed") || !strings.Contains(links, "other") {
		t.Errorf("after down: %s", links)
	}
	vm.Run(t, "ip", "link", "del", "other")
}

// TestSpoofedGuest: the check of source addresses is at the host interface, which the guest cannot reach.
//
// Claim: What a guest behind a tap sends is checked as what a container sends (`spoofCheck`)
func TestSpoofedGuest(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	vm := h.Container("vm")
	h.network(t, "checked", map[string]any{"spoofCheck": "full", "isDefaultGateway": true})
	a := h.attach(t, "vm", "--network", "checked", "--owner", "12345")
	g := a.guest(owner)
	true4 := g.Address
	g.Address, g.Gateway = g.Address.Next(), netip.Addr{}
	m := g.boot(t, vm.Netns)
	if r := h.Ping(g.Address, nettest.PingOptions{Count: 3}); r.Received > 0 {
		t.Errorf("a guest with another address is reached: %s", r)
	}
	_ = m.stdin.Close()
	h.ok(t, "detach", "vm", "--network", "checked")
	a = h.attach(t, "vm", "--network", "checked", "--owner", "12345", "--ip", true4.String())
	g = a.guest(owner)
	expect.Equal(t, "the gateway answers the guest", g.boot(t, vm.Netns).line(t), "echo reply from "+a.Gateways[0])
	if err := h.PingOnce(true4); err != nil {
		t.Errorf("the guest with its own address: %v", err)
	}
	h.ok(t, "detach", "vm", "--network", "checked")
}
