package tap

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// host is a host on which commands attach namespaces.
type host struct {
	*nettest.Node
	conf string // directory of networks
}

func newHost(t testing.TB) *host {
	t.Helper()
	return &host{nettest.Host(t), t.TempDir()}
}

// run runs a command, and returns stdout and stderr.
func (h *host) run(t testing.TB, args ...string) (stdout, stderr string, exit int) {
	t.Helper()
	cmd := h.Command(nettest.Patchbay(t), args...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "NETCONFPATH=" + h.conf, "LC_ALL=C.UTF-8"}
	var out, err bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &err
	if failed := cmd.Run(); cmd.ProcessState == nil {
		t.Fatal(failed)
	}
	return out.String(), err.String(), cmd.ProcessState.ExitCode()
}

// ok requires success, and returns stdout.
func (h *host) ok(t testing.TB, args ...string) string {
	t.Helper()
	stdout, stderr, exit := h.run(t, args...)
	if exit != 0 {
		t.Fatalf("patchbay %s: exit %d\n%s%s", strings.Join(args, " "), exit, stdout, stderr)
	}
	return stdout
}

// refused requires exit code 1 and a sentence with these parts.
func (h *host) refused(t testing.TB, parts []string, args ...string) {
	t.Helper()
	stdout, stderr, exit := h.run(t, args...)
	if exit != 1 || stdout != "" || strings.Count(stderr, "\n") != 1 {
		t.Errorf("patchbay %s: exit %d, want 1 and one sentence\n%s%s", strings.Join(args, " "), exit, stdout, stderr)
	}
	expect.Contains(t, stderr, parts...)
}

// attached is the object of attach -o json.
type attached struct {
	Name, HostLink, TapName, MAC, State string
	MTU                                 int
	Addresses, Gateways, Nameservers    []string
	Tap                                 struct {
		Name         string
		Owner, Group *uint32
		MultiQueue   bool
	}
}

// attach attaches a namespace with a tap.
func (h *host) attach(t testing.TB, args ...string) (a attached) {
	t.Helper()
	text := h.ok(t, append([]string{"attach", "-o", "json", "--tap"}, args...)...)
	if err := json.Unmarshal([]byte(text), &a); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return a
}

// guest returns a guest for what attach printed.
func (a attached) guest(uid int) guest {
	return guest{
		Tap: a.Tap.Name, UID: uid, GID: uid, Flags: vnetHeader, MAC: a.MAC,
		Address: netip.MustParsePrefix(a.Addresses[0]).Addr(), Gateway: netip.MustParseAddr(a.Gateways[0]),
	}
}

// machine is a guest that runs.
type machine struct {
	lines *bufio.Scanner
	stdin io.Closer
	end   func() // kills it
}

// start starts a guest in a namespace, and returns its first line: "open", or the error.
func (g guest) start(t testing.TB, in *nettest.Netns) (*machine, string) {
	t.Helper()
	text, err := json.Marshal(g)
	if err != nil {
		t.Fatal(err)
	}
	cmd := in.Command(os.Args[0])
	cmd.Env = append(os.Environ(), envGuest+"="+string(text))
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	m := &machine{lines: bufio.NewScanner(stdout), stdin: stdin, end: func() { _ = cmd.Process.Kill() }}
	t.Cleanup(func() {
		m.end()
		_ = cmd.Wait()
	})
	return m, m.line(t)
}

// boot starts a guest, which must be able to open its tap.
func (g guest) boot(t testing.TB, in *nettest.Netns) *machine {
	t.Helper()
	m, line := g.start(t, in)
	if line != "open" {
		t.Fatalf("guest: %s", line)
	}
	return m
}

// line waits for the next line of the guest.
func (m *machine) line(t testing.TB) string {
	t.Helper()
	defer time.AfterFunc(30*time.Second, m.end).Stop() // a guest that is not reached has no event
	if !m.lines.Scan() {
		t.Fatalf("the guest has ended: %v", m.lines.Err())
	}
	return m.lines.Text()
}
