package people

import (
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/expect"
)

// sleeper is a process in a network namespace of its own.
func (l *laptop) sleeper(t *testing.T) (pid string, end func()) {
	t.Helper()
	cmd := l.Command("unshare", "--net", "sh", "-c", "echo; exec sleep 1000")
	_, out := pipes(t, cmd)
	if !out.Scan() {
		t.Fatal("the process did not start")
	}
	return strconv.Itoa(cmd.Process.Pid), func() {
		_ = cmd.Process.Kill() // once: it is waited for
		_ = cmd.Wait()
	}
}

// TestAttachAndDetach by name, by PID and by path: each is one attachment, however it is called the
// second time, and in whatever way it is taken away.
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
			l.refused(t, []string{"attached already", "patchbay detach takes it away"}, "attach", other)
			expect.Equal(t, "attachments", len(l.list(t)), 1)
			expect.Contains(t, l.ok(t, "detach", other), other+": eth0 is off network patchbay, free: 10.77.0.")
			l.refused(t, []string{"has no eth0 that patchbay attach has made"}, "detach", word)
		}
	}
	expect.Equal(t, "namespaces", l.pins(t), []string{"web"})
	l.Run(t, "ip", "netns", "del", "web")
	l.Run(t, "umount", "/run/pins/web")
	end()
}

// TestContainerIDs are what README says, and one name is never two things.
func TestContainerIDs(t *testing.T) {
	t.Parallel()
	l := newLaptop(t)
	long := strings.Repeat("n", 100)
	for _, name := range []string{"web", "pid-1", long, "a b"} {
		l.Run(t, "ip", "netns", "add", name)
		l.ok(t, "attach", name)
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

// TestDetachOfWhatIsGone: a process has ended, a name was taken away; its record is there, and goes.
func TestDetachOfWhatIsGone(t *testing.T) {
	t.Parallel()
	l := newLaptop(t)
	pid, end := l.sleeper(t)
	l.ok(t, "attach", pid)
	end()
	l.Run(t, "ip", "netns", "add", "web")
	l.ok(t, "attach", "web")
	l.Run(t, "ip", "netns", "del", "web")
	expect.Contains(t, l.ok(t, "detach", pid), "free: 10.77.0.2/24")
	expect.Contains(t, l.ok(t, "detach", "web"), "free: 10.77.0.3/24")
	l.refused(t, []string{"there is no process " + pid + ": it is gone"}, "detach", pid)
	l.refused(t, []string{"there is no network namespace or LXC container web"}, "detach", "web")
}

// TestDetachOfAnEndedLXCContainer: its record is there, by the container's name.
func TestDetachOfAnEndedLXCContainer(t *testing.T) {
	t.Parallel()
	l := newLaptop(t)
	const dir = "/run/patchbay/patchbay/"
	l.ok(t, "up", "web")
	for _, word := range []string{"box", "lxc:box"} {
		l.Run(t, "sh", "-c", `sed -e 's/"containerID": "web"/"containerID": "lxc-box"/' -e 's/"hostLink": ".*"/"hostLink": "vethgone"/' \
			-e 's,/run/netns/web,/proc/0/ns/net,' -e 's/10.77.0.2/10.77.0.9/' `+dir+`web@eth0.json >`+dir+`lxc-box@eth0.json`)
		expect.Contains(t, l.ok(t, "detach", word), word+": eth0 is off network patchbay, free: 10.77.0.9/24")
	}
	expect.Equal(t, "states", l.states(t), map[string]string{"web": "up"})
	l.ok(t, "down", "web")
}

// TestTargetsThatAreNone: each with the sentence that helps.
func TestTargetsThatAreNone(t *testing.T) {
	t.Parallel()
	l := newLaptop(t)
	pid, end := l.sleeper(t)
	end()
	l.ok(t, "up", "web")
	for word, parts := range map[string][]string{
		pid:           {"there is no process " + pid, "gone"},
		"wbe":         {"there is no network namespace or LXC container wbe; did you mean web?"},
		"lxc:web":     {"there is no running LXC container web"},
		"/run/nosuch": {"there is no network namespace at /run/nosuch"},
		"/etc":        {"/etc is not a network namespace"},
	} {
		l.refused(t, parts, "attach", word)
	}
	here := l.Command("sh", "-c", "exec "+nettest.Patchbay(t)+" attach $$")
	here.Env = []string{"NETCONFPATH=" + l.conf}
	a := finish(t, here)
	expect.Equal(t, "exit for the host itself", a.exit, 1)
	expect.Contains(t, a.stderr, "is the host's own network namespace")
	l.refused(t, []string{"attach wants one target, got 0 arguments"}, "attach")
	l.refused(t, []string{`--ifname "a/b" cannot name an interface`}, "attach", "web", "--ifname", "a/b")
	l.refused(t, []string{"interface lo exists already in /run/netns/web"}, "attach", "web", "--ifname", "lo")
	l.ok(t, "down", "web")
}

// TestTwoThingsOfOneName: asks which. A namespace whose name is the number of a process.
func TestTwoThingsOfOneName(t *testing.T) {
	t.Parallel()
	l := newLaptop(t)
	pid, end := l.sleeper(t)
	l.Run(t, "ip", "netns", "add", pid)
	l.refused(t, []string{pid + " can mean netns:" + pid + " or pid:" + pid + ": say which"}, "attach", pid)
	l.ok(t, "attach", "pid:"+pid)
	l.ok(t, "attach", "netns:"+pid)
	states := l.states(t)
	expect.Equal(t, "states", states, map[string]string{pid: "up", "pid-" + pid: "up"})
	l.ok(t, "detach", "pid:"+pid)
	l.ok(t, "detach", "netns:"+pid)
	l.Run(t, "ip", "netns", "del", pid)
	end()
}

// TestRuntimesAndPeople: each leaves alone what the other has attached, also a GC of null.
func TestRuntimesAndPeople(t *testing.T) {
	t.Parallel()
	l := newLaptop(t)
	l.network(t, "net", "cni0", map[string]string{"subnet": "10.1.0.0/24"})
	const conf = `{"cniVersion": "1.1.0", "name": "net", "type": "patchbay", "bridge": "cni0", "ipam": {"type": "patchbay", "ranges": [[{"subnet": "10.1.0.0/24"}]]}`
	c := l.Container("pod")
	call := nettest.Call{Command: "ADD", ContainerID: c.ID(), Netns: c.Path(), IfName: "eth0", Config: []byte(conf + "}")}
	l.CNI(t, call).OK(t)
	l.ok(t, "up", "web")
	l.ok(t, "attach", "pod", "--ifname", "eth1")
	l.refused(t, []string{"eth0 of pod was attached to network net by a runtime: let that take it away"}, "detach", "pod")
	l.CNI(t, nettest.Call{Command: "GC", Config: []byte(conf + `, "cni.dev/valid-attachments": null}`)}).OK(t)
	expect.Equal(t, "owners", owners(l.list(t)), map[string]string{"web eth0": "cli up", "pod eth1": "cli up"})
	expect.Contains(t, l.ok(t, "down", "pod"), "pod: eth1 is off network net", "the namespace stays")
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

// TestWithoutPrivileges: the capability is named, and nothing is made. What root only may read is
// told as such.
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
		"ls":         "the records belong to root",
		"inspect x":  "the records belong to root",
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

// program is a copy that anybody may run, wherever the tree is.
func program(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs(filepath.Dir(nettest.Patchbay(t)))
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "patchbay")
}
