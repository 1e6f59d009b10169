package commands

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// TestMain runs more tests at once than there are processors, unless -parallel says otherwise.
func TestMain(m *testing.M) { expect.Main(m, 6) }

// laptop is a host with the program, and a directory of networks that is empty at first.
type laptop struct {
	*nettest.Node
	conf string
}

func newLaptop(t testing.TB) *laptop {
	t.Helper()
	return &laptop{nettest.Host(t), t.TempDir()}
}

// answer is the output of a command and its exit code.
type answer struct {
	exit           int
	stdout, stderr string
}

func (l *laptop) command(t testing.TB, args ...string) *nettest.Cmd {
	t.Helper()
	cmd := l.Command(nettest.Patchbay(t), args...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "NETCONFPATH=" + l.conf, "LC_ALL=C.UTF-8"}
	return cmd
}

// run runs the program and waits for its end.
func (l *laptop) run(t testing.TB, args ...string) answer {
	t.Helper()
	return finish(t, l.command(t, args...))
}

func finish(t testing.TB, cmd *nettest.Cmd) answer {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return answer{exitOf(cmd), stdout.String(), stderr.String()}
}

// exitOf returns the exit code as a shell does.
func exitOf(cmd *nettest.Cmd) int {
	status := cmd.ProcessState.Sys().(syscall.WaitStatus)
	if status.Signaled() {
		return 128 + int(status.Signal())
	}
	return status.ExitStatus()
}

// ok requires success, and returns stdout.
func (l *laptop) ok(t testing.TB, args ...string) string {
	t.Helper()
	a := l.run(t, args...)
	if a.exit != 0 || a.stderr != "" {
		t.Fatalf("patchbay %s: exit %d\n%s%s", strings.Join(args, " "), a.exit, a.stdout, a.stderr)
	}
	return a.stdout
}

// refused requires exit code 1, an empty stdout, and one sentence on stderr with these parts.
func (l *laptop) refused(t testing.TB, parts []string, args ...string) {
	t.Helper()
	a := l.run(t, args...)
	if a.exit != 1 || a.stdout != "" {
		t.Errorf("patchbay %s: exit %d, want 1\n%s%s", strings.Join(args, " "), a.exit, a.stdout, a.stderr)
	}
	if strings.Count(a.stderr, "\n") != 1 || !strings.HasPrefix(a.stderr, "patchbay: ") {
		t.Errorf("patchbay %s: not one sentence: %q", strings.Join(args, " "), a.stderr)
	}
	expect.Contains(t, a.stderr, parts...)
}

// network writes the file of a network on a bridge with one range and further keys.
func (l *laptop) network(t testing.TB, name, bridge string, ranges map[string]string) {
	t.Helper()
	text, err := json.Marshal(map[string]any{"cniVersion": "1.0.0", "name": name, "plugins": []any{map[string]any{
		"type": "patchbay", "bridge": bridge, "ipam": map[string]any{"type": "patchbay", "ranges": [][]map[string]string{{ranges}}},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(l.conf, name+".conflist"), string(text))
}

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// line is an object of ls -o json.
type line struct {
	Name, Network, ContainerID, IfName, Bridge, HostLink, Netns, Owner, State string
	Addresses                                                                 []string
}

func (l *laptop) list(t testing.TB, args ...string) []line {
	t.Helper()
	var lines []line
	if err := json.Unmarshal([]byte(l.ok(t, append([]string{"ls", "-o", "json"}, args...)...)), &lines); err != nil {
		t.Fatal(err)
	}
	return lines
}

// states returns the states of all attachments by name.
func (l *laptop) states(t testing.TB) map[string]string {
	t.Helper()
	states := map[string]string{}
	for _, a := range l.list(t) {
		states[a.Name] = a.State
	}
	return states
}

// pins returns the names of the host's named namespaces.
func (l *laptop) pins(t testing.TB) []string {
	t.Helper()
	names := []string{}
	l.Do(func() {
		entries, err := os.ReadDir("/run/netns")
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			names = append(names, e.Name())
		}
	})
	return names
}

// in runs a program in a named namespace, with ip(8).
func (l *laptop) in(t testing.TB, name string, program ...string) string {
	t.Helper()
	return l.Run(t, "ip", append([]string{"netns", "exec", name}, program...)...)
}

// ping requires a reply to a named namespace.
func (l *laptop) ping(t testing.TB, from, to string) {
	t.Helper()
	l.in(t, from, "ping", "-n", "-c", "1", "-W", "5", to)
}

// sorted returns a sorted copy, to compare lists without regard to order.
func sorted(list []string) []string {
	list = slices.Clone(list)
	slices.Sort(list)
	return list
}

func addr(text string) netip.Addr { return netip.MustParseAddr(text) }

// until checks a condition at each link event, which is when the kernel has deleted a link.
func (l *laptop) until(t *testing.T, so func() bool) {
	t.Helper()
	updates, done := make(chan netlink.LinkUpdate, 1024), make(chan struct{})
	defer close(done)
	var err error
	l.Do(func() { err = netlink.LinkSubscribe(updates, done) })
	if err != nil {
		t.Fatal(err)
	}
	for !so() {
		if _, more := <-updates; !more {
			t.Fatal("no more events")
		}
	}
}
