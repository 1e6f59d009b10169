package verbs

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// held is the lock of an attachment that another process holds.
func held(t *testing.T, h *nettest.Node, a *attachment) *os.File {
	t.Helper()
	var f *os.File
	h.Do(func() {
		path := filepath.Join("/run/patchbay/net", a.id+"@"+a.ifname+".json")
		err := os.MkdirAll(filepath.Dir(path), 0o700)
		if err == nil {
			f, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
		}
		if err == nil {
			err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		}
		if err != nil {
			t.Fatal(err)
		}
	})
	return f
}

// whileWaiting starts an ADD, calls a function while the ADD waits for the lock, and releases the lock.
func whileWaiting(t *testing.T, h *nettest.Node, a *attachment, do func()) nettest.Answer {
	t.Helper()
	lock := held(t, h, a)
	running := h.StartCNI(t, a.call(t, "ADD"))
	nettest.AwaitWaiter(t, lock)
	do()
	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}
	return running.Wait(t)
}

// TestBridgeChangedWhileAddWaits: ADD looks at the bridge again after it has waited for a lock.
//
// Claim: An ADD that waited for a lock reads the bridge again; concurrent first ADDs agree on one bridge
func TestBridgeChangedWhileAddWaits(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	first, _ := attach(t, h, h.Container("first"), cni.Network(cni.Gateway(), cni.Pool("10.1.0.0/24")))
	a := on(h, h.Container("c"), cni.Network(cni.Gateway(), cni.Pool("10.1.0.0/24")))
	a.prev = whileWaiting(t, h, a, func() {
		ip(t, h.Netns, "link set cni0 down")
		ip(t, h.Netns, "addr flush dev cni0")
	}).OK(t).Stdout
	a.check(t)
	expect.Contains(t, ip(t, h.Netns, "-4 addr show dev cni0 up"), "10.1.0.1/24")
	a.del(t)

	a.prev = whileWaiting(t, h, a, func() { ip(t, h.Netns, "link del cni0") }).OK(t).Stdout
	a.check(t)
	a.del(t)
	first.del(t)
}

// TestGatewayAddedWhileAddWaits: meanwhile another network gives the bridge a gateway address that conflicts with
// this network's.
//
// Claim: An ADD that waited for a lock reads the bridge again; concurrent first ADDs agree on one bridge
func TestGatewayAddedWhileAddWaits(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	h.Bridge("cni0")
	a := on(h, h.Container("c"), cni.Network(cni.Gateway(), cni.Pool("10.2.0.0/24")))
	answer := whileWaiting(t, h, a, func() { h.AddAddress("cni0", "10.1.0.1/24") })
	e := answer.Error(t)
	expect.Equal(t, "code", e.Code, uint(105))
	expect.Equal(t, "msg", e.Msg, "bridge cni0: conflicting addresses: present is 10.1.0.1/24, required is 10.2.0.1/24")
	noLeaks(t, h)
}

// TestFirstAddsAtOnce: one of the ADDs creates the bridge, and none uses it before it is set up.
//
// Claim: An ADD that waited for a lock reads the bridge again; concurrent first ADDs agree on one bridge
func TestFirstAddsAtOnce(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	var all []*attachment
	for i := range 4 {
		all = append(all, on(h, h.Container("c"+strconv.Itoa(i)), cni.Network(cni.Gateway(), cni.Pool("10.1.0.0/24"))))
	}
	for range 10 {
		var running []*nettest.Running
		for _, a := range all {
			running = append(running, h.StartCNI(t, a.call(t, "ADD")))
		}
		for i, a := range all {
			a.prev = running[i].Wait(t).OK(t).Stdout
			a.check(t)
			expect.Contains(t, string(a.prev), `"mtu": 1500`)
		}
		for _, a := range all {
			a.del(t)
		}
		ip(t, h.Netns, "link del cni0")
	}
}

// TestSmallMTUOnANewBridge: below an MTU of 1280 the kernel removes IPv6 from an interface, and with it the sysctls
// that report it.
//
// Claim: An ADD that waited for a lock reads the bridge again; concurrent first ADDs agree on one bridge
func TestSmallMTUOnANewBridge(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	a, _ := attach(t, h, h.Container("c"), cni.Network(cni.Conf{"mtu": 1000}, cni.Pool("10.1.0.0/24")))
	a.check(t)
	expect.Contains(t, ip(t, h.Netns, "link show dev cni0"), "mtu 1000")
	a.del(t)
}

// TestLastDelsAtOnce: several DELs at once remove the last attachments with the gateway of an earlier configuration.
//
// Claim: A gateway that a changed subnet has replaced is removed with its last attachments, also if their DELs run at once
func TestLastDelsAtOnce(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	old, moved := cni.Network(cni.Gateway(), cni.Pool("10.1.0.0/24")), cni.Network(cni.Gateway(), cni.Pool("10.2.0.0/24"))
	var all []*attachment
	for i := range 4 {
		all = append(all, on(h, h.Container("c"+strconv.Itoa(i)), old))
	}
	last := on(h, h.Container("d"), moved)
	for range 10 {
		var running []*nettest.Running
		for _, a := range all {
			a.conf = old
			a.add(t)
			a.conf = moved // as the runtime has read it since
		}
		last.add(t)
		for _, a := range all {
			running = append(running, h.StartCNI(t, a.call(t, "DEL")))
		}
		for i, a := range all {
			running[i].Wait(t).OK(t)
			a.prev = nil
		}
		expect.Equal(t, "addresses", addressesOf(t, h.Netns, "cni0"), []string{"10.2.0.1/24"})
		last.del(t)
	}
}
