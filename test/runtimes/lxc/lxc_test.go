package lxc

import (
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// TestTwoContainers: two containers on the host's br0 reach each other and what is behind the LAN's router, which
// reaches them, with both versions of hooks. A container keeps address and MAC over stop and start, and over a reboot
// from inside; a GC of a runtime keeps it; when it is destroyed nothing is left, not even its sticky address.
//
// Claim/hook_version_0,hook_version_1: LXC 5.0.2, hook versions 0 and 1: two containers reach each other, the LAN's outside, and by
// masquerading the outside; destroyed, they leave nothing behind; with no network configured the default network is used
// Claim/hook_version_0,hook_version_1: An LXC container keeps address and MAC over stop and start, a reboot from inside and a kill, until
// it is destroyed; a runtime's GC keeps it
func TestTwoContainers(t *testing.T) {
	for version := range 2 {
		t.Run(fmt.Sprintf("hook version %d", version), func(t *testing.T) {
			t.Parallel()
			s := host(t)
			outside := s.h.LAN(t).Outside
			s.network("lan", lan())
			starts := s.starts()
			a, b := s.container("a"), s.container("b")
			for _, c := range []*container{a, b} {
				c.configure(hookVersion(version))
				c.enable()
				c.configure(starts.hook)
				c.start()
				expect.Equal(t, "LXC_TARGET", starts.next(), "first")
			}
			first := a.port()
			expect.Equal(t, "address", first.Address, "192.0.2.100")
			a.pings(b.port().Address)
			b.pings(first.Address)
			a.pings(nettest.LANOutside4)
			pings(t, outside, first.Address)
			a.stop()
			expect.Equal(t, "records", len(s.glob("/run/patchbay/lan/lxc-a-*")), 0)
			s.container("c").takesAnAddress()
			a.start()
			starts.next()
			expect.Equal(t, "after stop and start", a.port(), first)
			a.reboot(starts)
			expect.Equal(t, "after a reboot from inside", a.port(), first)
			s.gc("lan", lan())
			a.pings(nettest.LANOutside4)
			expect.Equal(t, "owner", strings.Contains(s.read(s.glob("/run/patchbay/lan/lxc-a-*")[0]), `"owner": "lxc"`), true)
			a.destroy()
			b.destroy()
			expect.Equal(t, "memory of addresses", s.glob("/var/lib/patchbay/sticky/lan/*-lxc-[ab]-*"), nil)
			expect.Equal(t, "memory of the first", s.glob("/var/lib/patchbay/sticky/lan/ip-"+first.Address), nil)
		})
	}
}

// takesAnAddress starts another container while one is stopped, and keeps it running.
func (c *container) takesAnAddress() {
	c.t.Helper()
	c.enable()
	c.start()
	if got := c.port().Address; got == "192.0.2.100" || got == "192.0.2.101" {
		c.t.Errorf("a third container gets %s, which is another one's", got)
	}
	c.t.Cleanup(c.destroy)
}

func pings(t *testing.T, n *nettest.Netns, address string) {
	t.Helper()
	to, err := netip.ParseAddr(address)
	if err == nil {
		err = n.PingOnce(to)
	}
	if err != nil {
		t.Errorf("%s pings %s: %v", n.Name(), address, err)
	}
}

// TestNAT: on a network of the host's own a container reaches the outside with the host's address.
//
// Claim: LXC 5.0.2, hook versions 0 and 1: two containers reach each other, the LAN's outside, and by masquerading the outside; destroyed,
// they leave nothing behind; with no network configured the default network is used
func TestNAT(t *testing.T) {
	t.Parallel()
	s := host(t)
	capture := s.h.LAN(t).Outside.Capture(t, "eth0")
	s.network("bridge", nat())
	a, b := s.container("a"), s.container("b")
	a.enable()
	b.enable("--ip", "10.88.7.7")
	a.start()
	b.start()
	expect.Equal(t, "address that was asked for", b.port().Address, "10.88.7.7")
	a.pings("10.88.7.7")
	a.pings(nettest.LANOutside4)
	echoes := capture.Stop(t).Where(func(f nettest.Frame) bool { return f.Src == netip.MustParseAddr(nettest.LANHost4) })
	if len(echoes) == 0 {
		t.Error("the outside sees nothing of the host")
	}
	a.destroy()
	b.destroy()
}

// TestPublishedByLXC: the ports that enable was given are published while the container runs, also after another
// start, and not after it has stopped.
//
// Claim: `-p` of `up`, `attach` and `lxc enable` accepts docker's syntax, refuses an invalid value by name before anything is created, and
// names the owner of a port in use; the port is reached from the host, from 127.0.0.1, from a neighbour and from the container itself
func TestPublishedByLXC(t *testing.T) {
	t.Parallel()
	s := host(t)
	network := nat()
	network["ipam"] = map[string]any{"type": "patchbay", "ranges": []any{
		[]any{map[string]any{"subnet": "10.88.0.0/16"}}, []any{map[string]any{"subnet": "2001:db8:88::/64"}},
	}}
	s.network("bridge", network)
	c := s.container("web")
	c.enable("--publish", "8080:80", "-p", "[2001:db8:88::1]:443:8443/udp")
	want := `HOST             PORT      TO                        NAME          NETWORK  STATE
2001:db8:88::1   443/udp   [2001:db8:88::2]:8443     lxc-web-0     bridge   ok
*                8080/tcp  10.88.0.2:80              lxc-web-0     bridge   ok
*                8080/tcp  [2001:db8:88::2]:80       lxc-web-0     bridge   ok`
	fields := func(table, name string) (all [][]string) {
		for line := range strings.Lines(table) {
			f := strings.Fields(line)
			if f[0] != "HOST" {
				f[3] = name // the name contains a hash of the path
			}
			all = append(all, f)
		}
		return all
	}
	for range 2 {
		c.start()
		expect.Equal(t, "ports", fields(s.patchbay("ports"), "web"), fields(want, "web"))
		c.stop()
		expect.Equal(t, "ports of one that stands still", s.patchbay("ports"), "no published ports\n")
	}
	c.destroy()
}

// TestHostsNetworkIsRefused: with lxc.net.0.type = none the container would be in the host's network namespace.
// Nothing is changed.
//
// Claim: A start of an LXC container that cannot be attached fails with the reason in LXC's log and leaves nothing behind; the host's own
// network is refused
func TestHostsNetworkIsRefused(t *testing.T) {
	t.Parallel()
	s := host(t)
	s.network("bridge", nat())
	c := s.container("c")
	c.configure("lxc.net.0.type = none")
	before := c.read(c.config())
	expect.Contains(t, s.refused("lxc", "enable", "c"), "lxc.net.0.type = none, the host's own network", "--force")
	expect.Equal(t, "configuration", c.read(c.config()), before)
	c.configure("lxc.hook.start-host = " + nettest.Patchbay(t) + " lxc-hook")
	expect.Contains(t, c.startFails(), "network namespace of the host", "lxc.net.0.type = empty instead of none", "Failed to run lxc.hook.start-host")
	s.h.Oracle(nettest.CleanHost)
	s.h.NoLeaks(t)
}

// TestSameNameInTwoPaths: containers of the same name in two directories are two attachments.
//
// Claim: Two LXC containers of one name in two directories are two attachments
func TestSameNameInTwoPaths(t *testing.T) {
	t.Parallel()
	s := host(t)
	s.network("bridge", nat())
	one, two := s.container("web"), s.containerIn("/var/lib/other", "web")
	one.enable()
	two.enable()
	one.start()
	two.start()
	expect.Equal(t, "records", len(s.glob("/run/patchbay/bridge/lxc-web-*")), 2)
	if a, b := one.port(), two.port(); a.Address == b.Address || a.MAC == b.MAC {
		t.Errorf("both have %v, %v", a, b)
	}
	two.pings(one.port().Address)
	two.destroy()
	expect.Equal(t, "records", len(s.glob("/run/patchbay/bridge/lxc-web-*")), 1)
	one.pings("10.88.0.1")
	one.destroy()
}

// TestFailedStartLogsReason: LXC's log has the error, because the hook prints it on stdout; the container does not
// start, and nothing is left.
//
// Claim: A start of an LXC container that cannot be attached fails with the reason in LXC's log and leaves nothing behind; the host's own
// network is refused
func TestFailedStartLogsReason(t *testing.T) {
	t.Parallel()
	s := host(t)
	c := s.container("c")
	c.configure("lxc.net.0.type = empty", "lxc.hook.start-host = "+nettest.Patchbay(t)+" lxc-hook --network lam")
	expect.Contains(t, c.startFails(), `no network "lam"; networks: patchbay (built in)`)
	s.network("bridge", nat())
	s.network("lan", lan())
	expect.Contains(t, c.startFails(), `no network "lam"; networks: bridge, lan, patchbay (built in); did you mean lan?`)
	c.configure("lxc.hook.start-host =", "lxc.hook.start-host = "+nettest.Patchbay(t)+" lxc-hook")
	expect.Contains(t, c.startFails(), "no network is given", confDir+" has several: pass --network with one of bridge, lan")
	s.h.Oracle(nettest.CleanHost)
	s.h.NoLeaks(t)
}

// TestWithoutAnyNetwork: if no network is configured, LXC uses the default network, which needs no file.
//
// Claim: LXC 5.0.2, hook versions 0 and 1: two containers reach each other, the LAN's outside, and by masquerading the outside; destroyed,
// they leave nothing behind; with no network configured the default network is used
func TestWithoutAnyNetwork(t *testing.T) {
	t.Parallel()
	s := host(t)
	c := s.container("c")
	c.enable()
	c.start()
	before := c.port()
	expect.Equal(t, "records", len(s.glob("/run/patchbay/patchbay/lxc-c-*")), 1)
	c.stop()
	c.start()
	expect.Equal(t, "address", c.port().Address, before.Address)
	c.destroy()
	s.h.NoLeaks(t)
}

// TestStopRemovesWhatTheRecordNames: after the start the network's file was removed, and there is another one.
//
// Claim: LXC's stop cleans up by the record, with the namespace or without, whatever became of the network's file
func TestStopRemovesWhatTheRecordNames(t *testing.T) {
	t.Parallel()
	s := host(t)
	s.network("bridge", nat())
	c := s.container("c")
	c.configure("lxc.net.0.type = empty")
	for _, hook := range []string{"start-host", "stop"} {
		c.configure("lxc.hook." + hook + " = " + nettest.Patchbay(t) + " lxc-hook")
	}
	c.start()
	s.run("rm", confDir+"/bridge.conflist")
	s.network("lan", lan())
	c.stop()
	s.h.NoLeaks(t)
}

// TestKilled: a container that is killed together with LXC's monitor has no stop hook. It starts again with the same
// address; if it does not start again, the hook cleans up without a namespace.
//
// Claim: An LXC container keeps address and MAC over stop and start, a reboot from inside and a kill, until it is destroyed; a runtime's
// GC keeps it
// Claim: LXC's stop cleans up by the record, with the namespace or without, whatever became of the network's file
func TestKilled(t *testing.T) {
	t.Parallel()
	s := host(t)
	s.network("bridge", nat())
	c := s.container("c")
	c.enable()
	c.start()
	first := c.port()
	// The kernel destroys the namespace and the veth pair some time later, here not before the test allows it.
	pid := strings.TrimSpace(c.lxc("info", "-H", "-p"))
	s.run("sh", "-ec", "touch /run/unburied; mount --bind /proc/$0/ns/net /run/unburied", pid)
	c.kill()
	c.start()
	expect.Equal(t, "after a kill", c.port(), first)
	s.run("umount", "/run/unburied")
	c.kill()
	cmd := s.h.Command(nettest.Patchbay(t), "lxc-hook", "--network", "bridge")
	cmd.Env = []string{"LXC_HOOK_VERSION=1", "LXC_HOOK_TYPE=stop", "LXC_NAME=c", "LXC_CONFIG_FILE=" + c.config(), "LXC_NET_NS=/proc/1/fd/no"}
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("stop without a namespace: %v\n%s", err, out)
	}
	expect.Equal(t, "records", s.glob("/run/patchbay/bridge/*"), nil)
	c.destroy()
}

