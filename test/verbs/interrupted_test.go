package verbs

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// slow returns a network whose ADD takes a second or two for duplicate address detection, after everything else is
// done.
func slow() cni.Conf {
	return cni.Network(cni.DefaultGateway(), cni.Conf{"enabledad": true}, cni.Pool("10.1.0.0/24", "fd00:1::/64"))
}

// midway starts an ADD and returns when the container interface is up.
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

// TestSignalEndsAdd: ADD does not catch signals. DEL and GC remove what it leaves, because its record
// was written before anything else.
//
// Claim: SIGTERM ends a verb as SIGKILL does: at any changing call of ADD, DEL or GC the next DEL or ADD leaves nothing behind
func TestSignalEndsAdd(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		signal  syscall.Signal
		cleanup string
	}{
		{"KILL, then DEL", syscall.SIGKILL, "DEL"},
		{"KILL, then GC", syscall.SIGKILL, "GC"},
		{"TERM, then DEL", syscall.SIGTERM, "DEL"},
		{"INT, then GC", syscall.SIGINT, "GC"},
		{"HUP, then DEL", syscall.SIGHUP, "DEL"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := nettest.Host(t)
			c := h.Container("c")
			a := on(h, c, slow())
			running := midway(t, a, c)
			if err := running.Signal(tt.signal); err != nil {
				t.Fatal(err)
			}
			expect.Equal(t, "exit", running.Wait(t).Exit, -1)
			if tt.cleanup == "DEL" {
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

// TestDelWaitsForAdd: DEL waits for an ADD of the same attachment to finish, and then removes all of it.
//
// Claim: Verbs of one attachment run one at a time; GC and address reclaim skip attachments that are locked
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

// TestGCKeepsPendingAdd: although the runtime's list does not have it yet.
//
// Claim: Verbs of one attachment run one at a time; GC and address reclaim skip attachments that are locked
func TestGCKeepsPendingAdd(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c := h.Container("c")
	a := on(h, c, slow())
	running := midway(t, a, c)
	expect.Equal(t, "stopped", running.Signal(syscall.SIGSTOP), nil) // an emulated CPU may need longer for GC than ADD for the rest
	gc(t, h, slow(), valid(nil)).OK(t)
	expect.Equal(t, "continued", running.Signal(syscall.SIGCONT), nil)
	a.prev = running.Wait(t).OK(t).Stdout
	a.check(t)
	a.del(t)
}

// redirected runs a plugin whose standard output is a file.
func redirected(t *testing.T, path string) string {
	t.Helper()
	return nettest.Script(t, "exec "+nettest.Patchbay(t)+" >"+path)
}

// TestUnwritableStdoutIsAFailedAdd: ADD undoes its changes, because the runtime does not know of the
// attachment.
//
// Claim: An ADD whose result cannot be written to stdout is undone
func TestUnwritableStdoutIsAFailedAdd(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	a := on(h, h.Container("c"), everything())
	a.plugin = redirected(t, "/dev/full")
	answer := a.run(t, "ADD")
	expect.Equal(t, "exit", answer.Exit, 1)
	expect.Contains(t, string(answer.Stderr), "write")
	noLeaks(t, h)
}

// TestClosedStdoutIsAFailedAdd: the runtime closed its end of the pipe.
func TestClosedStdoutIsAFailedAdd(t *testing.T) {
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
