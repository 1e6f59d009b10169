package verbs

import (
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// ip runs one ip(8) command.
func ip(t testing.TB, n *nettest.Netns, command string) string {
	t.Helper()
	return n.Run(t, "ip", strings.Fields(command)...)
}

// linkOf returns a link, which must exist.
func linkOf(t testing.TB, n *nettest.Netns, name string) netlink.Link {
	t.Helper()
	l, err := n.Netlink().LinkByName(name)
	if err != nil {
		t.Fatalf("%s in %s: %v", name, n.Name(), err)
	}
	return l
}

func hasLink(t testing.TB, n *nettest.Netns, name string) bool {
	t.Helper()
	_, err := n.Netlink().LinkByName(name)
	var missing netlink.LinkNotFoundError
	if err != nil && !errors.As(err, &missing) {
		t.Fatal(err)
	}
	return err == nil
}

func isUp(t testing.TB, n *nettest.Netns, name string) bool {
	t.Helper()
	return linkOf(t, n, name).Attrs().RawFlags&unix.IFF_UP != 0
}

// portsOf returns the names of a bridge's ports.
func portsOf(t testing.TB, n *nettest.Netns, bridge string) []string {
	t.Helper()
	index := linkOf(t, n, bridge).Attrs().Index
	all, err := n.Netlink().LinkList()
	if err != nil {
		t.Fatal(err)
	}
	var ports []string
	for _, l := range all {
		if l.Attrs().MasterIndex == index {
			ports = append(ports, l.Attrs().Name)
		}
	}
	return ports
}

// addressesOf returns the addresses of a link as text, without link-local ones that the kernel added.
func addressesOf(t testing.TB, n *nettest.Netns, link string) []string {
	t.Helper()
	var out []string
	for _, p := range n.Addresses(link) {
		out = append(out, p.String())
	}
	slices.Sort(out)
	return out
}

// route is a route of the kernel.
type route struct {
	Dst, GW                      string
	MTU, AdvMSS, Priority, Table int
	Scope                        int
	Onlink                       bool
}

// routesOf returns the routes of a link in every table, without those that the kernel added itself.
func routesOf(t testing.TB, n *nettest.Netns, link string) []route {
	t.Helper()
	filter := &netlink.Route{LinkIndex: linkOf(t, n, link).Attrs().Index, Table: unix.RT_TABLE_UNSPEC}
	list, err := n.Netlink().RouteListFiltered(netlink.FAMILY_ALL, filter, netlink.RT_FILTER_OIF|netlink.RT_FILTER_TABLE)
	if err != nil {
		t.Fatal(err)
	}
	var out []route
	for _, r := range list {
		if r.Protocol == unix.RTPROT_KERNEL {
			continue
		}
		one := route{
			Dst: r.Dst.String(), MTU: r.MTU, AdvMSS: r.AdvMSS, Priority: r.Priority, Table: r.Table,
			Scope: int(r.Scope), Onlink: r.Flags&int(netlink.FLAG_ONLINK) != 0,
		}
		if r.Gw != nil {
			one.GW = r.Gw.String()
		}
		out = append(out, one)
	}
	slices.SortFunc(out, func(a, b route) int { return strings.Compare(a.Dst+a.GW, b.Dst+b.GW) })
	return out
}

// ping requires a reply.
func ping(t testing.TB, n *nettest.Netns, to string) {
	t.Helper()
	if err := n.PingOnce(netip.MustParseAddr(to)); err != nil {
		t.Error(err)
	}
}

// files returns the contents of the files of a directory of the host by name; it returns none if there is no
// directory.
func files(t testing.TB, h *nettest.Node, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	h.Do(func() {
		entries, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		for _, e := range entries {
			if e.IsDir() {
				continue
			}
			text, err := os.ReadFile(filepath.Join(dir, e.Name()))
			if err != nil {
				t.Fatal(err)
			}
			out[e.Name()] = string(text)
		}
	})
	return out
}

// writeFile and removeAll work on the host's files.
func writeFile(t testing.TB, h *nettest.Node, path, text string) {
	t.Helper()
	h.Do(func() {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	})
}

func removeAll(t testing.TB, h *nettest.Node, paths ...string) {
	t.Helper()
	h.Do(func() {
		for _, path := range paths {
			if _, err := os.Lstat(path); err != nil {
				t.Fatalf("remove what is not there: %v", err)
			}
			if err := os.RemoveAll(path); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// Default paths of the state of an attachment.
func recordPath(a *attachment) string {
	return "/run/patchbay/" + a.conf["name"].(string) + "/" + a.id + "@" + a.ifname + ".json"
}

func addressDir(a *attachment) string { return "/run/patchbay/ipam/" + a.conf["name"].(string) }

// noLeaks checks with the oracle in the middle of a test.
func noLeaks(t testing.TB, h *nettest.Node) {
	t.Helper()
	if leaks := h.Leaks(); len(leaks) > 0 {
		t.Errorf("left behind:\n%s", strings.Join(leaks, "\n"))
	}
}

// linkGone waits until the kernel has deleted a link, which it does some time after the end of a namespace.
func linkGone(t testing.TB, n *nettest.Netns, name string) {
	t.Helper()
	updates, done := make(chan netlink.LinkUpdate, 64), make(chan struct{})
	defer close(done)
	var err error
	n.Do(func() { err = netlink.LinkSubscribe(updates, done) })
	if err != nil {
		t.Fatal(err)
	}
	if !hasLink(t, n, name) {
		return
	}
	for u := range updates {
		if u.Header.Type == unix.RTM_DELLINK && u.Link.Attrs().Name == name {
			return
		}
	}
	t.Fatalf("no more events while waiting for the end of %s", name)
}

// traced makes a call under strace and returns the lines of some system calls.
func traced(t *testing.T, h *nettest.Node, call nettest.Call, syscalls string) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "trace")
	call.Plugin = nettest.Script(t, "exec strace -f -qq -e trace="+syscalls+" -o "+out+" "+nettest.Patchbay(t))
	h.CNI(t, call).OK(t)
	trace, err := os.ReadFile(out)
	if err != nil || len(trace) == 0 {
		t.Fatalf("strace: %v, %d bytes", err, len(trace))
	}
	return string(trace)
}
