package verbs

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/expect"
)

// slow is a network whose ADD takes a second or two, with everything done but the end: the kernel looks for duplicate addresses.
func slow() conf {
	return network(defaultGateway(), conf{"enabledad": true}, pool("10.1.0.0/24", "fd00:1::/64"))
}

// midway starts an ADD and returns when the container's interface is up.
func midway(t *testing.T, a *attachment, c *nettest.Container) *nettest.Running {
	t.Helper()
	updates, done := make(chan netlink.LinkUpdate, 64), make(chan struct{})
	defer close(done)
	var err error
	c.Do(func() { err = netlink.LinkSubscribe(updates, done) })
	if err != nil {
		t.Fatal(err)
	}
	running := a.h.StartCNI(t, a.call(t, "ADD"))
	for u := range updates {
		if u.Link.Attrs().Name == "eth0" && u.Link.Attrs().RawFlags&syscall.IFF_UP != 0 {
			return running
		}
	}
	t.Fatal("no more events while waiting for eth0")
	return nil
}

// TestSignalUndoesAdd: a runtime that is told to end tells the plugin; an error comes, and nothing is left.
func TestSignalUndoesAdd(t *testing.T) {
	t.Parallel()
	for name, signal := range map[string]syscall.Signal{"TERM": syscall.SIGTERM, "INT": syscall.SIGINT, "HUP": syscall.SIGHUP} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := nettest.Host(t)
			c := h.Container("c")
			a := on(h, c, slow())
			running := midway(t, a, c)
			if err := running.Signal(signal); err != nil {
				t.Fatal(err)
			}
			e := running.Wait(t).Error(t)
			expect.Equal(t, "code", e.Code, 11)
			expect.Contains(t, e.Msg, "interrupted by a signal")
			noLeaks(t, h)
			a.add(t)
		})
	}
}

// TestKilledAddIsCleanedUp by DEL, and by GC: the record was there before anything else.
func TestKilledAddIsCleanedUp(t *testing.T) {
	t.Parallel()
	for _, verb := range []string{"DEL", "GC"} {
		t.Run(verb, func(t *testing.T) {
			t.Parallel()
			h := nettest.Host(t)
			c := h.Container("c")
			a := on(h, c, slow())
			running := midway(t, a, c)
			if err := running.Signal(syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			expect.Equal(t, "exit", running.Wait(t).Exit, -1)
			if verb == "DEL" {
				a.del(t)
			} else {
				gc(t, h, slow(), valid(nil)).OK(t)
			}
			noLeaks(t, h)
			expect.Equal(t, "eth0", hasLink(t, c.Netns, "eth0"), false)
			expect.Equal(t, "records", len(files(t, h, "/run/patchbay/net")), 0)
		})
	}
}

// TestDelWaitsForAdd of the same attachment that is under way, and then removes all of it.
func TestDelWaitsForAdd(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c := h.Container("c")
	a := on(h, c, slow())
	running := midway(t, a, c)
	a.run(t, "DEL").OK(t)
	running.Wait(t).OK(t)
	noLeaks(t, h)
}

// TestGCLeavesAddUnderWayAlone, though the runtime's list does not have it yet.
func TestGCLeavesAddUnderWayAlone(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c := h.Container("c")
	a := on(h, c, slow())
	running := midway(t, a, c)
	gc(t, h, slow(), valid(nil)).OK(t)
	a.prev = running.Wait(t).OK(t).Stdout
	a.check(t)
	a.del(t)
}

// redirected is a plugin whose standard output is a file.
func redirected(t *testing.T, path string) string {
	t.Helper()
	return nettest.Script(t, "exec "+nettest.Patchbay(t)+" >"+path)
}

// TestResultThatCannotBeWrittenIsAFailedAdd, and undone: the runtime knows nothing of the container.
func TestResultThatCannotBeWrittenIsAFailedAdd(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	a := on(h, h.Container("c"), everything())
	a.plugin = redirected(t, "/dev/full")
	answer := a.run(t, "ADD")
	expect.Equal(t, "exit", answer.Exit, 1)
	expect.Contains(t, string(answer.Stderr), "write")
	noLeaks(t, h)
}

// TestRuntimeThatWentAwayIsAFailedAdd: the other end of the pipe is closed.
func TestRuntimeThatWentAwayIsAFailedAdd(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	a := on(h, h.Container("c"), slow())
	pipe := filepath.Join(t.TempDir(), "stdout")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	a.plugin = redirected(t, pipe)
	running := h.StartCNI(t, a.call(t, "ADD"))
	reader, err := os.Open(pipe) // waits for the shell to open the other end
	if err != nil {
		t.Fatal(err)
	}
	reader.Close()
	expect.Equal(t, "exit", running.Wait(t).Exit, 1)
	noLeaks(t, h)
}
