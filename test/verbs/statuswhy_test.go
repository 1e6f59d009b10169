package verbs

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// codeLimited is the code of STATUS if running containers are affected too.
const codeLimited = 51

// reason is a state in which every ADD fails: how to create it, what STATUS reports, and how to end it.
type reason struct {
	name    string
	conf    cni.Conf
	cause   func(*testing.T, *nettest.Node)
	code    uint
	msg     string
	details string
}

func link(target, path string) func(*testing.T, *nettest.Node) {
	return func(t *testing.T, h *nettest.Node) {
		t.Helper()
		h.Do(func() {
			if err := os.Symlink(target, path); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func file(path string) func(*testing.T, *nettest.Node) {
	return func(t *testing.T, h *nettest.Node) { t.Helper(); writeFile(t, h, path, "") }
}

// readOnly makes a file system read-only.
func readOnly(path string) func(*testing.T, *nettest.Node) {
	return func(t *testing.T, h *nettest.Node) {
		t.Helper()
		h.Run(t, "mkdir", "-p", path)
		h.Run(t, "mount", "-t", "tmpfs", "-o", "ro,mode=0755", "none", path)
	}
}

// shut makes a host that does not forward, with a read-only /proc/sys.
func shut(t *testing.T, h *nettest.Node) {
	t.Helper()
	h.SetSysctl("net/ipv4/ip_forward", "0")
	h.SetSysctl("net/ipv6/conf/all/forwarding", "0")
	h.Run(t, "mount", "--bind", "/proc/sys", "/proc/sys")
	h.Run(t, "mount", "-o", "remount,bind,ro", "/proc/sys")
}

func reasons() []reason {
	const written = "to writable directories"
	const remove = "remove it; only stateDir"
	n, state := cni.Network(cni.Pool("10.1.0.0/24")), func(path string) cni.Conf { return cni.Network(cni.Pool("10.1.0.0/24"), cni.Conf{"stateDir": path}) }
	shared := cni.Network(cni.IPAM(cni.Conf{"dataDir": "/run/shared", "ranges": [][]cni.Conf{{{"subnet": "10.1.0.0/24"}}}}))
	return []reason{
		{"a ready file that does not exist", n.With(cni.Conf{"readyFile": "/run/agent/ready"}), func(*testing.T, *nettest.Node) {}, 50, "ready file /run/agent/ready does not exist: the network of this host is not set up yet", "wait for the program that creates the file"},
		{"a ready file below a file", n.With(cni.Conf{"readyFile": "/run/file/ready"}), file("/run/file"), 50, "/run/file/ready: not a directory", "check the type and the parent directory of that path"},
		{"a state directory that cannot be written", state("/run/ro"), readOnly("/run/ro"), 50, "state directory /run/ro/net: write to /run/ro: read-only file system", written},
		{"a state directory that cannot be created", state("/run/ro/a/b"), readOnly("/run/ro"), 50, "state directory /run/ro/a/b/net: write to /run/ro: read-only file system", written},
		{"addresses that cannot be written", shared, readOnly("/run/shared"), 50, "state directory /run/shared/net: write to /run/shared: read-only file system", written},
		{"sticky addresses that cannot be written", everything(), readOnly("/var/lib/patchbay"), 50, "state directory /var/lib/patchbay/sticky/net: write to /var/lib/patchbay: read-only file system", written},
		{"a file for the state directory", state("/run/file"), file("/run/file"), 50, "/run/file/net: not a directory", "check the type and the parent directory of that path"},
		{"a broken symbolic link for the state directory", state("/run/link"), link("nowhere", "/run/link"), 50, "/run/link: no such file or directory", "check the type and the parent directory of that path"},
		{"a symbolic link for the records", n, link("/run", "/run/patchbay/net"), 50, "/run/patchbay/net: file not created by Patchbay: a symbolic link", remove},
		{"a file for the records", n, file("/run/patchbay/net"), 50, "/run/patchbay/net: file not created by Patchbay: a file", remove},
		{"a symbolic link for the addresses", n, link("/run", "/run/patchbay/ipam"), 50, "/run/patchbay/ipam: file not created by Patchbay: a symbolic link", remove},
		{"a file for the addresses", shared, file("/run/shared/net"), 50, "/run/shared/net: file not created by Patchbay: a file", remove},
		{"a veth of the bridge's name", n.With(cni.Conf{"bridge": "plain"}), func(_ *testing.T, h *nettest.Node) { h.Veth("plain", h.Netns, "wire") }, 50, "interface plain (veth): not a bridge", "set the key bridge to the name of a bridge"},
		{"no forwarding", n.With(cni.Gateway()), shut, 50, "IP forwarding is disabled and cannot be enabled: set net.ipv4.ip_forward to 1: read-only file system", "sysctl -w net.ipv4.ip_forward=1 as root of the host"},
		{"no IPv6 forwarding", cni.Network(cni.Gateway(), cni.Pool("fd00:1::/64")), shut, 50, "IP forwarding is disabled and cannot be enabled: set net.ipv6.conf.all.forwarding to 1: read-only file system", "sysctl -w net.ipv6.conf.all.forwarding=1 as root of the host"},
	}
}

// TestStatusReportsTheCause: STATUS reports why every ADD fails and how to fix it, and changes nothing; ADD fails too, unless
// the row says that it does not reach that point.
//
// Claim: STATUS changes nothing and says why every ADD would fail, with code 50 or 51 and the remedy
func TestStatusReportsTheCause(t *testing.T) {
	t.Parallel()
	for _, r := range reasons() {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			h := nettest.Host(t)
			c := h.Container("c")
			h.Run(t, "mkdir", "-p", "/run/patchbay", "/run/shared")
			status(t, h, cni.Network(cni.Pool("10.1.0.0/24"))).OK(t)
			r.cause(t, h)
			h.Baseline()
			before := h.Snapshot().String()
			e := status(t, h, r.conf).Error(t)
			expect.Equal(t, "code", e.Code, r.code)
			expect.Contains(t, e.Msg, "no container can be attached: ", r.msg)
			expect.Contains(t, e.Details, r.details)
			expect.Equal(t, "lines", strings.Count(e.Msg, "\n"), 0)
			expect.Equal(t, "picture", strings.Split(h.Snapshot().String(), "\n"), strings.Split(before, "\n"))
			h.NoOracle("ADD makes scaffolding before it fails")
			on(h, c, r.conf).run(t, "ADD").Error(t)
		})
	}
}

// TestStatusIsLimitedIfContainersAreAffected: the cause also cuts off running containers.
//
// Claim: STATUS returns code 50 or 51, with ADD's message, where every ADD fails, and 0 where ADD succeeds: for each state of bridge,
// kernel, files and pools
// Claim: STATUS changes nothing and says why every ADD would fail, with code 50 or 51 and the remedy
func TestStatusIsLimitedIfContainersAreAffected(t *testing.T) {
	t.Parallel()
	n := cni.Network(cni.Gateway(), cni.Pool("10.1.0.0/24"))
	for name, tc := range map[string]struct {
		cause, leave func(*testing.T, *nettest.Node)
		msg          string
	}{
		"forwarding was turned off": {shut, func(t *testing.T, h *nettest.Node) {
			h.Run(t, "umount", "/proc/sys")
			h.SetSysctl("net/ipv4/ip_forward", "1")
		}, "IP forwarding is disabled"},
		"the bridge is another one's": {func(t *testing.T, h *nettest.Node) {
			ip(t, h.Netns, "link del cni0")
			h.Veth("cni0", h.Netns, "wire")
		}, func(t *testing.T, h *nettest.Node) { ip(t, h.Netns, "link del cni0") }, "interface cni0 ("},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := nettest.Host(t)
			a, _ := attach(t, h, h.Container("c"), n)
			status(t, h, n).OK(t)
			tc.cause(t, h)
			e := status(t, h, n).Error(t)
			expect.Equal(t, "code", e.Code, codeLimited)
			expect.Contains(t, e.Msg, tc.msg)
			expect.Equal(t, "code of a network without containers", status(t, h, n.With(cni.Conf{"name": "other"})).Error(t).Code, codeNotReady)
			tc.leave(t, h)
			a.del(t)
		})
	}
}

