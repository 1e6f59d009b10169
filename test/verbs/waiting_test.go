package verbs

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/expect"
)

// held is the lock of an attachment that somebody else has.
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

// whileWaiting starts an ADD, does something once it waits for the lock, and lets it go on.
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

// TestBridgeThatChangesWhileAddWaits: what an ADD saw before it waited for a lock is no longer true.
func TestBridgeThatChangesWhileAddWaits(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	first, _ := attach(t, h, h.Container("first"), network(gateway(), pool("10.1.0.0/24")))
	a := on(h, h.Container("c"), network(gateway(), pool("10.1.0.0/24")))
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

// TestGatewayThatComesWhileAddWaits: another network's, which this one's does not go with.
func TestGatewayThatComesWhileAddWaits(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	h.Bridge("cni0")
	a := on(h, h.Container("c"), network(gateway(), pool("10.2.0.0/24")))
	answer := whileWaiting(t, h, a, func() { h.AddAddress("cni0", "10.1.0.1/24") })
	e := answer.Error(t)
	expect.Equal(t, "code", e.Code, uint(105))
	expect.Equal(t, "msg", e.Msg, "bridge cni0 has other addresses: 10.1.0.1/24, not 10.2.0.1/24")
	noLeaks(t, h)
}

// TestFirstAddsAtOnce: whoever makes the bridge, nobody takes it for something it is not yet.
func TestFirstAddsAtOnce(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	var all []*attachment
	for i := range 4 {
		all = append(all, on(h, h.Container("c"+strconv.Itoa(i)), network(gateway(), pool("10.1.0.0/24"))))
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

// TestSmallMTUOnANewBridge: below 1280 the kernel takes IPv6 away, and with it the files that say how.
func TestSmallMTUOnANewBridge(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	a, _ := attach(t, h, h.Container("c"), network(conf{"mtu": 1000}, pool("10.1.0.0/24")))
	a.check(t)
	expect.Contains(t, ip(t, h.Netns, "link show dev cni0"), "mtu 1000")
	a.del(t)
}
