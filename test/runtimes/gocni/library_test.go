package gocni

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/runtimes/inside"
)

const conflist = `{
  "cniVersion": "1.1.0",
  "name": "net%d",
  "plugins": [
    {
      "type": "patchbay",
      "bridge": "cni%[1]d",
      "isDefaultGateway": true,
      "ipMasq": true,
      "ipam": {"type": "patchbay", "ranges": [[{"subnet": "10.%[1]d.0.0/24"}], [{"subnet": "fd00:%[1]d::/64"}]]}
    }
  ]
}`

// networks is the number of networks of each container.
const networks = 3

// library is go-cni on a host.
type library struct {
	t    *testing.T
	host *nettest.Node
	run  *inside.Program
}

func newLibrary(t *testing.T) *library {
	t.Helper()
	h := nettest.Host(t)
	dir := t.TempDir()
	bin, confs := filepath.Join(dir, "bin"), filepath.Join(dir, "net.d")
	for _, made := range []string{bin, confs} {
		if err := os.Mkdir(made, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(nettest.Patchbay(t), filepath.Join(bin, "patchbay")); err != nil {
		t.Fatal(err)
	}
	for i := range networks {
		path := filepath.Join(confs, fmt.Sprintf("%d.conflist", 10+i))
		if err := os.WriteFile(path, fmt.Appendf(nil, conflist, i), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	l := &library{t: t, host: h, run: inside.Start(t, h)}
	if err := l.run.Ask(t, "load", setting{Bin: bin, Confs: confs, Networks: networks}, nil); err != nil {
		t.Fatal(err)
	}
	return l
}

// result is the part of the library's result that the tests read.
type result struct {
	Interfaces map[string]struct {
		IPConfigs []struct{ IP netip.Addr }
		Mac       string
		Sandbox   string
	}
}

// addresses returns the addresses of a container's interfaces, in the order of their families.
func (r result) addresses() map[string][]netip.Addr {
	out := map[string][]netip.Addr{}
	for name, i := range r.Interfaces {
		if !strings.HasPrefix(name, "eth") {
			continue
		}
		for _, ip := range i.IPConfigs {
			out[name] = append(out[name], ip.IP.Unmap())
		}
	}
	return out
}

func (l *library) setup(how string, s sandbox) map[string][]netip.Addr {
	l.t.Helper()
	var r result
	if err := l.run.Ask(l.t, how, s, &r); err != nil {
		l.t.Fatalf("%s: %v", how, err)
	}
	return r.addresses()
}

func (l *library) must(call string, s sandbox) {
	l.t.Helper()
	if err := l.run.Ask(l.t, call, s, nil); err != nil {
		l.t.Errorf("%s: %v", call, err)
	}
}

// TestSeveralNetworks: a container on three networks is set up concurrently and one by one, checked, reached by every
// address, and removed with its path, without one, and once more. Before each setup comes nerdctl's removal without a
// path.
//
// Claim: With `ctr run --cni`, and with nerdctl's removal before each ADD, a DEL without a namespace removes everything
// Claim: go-cni attaches three networks at once and one by one; Check reports differences, as do Status and a failed Setup, and Remove
// removes the rest
func TestSeveralNetworks(t *testing.T) {
	t.Parallel()
	l := newLibrary(t)
	l.must("status", sandbox{})
	for i, how := range []string{"setup", "serially", "setup", "serially"} {
		c := l.host.Container(fmt.Sprint("c", i))
		s, nowhere := sandbox{ID: c.ID(), Path: c.Path()}, sandbox{ID: c.ID()}
		l.must("remove", nowhere)
		got := l.setup(how, s)
		want := map[string][]netip.Addr{}
		for n := range networks {
			name := fmt.Sprint("eth", n)
			want[name] = []netip.Addr{netip.MustParseAddr(fmt.Sprintf("10.%d.0.%d", n, i+2)), netip.MustParseAddr(fmt.Sprintf("fd00:%d::%d", n, i+2))}
			for _, addr := range want[name] {
				if err := l.host.PingOnce(addr); err != nil {
					t.Errorf("%s: %v", how, err)
				}
			}
		}
		if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
			t.Errorf("%s (-want +got):\n%s", how, diff)
		}
		l.must("check", s)
		l.must("status", sandbox{})
		l.must("remove", []sandbox{s, nowhere}[i/2])
		l.must("remove", nowhere)
		l.host.NoLeaks(t)
	}
}

// TestCheckReports: the error of the library's Check names what is missing.
//
// Claim: go-cni attaches three networks at once and one by one; Check reports differences, as do Status and a failed Setup, and Remove
// removes the rest
func TestCheckReports(t *testing.T) {
	t.Parallel()
	l := newLibrary(t)
	c := l.host.Container("c")
	s := sandbox{ID: c.ID(), Path: c.Path()}
	l.setup("setup", s)
	c.Run(t, "ip", "address", "delete", "10.1.0.2/24", "dev", "eth1")
	err := l.run.Ask(t, "check", s, nil)
	if err == nil || !strings.Contains(err.Error(), "10.1.0.2/24") || !strings.Contains(err.Error(), "eth1") {
		t.Errorf("check of a container that has lost an address: %v", err)
	}
	l.must("remove", s)
}

// TestOneNetworkFails: if one of three networks fails, the setup fails, concurrently or one by one, and Status too;
// the removal removes the others. When the network works again, the setup succeeds.
//
// Claim: go-cni attaches three networks at once and one by one; Check reports differences, as do Status and a failed Setup, and Remove
// removes the rest
func TestOneNetworkFails(t *testing.T) {
	t.Parallel()
	l := newLibrary(t)
	l.host.Run(t, "ip", "link", "add", "cni1", "type", "veth", "peer", "name", "other")
	l.host.Baseline()
	c := l.host.Container("c")
	s := sandbox{ID: c.ID(), Path: c.Path()}
	for _, call := range []string{"status", "setup", "serially"} {
		if err := l.run.Ask(t, call, s, nil); err == nil || !strings.Contains(err.Error(), "cni1") {
			t.Errorf("%s without a bridge: %v", call, err)
		}
		l.must("remove", s)
		l.host.NoLeaks(t)
	}
	l.host.Run(t, "ip", "link", "delete", "cni1")
	l.host.Baseline()
	l.must("status", s)
	if got := l.setup("setup", s); !slices.Equal(got["eth1"], []netip.Addr{netip.MustParseAddr("10.1.0.2"), netip.MustParseAddr("fd00:1::2")}) {
		t.Errorf("addresses %v", got)
	}
	l.must("remove", s)
}