// TestStatusWithoutForwarding: STATUS succeeds: the network does not need forwarding, or ADD would enable it.
//
// Claim: STATUS changes nothing and says why every ADD would fail, with code 50 or 51 and the remedy
func TestStatusWithoutForwarding(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	h.SetSysctl("net/ipv4/ip_forward", "0")
	status(t, h, cni.Network(cni.Gateway(), cni.Pool("10.1.0.0/24"))).OK(t)
	expect.Equal(t, "ip_forward", h.Sysctl("net/ipv4/ip_forward"), "0")
	shut(t, h)
	status(t, h, cni.Network(cni.Pool("10.1.0.0/24"))).OK(t)
	status(t, h, cni.Network(cni.Gateway())).OK(t)
	h.Run(t, "umount", "/proc/sys")
	h.SetSysctl("net/ipv4/ip_forward", "1")
	h.Run(t, "mount", "--bind", "-o", "ro", "/proc/sys", "/proc/sys")
	status(t, h, cni.Network(cni.Gateway(), cni.Pool("10.1.0.0/24"))).OK(t)
	h.Run(t, "umount", "/proc/sys")
	h.NoOracle("forwarding was set by hand")
}

// TestStatusOnFull: a pool without a free address is an error, or with "warn" a line on stderr; other causes stay
// errors.
//
// Claim: A full pool is code 50 only if no stale attachment holds an address; with `statusOnFull` `warn` it is a line on stderr
func TestStatusOnFull(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	n := cni.Network(cni.Pool("10.1.0.0/30"))
	warns := n.With(cni.Conf{"statusOnFull": "warn"})
	expect.Equal(t, "stderr of a pool with addresses", string(status(t, h, warns).OK(t).Stderr), "")
	c := h.Container("c")
	a, _ := attach(t, h, c, warns)
	for _, full := range []cni.Conf{n, n.With(cni.Conf{"statusOnFull": "error"}), n.With(cni.Conf{"statusOnFull": ""})} {
		e := status(t, h, full).Error(t)
		expect.Equal(t, "code", e.Code, codeNotReady)
		expect.Contains(t, e.Msg, "no IP addresses available in range set: 10.1.0.1-10.1.0.2")
		expect.Contains(t, e.Details, "add a range", "statusOnFull")
	}
	before := picture(t, h, c)
	answer := status(t, h, warns).OK(t)
	expect.Equal(t, "stderr", string(answer.Stderr), "patchbay: no IP addresses available in range set: 10.1.0.1-10.1.0.2; STATUS succeeds because statusOnFull is \"warn\"\n")
	expect.Equal(t, "picture", picture(t, h, c), before)
	macvlan := warns.With(cni.Conf{"type": "macvlan", "master": "eth0"})
	expect.Contains(t, string(status(t, h, macvlan).OK(t).Stderr), "STATUS succeeds because statusOnFull is")
	ip(t, h.Netns, "link set cni0 down")
	ip(t, h.Netns, "link set cni0 name taken")
	h.Veth("cni0", h.Netns, "wire")
	expect.Equal(t, "code of another reason", status(t, h, warns).Error(t).Code, codeLimited)
	ip(t, h.Netns, "link del cni0")
	ip(t, h.Netns, "link set taken name cni0")
	ip(t, h.Netns, "link set cni0 up")
	e := status(t, h, n.With(cni.Conf{"statusOnFull": "ignore"})).Error(t)
	expect.Equal(t, "code", e.Code, 7)
	expect.Contains(t, e.Msg, `statusOnFull: "ignore" is not known`)
	a.fails(t, "ADD", 100)
}

