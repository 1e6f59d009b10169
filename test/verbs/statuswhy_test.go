package verbs

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/expect"
)

// codeLimited is 50 where containers that run already suffer by the same.
const codeLimited = 51

// reason is why no ADD can pass: how it comes, what STATUS says of it, how it goes.
type reason struct {
	name    string
	conf    conf
	come    func(*testing.T, *nettest.Node)
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

// readOnly has a file system that cannot be written to.
func readOnly(path string) func(*testing.T, *nettest.Node) {
	return func(t *testing.T, h *nettest.Node) {
		t.Helper()
		h.Run(t, "mkdir", "-p", path)
		h.Run(t, "mount", "-t", "tmpfs", "-o", "ro", "none", path)
	}
}

// shut has a host that does not forward, and a /proc/sys that cannot be written to.
func shut(t *testing.T, h *nettest.Node) {
	t.Helper()
	h.SetSysctl("net/ipv4/ip_forward", "0")
	h.SetSysctl("net/ipv6/conf/all/forwarding", "0")
	h.Run(t, "mount", "--bind", "/proc/sys", "/proc/sys")
	h.Run(t, "mount", "-o", "remount,bind,ro", "/proc/sys")
}

func reasons() []reason {
	const written = "directory that can be written"
	const remove = "remove it; only stateDir"
	n, state := network(pool("10.1.0.0/24")), func(path string) conf { return network(pool("10.1.0.0/24"), conf{"stateDir": path}) }
	shared := network(ipam(conf{"dataDir": "/run/shared", "ranges": [][]conf{{{"subnet": "10.1.0.0/24"}}}}))
	return []reason{
		{"a state directory that cannot be written", state("/run/ro"), readOnly("/run/ro"), 50, "state directory /run/ro/net: write to /run/ro: read-only file system", written},
		{"a state directory that cannot be made", state("/run/ro/a/b"), readOnly("/run/ro"), 50, "state directory /run/ro/a/b/net: write to /run/ro: read-only file system", written},
		{"addresses that cannot be written", shared, readOnly("/run/shared"), 50, "state directory /run/shared/net: write to /run/shared: read-only file system", written},
		{"a memory that cannot be written", everything(), readOnly("/var/lib/patchbay"), 50, "state directory /var/lib/patchbay/sticky/net: write to /var/lib/patchbay: read-only file system", written},
		{"a file for the state directory", state("/run/file"), file("/run/file"), 50, "/run/file/net: not a directory", "look at the file that is named"},
		{"a link that leads nowhere", state("/run/link"), link("nowhere", "/run/link"), 50, "/run/link: no such file or directory", "look at the file that is named"},
		{"a link for the records", n, link("/run", "/run/patchbay/net"), 50, "/run/patchbay/net is no file or directory that Patchbay made, but a symbolic link", remove},
		{"a file for the records", n, file("/run/patchbay/net"), 50, "/run/patchbay/net is no file or directory that Patchbay made, but a file", remove},
		{"a link for the addresses", n, link("/run", "/run/patchbay/ipam"), 50, "/run/patchbay/ipam is no file or directory that Patchbay made, but a symbolic link", remove},
		{"a file for the addresses", shared, file("/run/shared/net"), 50, "/run/shared/net is no file or directory that Patchbay made, but a file", remove},
		{"no bridge but a cable", n.with(conf{"bridge": "plain"}), func(_ *testing.T, h *nettest.Node) { h.Veth("plain", h.Netns, "wire") }, 50, "interface plain is not a bridge but of type veth", "set the key bridge to another name"},
		{"no forwarding", n.with(gateway()), shut, 50, "the host does not forward, and cannot be told to: net.ipv4.ip_forward: read-only file system", "set it to 1 on the host"},
		{"no IPv6 forwarding", network(gateway(), pool("fd00:1::/64")), shut, 50, "the host does not forward, and cannot be told to: net.ipv6.conf.all.forwarding: read-only file system", "set it to 1 on the host"},
	}
}

// TestStatusSaysWhy no ADD could pass, with the fix, and changes nothing; and ADD fails too, but where it does not come so far.
func TestStatusSaysWhy(t *testing.T) {
	t.Parallel()
	for _, r := range reasons() {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			h := nettest.Host(t)
			c := h.Container("c")
			h.Run(t, "mkdir", "-p", "/run/patchbay", "/run/shared")
			status(t, h, network(pool("10.1.0.0/24"))).OK(t)
			r.come(t, h)
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

// TestStatusIsLimitedWhereContainersSuffer: what keeps an ADD from passing cuts off those that run.
func TestStatusIsLimitedWhereContainersSuffer(t *testing.T) {
	t.Parallel()
	n := network(gateway(), pool("10.1.0.0/24"))
	for name, tc := range map[string]struct {
		come, leave func(*testing.T, *nettest.Node)
		msg         string
	}{
		"forwarding was turned off": {shut, func(t *testing.T, h *nettest.Node) {
			h.Run(t, "umount", "/proc/sys")
			h.SetSysctl("net/ipv4/ip_forward", "1")
		}, "the host does not forward"},
		"the bridge is another one's": {func(t *testing.T, h *nettest.Node) {
			ip(t, h.Netns, "link del cni0")
			h.Veth("cni0", h.Netns, "wire")
		}, func(t *testing.T, h *nettest.Node) { ip(t, h.Netns, "link del cni0") }, "interface cni0 is not a bridge"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := nettest.Host(t)
			a, _ := attach(t, h, h.Container("c"), n)
			status(t, h, n).OK(t)
			tc.come(t, h)
			e := status(t, h, n).Error(t)
			expect.Equal(t, "code", e.Code, codeLimited)
			expect.Contains(t, e.Msg, tc.msg)
			expect.Equal(t, "code of a network without containers", status(t, h, n.with(conf{"name": "other"})).Error(t).Code, codeNotReady)
			tc.leave(t, h)
			a.del(t)
		})
	}
}

// TestStatusOfAHostThatNeedNotForward is good: nothing asks for it, or an ADD would turn it on.
func TestStatusOfAHostThatNeedNotForward(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	h.SetSysctl("net/ipv4/ip_forward", "0")
	status(t, h, network(gateway(), pool("10.1.0.0/24"))).OK(t)
	expect.Equal(t, "ip_forward", h.Sysctl("net/ipv4/ip_forward"), "0")
	shut(t, h)
	status(t, h, network(pool("10.1.0.0/24"))).OK(t)
	status(t, h, network(gateway())).OK(t)
	h.Run(t, "umount", "/proc/sys")
	h.SetSysctl("net/ipv4/ip_forward", "1")
	h.Run(t, "mount", "--bind", "-o", "ro", "/proc/sys", "/proc/sys")
	status(t, h, network(gateway(), pool("10.1.0.0/24"))).OK(t)
	h.Run(t, "umount", "/proc/sys")
	h.NoOracle("forwarding was set by hand")
}

// TestStatusOnFull: a pool without an address is an error, or with "warn" a line on stderr; what else is wrong stays an error.
func TestStatusOnFull(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	n := network(pool("10.1.0.0/30"))
	warns := n.with(conf{"statusOnFull": "warn"})
	expect.Equal(t, "stderr of a pool with addresses", string(status(t, h, warns).OK(t).Stderr), "")
	c := h.Container("c")
	a, _ := attach(t, h, c, warns)
	for _, full := range []conf{n, n.with(conf{"statusOnFull": "error"}), n.with(conf{"statusOnFull": ""})} {
		e := status(t, h, full).Error(t)
		expect.Equal(t, "code", e.Code, codeNotReady)
		expect.Contains(t, e.Msg, "no IP address is left in the ranges of network net")
		expect.Contains(t, e.Details, "add a range", "statusOnFull")
	}
	before := picture(t, h, c)
	answer := status(t, h, warns).OK(t)
	expect.Equal(t, "stderr", string(answer.Stderr), "patchbay: no IP address is left in the ranges of network net; ready all the same, as statusOnFull says\n")
	expect.Equal(t, "picture", picture(t, h, c), before)
	macvlan := warns.with(conf{"type": "macvlan", "master": "eth0"})
	expect.Contains(t, string(status(t, h, macvlan).OK(t).Stderr), "ready all the same")
	ip(t, h.Netns, "link set cni0 down")
	ip(t, h.Netns, "link set cni0 name taken")
	h.Veth("cni0", h.Netns, "wire")
	expect.Equal(t, "code of another reason", status(t, h, warns).Error(t).Code, codeLimited)
	ip(t, h.Netns, "link del cni0")
	ip(t, h.Netns, "link set taken name cni0")
	ip(t, h.Netns, "link set cni0 up")
	e := status(t, h, n.with(conf{"statusOnFull": "ignore"})).Error(t)
	expect.Equal(t, "code", e.Code, 7)
	expect.Contains(t, e.Msg, `statusOnFull: "ignore" is no answer to a full pool`)
	a.fails(t, "ADD", 100)
}

// TestStatusWritesNothing, though the pool is full, one has died, and a file is torn: it opens no file to write, and asks the
// kernel for nothing but what there is.
func TestStatusWritesNothing(t *testing.T) {
	nettest.Need(t, nettest.Tool("strace"))
	t.Parallel()
	h := nettest.Host(t)
	c := h.Container("c")
	a, _ := attach(t, h, c, few())
	attach(t, h, h.Container("d"), few())
	a.die(t, c)
	before := files(t, h, addressDir(a))
	trace := traced(t, h, nettest.Call{Command: "STATUS", Config: few().bytes(t)}, "%file,ftruncate,fchmod,fchown,write,sendto,sendmsg")
	for line := range strings.Lines(trace) {
		for _, deed := range []string{"O_WRONLY", "O_RDWR", "O_CREAT", "mkdir", "unlink", "rename", "symlink", "truncate(", "chmod", "chown", "write(1", "RTM_NEW", "RTM_DEL", "RTM_SET"} {
			if strings.Contains(line, deed) && !strings.Contains(line, "/dev/null") && !strings.Contains(line, "/sys/kernel/mm") {
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