// kill kills monitor and init at once, and returns when the veth pair is deleted.
func (c *container) kill() {
	c.t.Helper()
	pid := strings.TrimSpace(c.lxc("info", "-H", "-p"))
	status, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		c.t.Fatal(err)
	}
	monitor := strings.Fields(string(status[strings.LastIndexByte(string(status), ')')+1:]))[1]
	c.run("kill", "-9", monitor, pid)
	c.lxc("wait", "-s", "STOPPED", "-t", "20")
}

// TestCalledByHand: the hook prints what it is for.
//
// Claim: The hook reports that it was called outside LXC, or for a process that no longer exists
func TestCalledByHand(t *testing.T) {
	t.Parallel()
	s := host(t)
	for name, call := range map[string]struct {
		env  []string
		args []string
		want string
	}{
		"nothing":         {nil, nil, "not called by LXC"},
		"another hook":    {[]string{"LXC_NAME=c"}, []string{"c", "lxc", "mount"}, "lxc.hook.mount: not called by LXC"},
		"no PID":          {[]string{"LXC_NAME=c"}, []string{"c", "lxc", "start-host"}, "LXC_PID is not set"},
		"a PID of nobody": {[]string{"LXC_NAME=c", "LXC_PID=4194999"}, []string{"c", "lxc", "start-host"}, "process 4194999 of container c (LXC_PID) has ended"},
	} {
		cmd := s.h.Command(nettest.Patchbay(t), append([]string{"lxc-hook"}, call.args...)...)
		cmd.Env = call.env
		if cmd.Env == nil {
			cmd.Env = []string{}
		}
		out, err := cmd.Output()
		if err == nil {
			t.Errorf("%s: no error", name)
		}
		expect.Contains(t, string(out), "patchbay: ", call.want)
	}
	s.h.Oracle(nettest.CleanHost)
	s.h.NoLeaks(t)
}