// TestStatusWritesNothing: with a full pool, a stale attachment and a torn file, STATUS opens no file for writing and
// sends only read requests to the kernel.
//
// Claim: STATUS changes nothing and says why every ADD would fail, with code 50 or 51 and the remedy
func TestStatusWritesNothing(t *testing.T) {
	nettest.Need(t, nettest.Tool("strace"))
	t.Parallel()
	h := nettest.Host(t)
	c := h.Container("c")
	a, _ := attach(t, h, c, few())
	attach(t, h, h.Container("d"), few())
	a.loseContainer(t, c)
	before := files(t, h, addressDir(a))
	trace := traced(t, h, nettest.Call{Command: "STATUS", Config: few().JSON(t)}, "%file,ftruncate,fchmod,fchown,write,sendto,sendmsg")
	for line := range strings.Lines(trace) {
		for _, call := range []string{"O_WRONLY", "O_RDWR", "O_CREAT", "mkdir", "unlink", "rename", "symlink", "truncate(", "chmod", "chown", "write(1", "RTM_NEW", "RTM_DEL", "RTM_SET"} {
			if strings.Contains(line, call) && !strings.Contains(line, "/dev/null") && !strings.Contains(line, "/sys/kernel/mm") {
				t.Errorf("STATUS: %s", line)
			}
		}
	}
	if !slices.Contains(strings.Fields(strings.ReplaceAll(trace, "(", " ")), "sendto") || !strings.Contains(trace, "RTM_GETLINK") {
		t.Errorf("strace saw no request to the kernel:\n%s", trace)
	}
	expect.Equal(t, "addresses", files(t, h, addressDir(a)), before)
	on(h, c, few()).run(t, "DEL").OK(t)
}
