package commands

import (
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// sleeper starts a process in a network namespace of its own.
func (l *laptop) sleeper(t *testing.T) (pid string, end func()) {
	t.Helper()
	cmd := l.Command("unshare", "--net", "sh", "-c", "echo; exec sleep 1000")
	_, out := pipes(t, cmd)
	if !out.Scan() {
		t.Fatal("the process did not start")
	}
	return strconv.Itoa(cmd.Process.Pid), func() {
		_ = cmd.Process.Kill() // Wait below reports the end
		_ = cmd.Wait()
	}
}

// TestAttachAndDetach: by name, by PID and by path. Each is one attachment, whatever form the second attach and the
// detach use.
//
// Claim: `attach` and `detach` accept name, PID, path and LXC name; each target has one container ID, also when it no longer exists, and
// two never share one
func TestAttachAndDetach(t *testing.T) {
	t.Parallel()
	l := newLaptop(t)
	l.Run(t, "ip", "netns", "add", "web")
	pid, end := l.sleeper(t)
	l.Run(t, "mkdir", "/run/pins")
	l.Run(t, "touch", "/run/pins/web")
	l.Run(t, "unshare", "--net", "mount", "--bind", "/proc/self/ns/net", "/run/pins/web")
	for _, words := range [][]string{
		{"web", "netns:web", "/run/netns/web", "/run/pins/../netns/web"},
		{pid, "pid:" + pid, "/proc/" + pid + "/ns/net"},
		{"/run/pins/web", "/run//pins/web"},
	} {
		for i, word := range words {
			expect.Contains(t, l.ok(t, "attach", word), word+": eth0 10.77.0.", "bridge patchbay0, network patchbay")
			other := words[(i+1)%len(words)]
			l.refused(t, []string{"already attached", "run patchbay detach first"}, "attach", other)
			expect.Equal(t, "attachments", len(l.list(t)), 1)
			expect.Contains(t, l.ok(t, "detach", other), other+": eth0 detached from network patchbay, released 10.77.0.")
			l.refused(t, []string{"has no eth0 that patchbay attach created"}, "detach", word)
		}
	}
	expect.Equal(t, "namespaces", l.pins(t), []string{"web"})
	l.Run(t, "ip", "netns", "del", "web")
	l.Run(t, "umount", "/run/pins/web")
	end()
}

// TestContainerIDs: they have the documented form, and two targets never share one.
//
// Claim: `attach` and `detach` accept name, PID, path and LXC name; each target has one container ID, also when it no longer exists, and
// two never share one
func TestContainerIDs(t *testing.T) {
	t.Parallel()
	l := newLaptop(t)
	long := strings.Repeat("n", 100)
	for _, name := range []string{"web", "pid-1", long, "a b"} {
		l.Run(t, "ip", "netns", "add", name)
		expect.Equal(t, "exit", l.run(t, "attach", name).exit, 0) // two of them are no host names, which attach reports
	}
	ids := map[string]string{}
	for _, a := range l.list(t) {
		ids[a.Name] = a.ContainerID
		if len(a.ContainerID) > 64 {
			t.Errorf("%s has a container ID of %d bytes", a.Name, len(a.ContainerID))
		}
	}
	expect.Equal(t, "ID of web", ids["web"], "web")
	for name, start := range map[string]string{"pid-1": "netns-pid-1-", long: "netns-nnn", "a b": "netns-a_b-"} {
		expect.Contains(t, ids[name], start)
		l.ok(t, "detach", name)
	}
	l.ok(t, "detach", "web")
	for _, name := range []string{"web", "pid-1", long, "a b"} {
		l.Run(t, "ip", "netns", "del", name)
	}
}

// TestDetachAfterEnd: the process has ended, or the name was deleted; detach removes the record.
//
// Claim: `attach` and `detach` accept name, PID, path and LXC name; each target has one container ID, also when it no longer exists, and
// two never share one
func TestDetachAfterEnd(t *testing.T) {
	t.Parallel()
	l := newLaptop(t)
	pid, end := l.sleeper(t)
	l.ok(t, "attach", pid)
	end()
	l.Run(t, "ip", "netns", "add", "web")
	l.ok(t, "attach", "web")
	l.Run(t, "ip", "netns", "del", "web")
	expect.Contains(t, l.ok(t, "detach", pid), "released 10.77.0.2/24")
	expect.Contains(t, l.ok(t, "detach", "web"), "released 10.77.0.3/24")
	l.refused(t, []string{"process " + pid + " not found"}, "detach", pid)
	l.refused(t, []string{"network namespace or LXC container web not found"}, "detach", "web")
}

// TestDetachOfAnEndedLXCContainer: detach finds the record by the container's name.
//
// Claim: `attach` and `detach` accept name, PID, path and LXC name; each target has one container ID, also when it no longer exists, and
// two never share one
func TestDetachOfAnEndedLXCContainer(t *testing.T) {
	t.Parallel()
	l := newLaptop(t)
	const dir = "/run/patchbay/patchbay/"
	l.ok(t, "up", "web")
	for _, word := range []string{"box", "lxc:box"} {
		l.Run(t, "sh", "-c", `sed -e 's/"containerID": "web"/"containerID": "lxc-box"/' -e 's/"hostLink": ".*"/"hostLink": "vethgone"/' \
			-e 's,/run/netns/web,/proc/0/ns/net,' -e 's,patchbay/web/eth0,patchbay/lxc-box/eth0,' -e 's/10.77.0.2/10.77.0.9/' `+dir+`web@eth0.json >`+dir+`lxc-box@eth0.json`)
		expect.Contains(t, l.ok(t, "detach", word), word+": eth0 detached from network patchbay, released 10.77.0.9/24")
	}
	expect.Equal(t, "states", l.states(t), map[string]string{"web": "up"})
	l.ok(t, "down", "web")
}

// TestInvalidTargets: each error says what the argument is and what to pass instead.
//
// Claim: An error for a target that does not exist, or that is ambiguous, suggests what may have been meant; missing privileges are
// reported
func TestInvalidTargets(t *testing.T) {
	t.Parallel()
	l := newLaptop(t)
	pid, end := l.sleeper(t)
	end()
	l.ok(t, "up", "web")
	for word, parts := range map[string][]string{
		pid:           {"process " + pid + " not found"},
		"wbe":         {"network namespace or LXC container wbe not found; did you mean web?"},
		"lxc:web":     {"running LXC container web not found"},
		"/run/nosuch": {"network namespace /run/nosuch not found"},
		"/etc":        {"/etc: not a network namespace"},
	} {
		l.refused(t, parts, "attach", word)
	}
	here := l.Command("sh", "-c", "exec "+nettest.Patchbay(t)+" attach $$")
	here.Env = []string{"NETCONFPATH=" + l.conf}
	a := finish(t, here)
	expect.Equal(t, "exit for the host itself", a.exit, 1)
	expect.Contains(t, a.stderr, "network namespace of the host")
	l.refused(t, []string{"attach needs one target, got 0 arguments"}, "attach")
	l.refused(t, []string{`--interface "a/b" cannot name an interface`}, "attach", "web", "--ifname", "a/b")
	l.refused(t, []string{"interface lo in /run/netns/web: name already in use"}, "attach", "web", "--ifname", "lo")
	l.ok(t, "down", "web")
}

// TestAmbiguousName: the error lists the candidates. One is a namespace whose name is the number of a process.
//
// Claim: An error for a target that does not exist, or that is ambiguous, suggests what may have been meant; missing privileges are
// reported
func TestAmbiguousName(t *testing.T) {
	t.Parallel()
	l := newLaptop(t)
	pid, end := l.sleeper(t)
	l.Run(t, "ip", "netns", "add", pid)
	l.refused(t, []string{"ambiguous name " + pid + ": use netns:" + pid + " or pid:" + pid}, "attach", pid)
	l.ok(t, "attach", "pid:"+pid)
	expect.Contains(t, l.run(t, "attach", "netns:"+pid).stderr, "warning: "+pid+" is not a host name")
	states := l.states(t)
	expect.Equal(t, "states", states, map[string]string{pid: "up", "pid-" + pid: "up"})
	l.ok(t, "detach", "pid:"+pid)
	l.ok(t, "detach", "netns:"+pid)
	l.Run(t, "ip", "netns", "del", pid)
	end()
}

// TestRuntimesAndCommands: runtimes and commands keep each other's attachments, also in a GC with null.
//
// Claim: Runtimes and commands keep each other's attachments, also a runtime's GC of null
func TestRuntimesAndCommands(t *testing.T) {
	t.Parallel()
	l := newLaptop(t)
	l.network(t, "net", "cni0", map[string]string{"subnet": "10.1.0.0/24"})
	const conf = `{"cniVersion": "1.1.0", "name": "net", "type": "patchbay", "bridge": "cni0", "ipam": {"type": "patchbay", "ranges": [[{"subnet": "10.1.0.0/24"}]]}`
	c := l.Container("pod")
	call := nettest.Call{Command: "ADD", ContainerID: c.ID(), Netns: c.Path(), IfName: "eth0", Config: []byte(conf + "}")}
	l.CNI(t, call).OK(t)
	l.ok(t, "up", "web", "--network", "net")
	l.ok(t, "attach", "pod", "--network", "net", "--ifname", "eth1")
	l.refused(t, []string{"eth0 of pod was attached to network net by a runtime: delete the container with the runtime"}, "detach", "pod")
	l.CNI(t, nettest.Call{Command: "GC", Config: []byte(conf + `, "cni.dev/valid-attachments": null}`)}).OK(t)
	expect.Equal(t, "owners", owners(l.list(t)), map[string]string{"web eth0": "cli up", "pod eth1": "cli up"})
	expect.Contains(t, l.ok(t, "down", "pod"), "pod: eth1 detached from network net", "namespace kept")
	l.CNI(t, call).OK(t)
	l.ok(t, "down", "web")
	expect.Equal(t, "owners", owners(l.list(t)), map[string]string{c.ID() + " eth0": "cni up"})
	call.Command = "DEL"
	l.CNI(t, call).OK(t)
}

func owners(lines []line) map[string]string {
	all := map[string]string{}
	for _, a := range lines {
		all[a.Name+" "+a.IfName] = a.Owner + " " + a.State
	}
	return all
}

// TestWithoutPrivileges: the error names the missing capability, and nothing is created. For files that only root may
// read the error says that.
//
// Claim: An error for a target that does not exist, or that is ambiguous, suggests what may have been meant; missing privileges are
// reported
// Claim: `patchbay doctor` finds nothing on a correct host, and each single fault on others; the command it prints fixes it: forwarding,
// lost rules, ports of the host's sockets, routes, br_netfilter, MTUs, bridges and host interfaces
func TestWithoutPrivileges(t *testing.T) {
	t.Parallel()
	l := newLaptop(t)
	l.ok(t, "up", "web")
	for command, want := range map[string]string{
		"up db":      "up needs CAP_NET_ADMIN and CAP_SYS_ADMIN, which this process does not have: run it as root (sudo patchbay up)",
		"down web":   "down needs CAP_NET_ADMIN and CAP_SYS_ADMIN",
		"attach web": "attach needs CAP_NET_ADMIN and CAP_SYS_ADMIN",
		"detach web": "detach needs CAP_NET_ADMIN",
		"gc":         "gc needs CAP_NET_ADMIN",
		"ports":      "ports needs CAP_NET_ADMIN",
		"doctor":     "doctor needs CAP_NET_ADMIN",
		"ls":         "run it as root, who owns the records",
		"inspect x":  "run it as root, who owns the records",
	} {
		cmd := l.Command("setpriv", append([]string{"--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all", program(t)}, strings.Fields(command)...)...)
		cmd.Env = []string{"NETCONFPATH=" + l.conf}
		a := finish(t, cmd)
		expect.Equal(t, "exit of "+command, a.exit, 1)
		expect.Contains(t, a.stderr, want)
	}
	expect.Equal(t, "states", l.states(t), map[string]string{"web": "up"})
	l.ok(t, "down", "web")
}

// program returns a copy that every user may execute, whatever the permissions of the build directory are.
func program(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs(filepath.Dir(nettest.Patchbay(t)))
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "patchbay")
}
