// Package names resolves the names of namespaces and containers, in namespaces and on the host.
package names

import (
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// TestMain runs more tests at once than there are processors, unless -parallel says otherwise.
func TestMain(m *testing.M) { expect.Main(m, 6) }

// site is a host with the program, and a directory of networks that is empty at first.
type site struct {
	*nettest.Node
	t    *testing.T
	conf string
}

func newSite(t *testing.T) *site {
	t.Helper()
	return &site{nettest.Host(t), t, t.TempDir()}
}

func (s *site) command(args ...string) *nettest.Cmd {
	s.t.Helper()
	cmd := s.Command(nettest.Patchbay(s.t), args...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "NETCONFPATH=" + s.conf, "LC_ALL=C.UTF-8"}
	return cmd
}

// run runs the program, and returns its exit status, and stdout and stderr in one text.
func (s *site) run(args ...string) (int, string) {
	s.t.Helper()
	out, err := s.command(args...).CombinedOutput()
	if err == nil {
		return 0, string(out)
	}
	return 1, string(out)
}

// ok requires success without a warning.
func (s *site) ok(args ...string) string {
	s.t.Helper()
	exit, out := s.run(args...)
	if exit != 0 || strings.Contains(out, "patchbay: ") {
		s.t.Fatalf("patchbay %s: exit %d\n%s", strings.Join(args, " "), exit, out)
	}
	return out
}

// warns requires success with warnings.
func (s *site) warns(want []string, args ...string) {
	s.t.Helper()
	exit, out := s.run(args...)
	expect.Equal(s.t, "exit of "+strings.Join(args, " "), exit, 0)
	expect.Contains(s.t, out, append([]string{"patchbay: warning: "}, want...)...)
}

// refused requires an error.
func (s *site) refused(want []string, args ...string) {
	s.t.Helper()
	exit, out := s.run(args...)
	expect.Equal(s.t, "exit of "+strings.Join(args, " "), exit, 1)
	expect.Contains(s.t, out, want...)
}

func (s *site) sh(script string) string {
	s.t.Helper()
	return s.Run(s.t, "sh", "-ec", script)
}

// network writes the file of a network with IPv4 and IPv6 addresses: 10.N.0.0/24 and 2001:db8:N::/64.
func (s *site) network(name string, n int) {
	s.t.Helper()
	text := fmt.Sprintf(`{"cniVersion": "1.0.0", "name": %q, "plugins": [{"type": "patchbay", "bridge": "br-%s", "isGateway": true,
		"ipam": {"type": "patchbay", "ranges": [[{"subnet": "10.%d.0.0/24"}], [{"subnet": "2001:db8:%d::/64"}]]}}]}`, name, name, n, n)
	if err := os.WriteFile(s.conf+"/"+name+".conflist", []byte(text), 0o644); err != nil {
		s.t.Fatal(err)
	}
}

// inside returns the addresses of a name in a namespace, sorted and separated by spaces, "" if it has none.
func (s *site) inside(netns, name string) string {
	s.t.Helper()
	return addresses(s.sh("ip netns exec " + netns + " getent ahosts " + name + " || true"))
}

// outside returns the addresses of a name on the host.
func (s *site) outside(name string) string {
	s.t.Helper()
	return addresses(s.sh("getent ahosts " + name + " || true"))
}

// addresses returns the addresses that getent prints for sockets of one type.
func addresses(out string) string {
	var found []netip.Addr
	for line := range strings.Lines(out) {
		words := strings.Fields(line)
		if len(words) < 2 || words[1] != "STREAM" {
			continue
		}
		if addr, err := netip.ParseAddr(words[0]); err == nil {
			found = append(found, addr)
		}
	}
	slices.SortFunc(found, netip.Addr.Compare)
	return strings.Trim(fmt.Sprint(found), "[]")
}

func hosts(netns string) string { return "/etc/netns/" + netns + "/hosts" }

func (s *site) read(path string) string { s.t.Helper(); return s.sh("cat " + path) }

// absent requires that no file exists.
func (s *site) absent(paths ...string) {
	s.t.Helper()
	for _, path := range paths {
		expect.Equal(s.t, path, s.sh("test ! -e "+path+" && test ! -L "+path+" || echo exists"), "")
	}
}
