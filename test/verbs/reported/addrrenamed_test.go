package reported

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

const oneAddress = `{"cniVersion": "1.1.0", "name": "net", "type": "patchbay", "bridge": "cni0", "isGateway": true, "ipam": {"type": "patchbay",
	"ranges": [[{"subnet": "10.1.2.0/24", "rangeEnd": "10.1.2.2"}]]}}`

// rename gives the host interface of the only attachment another name, as an administrator or udev does.
func (n *addrNode) rename(t *testing.T, name string) (old string) {
	t.Helper()
	for line := range strings.Lines(n.Run(t, "ip", "-brief", "link", "show", "type", "veth")) {
		if link, _, _ := strings.Cut(strings.Fields(line)[0], "@"); strings.HasPrefix(link, "veth") && len(link) == 15 {
			old = link
		}
	}
	n.Run(t, "ip", "link", "set", old, "name", name)
	return old
}

func (n *addrNode) noLink(t *testing.T, name string) {
	t.Helper()
	if _, err := n.Netlink().LinkByName(name); err == nil {
		t.Errorf("%s is still there", name)
	}
}

func renamedPoolFull(t *testing.T) {
	n := newAddrNode(t)
	n.gets(t, "web", oneAddress, "10.1.2.2/24")
	n.rename(t, "renamed")
	n.refused(t, "two", oneAddress, "", 11, "no IP addresses available in range set: 10.1.2.1-10.1.2.2")
	n.refused(t, "two", oneAddress, "IP=10.1.2.2", 7, "requested IP address 10.1.2.2 is taken by web/eth0")
	n.reaches(t, "web", "10.1.2.1")
	n.del(t, "web", oneAddress)
	n.noLink(t, "renamed")
	n.gets(t, "two", oneAddress, "10.1.2.2/24")
	n.del(t, "two", oneAddress)
}

// renamedWithoutPath: a process holds the namespace, whose path no longer exists, so that the peer of the host
// interface cannot be looked up.
func renamedWithoutPath(t *testing.T) {
	n := newAddrNode(t)
	n.gets(t, "web", oneAddress, "10.1.2.2/24")
	n.rename(t, "renamed")
	c := n.container("web")
	sleep := c.Command("sleep", "60")
	sleep.SysProcAttr = &syscall.SysProcAttr{} // it outlives the thread that starts it
	if err := sleep.Start(); err != nil {
		t.Fatal(err)
	}
	path := c.Path()
	c.Delete()
	n.refused(t, "two", oneAddress, "", 11, "no IP addresses available")
	n.CNI(t, nettest.Call{Command: "DEL", ContainerID: "web", Netns: path, IfName: "eth0", Config: []byte(oneAddress)}).OK(t)
	n.noLink(t, "renamed")
	_ = sleep.Process.Kill()
	_ = sleep.Wait()
}

// renamedGC: the runtime no longer lists the attachment. Without a record only the alias identifies it.
func renamedGC(t *testing.T) {
	n := newAddrNode(t)
	for _, recorded := range []bool{true, false} {
		n.gets(t, "web", oneAddress, "10.1.2.2/24")
		n.rename(t, "renamed")
		if !recorded {
			n.Do(func() {
				if err := os.Remove("/run/patchbay/net/web@eth0.json"); err != nil {
					t.Error(err)
				}
			})
		}
		n.CNI(t, nettest.Call{Command: "GC", Config: []byte(addrWith(oneAddress, `"cni.dev/valid-attachments": []`))}).OK(t)
		n.noLink(t, "renamed")
		delete(n.prev, "web")
	}
}

func renamedCommands(t *testing.T) {
	n := newAddrNode(t)
	n.gets(t, "web", oneAddress, "10.1.2.2/24")
	old := n.rename(t, "renamed")
	if a := n.patchbay(t, "gc"); a.Exit != 0 || strings.Contains(string(a.Stdout), "web") {
		t.Errorf("gc: %s", a)
	}
	if a := n.patchbay(t, "ls"); strings.Count(string(a.Stdout), "web") != 1 || !strings.Contains(string(a.Stdout), " up") {
		t.Errorf("ls: %s", a)
	}
	if a := n.patchbay(t, "show"); !hasAll(string(a.Stdout), "renamed was renamed; its record has "+old) {
		t.Errorf("show: %s", a)
	}
	if a := n.patchbay(t, "doctor"); strings.Contains(string(a.Stdout), "does not exist") || strings.Contains(string(a.Stdout), "unreachable") {
		t.Errorf("doctor: %s", a)
	}
	n.says(t, n.addAs(t, "web", oneAddress, ""), 100, "already attached")
	n.says(t, n.check(t, "web", oneAddress), 106, "host link "+old+" was renamed to renamed")
	n.reaches(t, "web", "10.1.2.1")
	n.del(t, "web", oneAddress)
	n.noLink(t, "renamed")
}

// renamedRules: the rules of an isolated container match the name of the bridge port. Reload builds them for the new name, and
// DEL removes them.
func renamedRules(t *testing.T) {
	n := newAddrNode(t)
	conf := addrWith(oneAddress, `"ipMasq": true, "ingressPolicy": "isolated"`)
	n.gets(t, "web", conf, "10.1.2.2/24")
	n.rename(t, "renamed")
	if a := n.patchbay(t, "reload"); a.Exit != 0 {
		t.Fatal(a)
	}
	if rules := n.Run(t, "nft", "list", "ruleset"); !strings.Contains(rules, `"renamed"`) {
		t.Errorf("no rule is about the name that the port has now:\n%s", rules)
	}
	n.del(t, "web", conf)
	if rules := n.Run(t, "nft", "list", "ruleset"); strings.Contains(rules, "net/web/eth0") {
		t.Errorf("DEL left elements:\n%s", rules)
	}
}

func renamedChained(t *testing.T) {
	n := newAddrNode(t)
	n.Bridge("br0")
	c := n.container("web")
	n.Veth("tap0", c.Netns, "eth0")
	conf := addrWith(addrAdopting(`"ranges": [[{"subnet": "192.0.2.0/24", "rangeEnd": "192.0.2.2"}]]`),
		`"prevResult": {"cniVersion": "1.0.0", "interfaces": [{"name": "tap0"}, {"name": "eth0", "sandbox": "`+c.Path()+`"}]}`)
	n.gets(t, "web", conf, "192.0.2.2/24")
	n.Run(t, "ip", "link", "set", "tap0", "down")
	n.Run(t, "ip", "link", "set", "tap0", "name", "tap9")
	n.refused(t, "two", addrAdopting(`"ranges": [[{"subnet": "192.0.2.0/24", "rangeEnd": "192.0.2.2"}]]`), "", 11, "no IP addresses available")
	n.del(t, "web", conf)
	if show := n.Run(t, "ip", "link", "show", "tap9"); strings.Contains(show, "master br0") {
		t.Errorf("DEL left the renamed interface in the bridge:\n%s", show)
	}
	n.Run(t, "ip", "link", "del", "tap9")
}

// nested is a network namespace that acts as a host, with the state directory of this host.
type nested struct {
	*addrNode
	name string
}

func (n *addrNode) nest(t *testing.T, name string) *nested {
	t.Helper()
	n.Run(t, "ip", "netns", "add", name)
	return &nested{n, name}
}

// add attaches a container there.
func (n *nested) add(t *testing.T, id, netns, conf string) {
	t.Helper()
	var stdout bytes.Buffer
	cmd := n.Command("ip", "netns", "exec", n.name, nettest.Patchbay(t))
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "CNI_COMMAND=ADD", "CNI_CONTAINERID=" + id, "CNI_NETNS=" + netns, "CNI_IFNAME=eth0", "CNI_ARGS=",
		"CNI_PATH=" + filepath.Dir(nettest.Patchbay(t)),
	}
	cmd.Stdin, cmd.Stdout = strings.NewReader(conf), &stdout
	if err := cmd.Run(); err != nil {
		t.Fatalf("ADD in %s: %v: %s", n.name, err, stdout.Bytes())
	}
}

// eventually repeats a call until it has the wanted outcome, for at most 20 s. Whether a namespace still exists is only certain if
// every process of the machine could be read, and one that begins or ends meanwhile cannot: then an attachment counts as live.
func eventually(call func() bool) {
	for end := time.Now().Add(20 * time.Second); !call() && time.Now().Before(end); {
		time.Sleep(50 * time.Millisecond)
	}
}

// getsOnceStale is gets, as soon as the attachment that has the address is stale.
func (n *addrNode) getsOnceStale(t *testing.T, name, conf, addresses string) {
	t.Helper()
	var a nettest.Answer
	eventually(func() bool {
		a = n.addAs(t, name, conf, "")
		return a.Exit == 0
	})
	n.got(t, name, a, addresses)
}

// nestedGone: after host and container no longer exist, the attachment is removed and its address can be assigned.
func nestedGone(t *testing.T) {
	n := newAddrNode(t)
	node := n.nest(t, "node")
	n.Run(t, "ip", "netns", "add", "inner")
	node.add(t, "web", "/run/netns/inner", oneAddress)
	n.refused(t, "web", oneAddress, "", 101, "container ID in use")
	n.Run(t, "ip", "netns", "del", "inner")
	n.Run(t, "ip", "netns", "del", "node")
	n.getsOnceStale(t, "web", oneAddress, "10.1.2.2/24")
	n.del(t, "web", oneAddress)
}

func nestedGoneGC(t *testing.T) {
	n := newAddrNode(t)
	node := n.nest(t, "node")
	n.Run(t, "ip", "netns", "add", "inner")
	node.add(t, "web", "/run/netns/inner", oneAddress)
	n.Run(t, "ip", "netns", "del", "inner")
	if a := n.patchbay(t, "gc"); strings.Contains(string(a.Stdout), "net/web/eth0") {
		t.Errorf("gc removed an attachment of a host that is still there: %s", a)
	}
	n.Run(t, "ip", "netns", "del", "node")
	var a nettest.Answer
	eventually(func() bool {
		a = n.patchbay(t, "gc")
		return a.Exit != 0 || strings.Contains(string(a.Stdout), "net/web/eth0")
	})
	if a.Exit != 0 || !hasAll(string(a.Stdout), "net/web/eth0", "10.1.2.2") {
		t.Errorf("gc: %s", a)
	}
	n.has(t, "/run/patchbay/ipam/net", "last_reserved_ip.0 lock")
}

// nestedGoneFull: an ADD that finds no address reclaims that of an attachment whose host no longer exists.
func nestedGoneFull(t *testing.T) {
	n := newAddrNode(t)
	node := n.nest(t, "node")
	n.Run(t, "ip", "netns", "add", "inner")
	node.add(t, "web", "/run/netns/inner", oneAddress)
	n.refused(t, "two", oneAddress, "", 11, "no IP addresses available")
	if e := n.status(t, oneAddress).Error(t); e.Code != 50 {
		t.Errorf("STATUS of a full pool: %v", e)
	}
	n.Run(t, "ip", "netns", "del", "inner")
	n.Run(t, "ip", "netns", "del", "node")
	eventually(func() bool { return n.status(t, oneAddress).Exit == 0 })
	n.getsOnceStale(t, "two", oneAddress, "10.1.2.2/24")
	n.del(t, "two", oneAddress)
}

// nestedHeld: no path leads to the host's namespace any more, but a process, an open file or a mount elsewhere keeps
// it.
func nestedHeld(t *testing.T) {
	for _, hold := range [][]string{
		{"ip", "netns", "exec", "node", "sleep", "60"},
		{"sh", "-c", "exec 9</run/netns/node; exec sleep 60"},
		{"unshare", "-m", "--propagation", "private", "sh", "-c", "touch '/run/held here' && mount --bind /run/netns/node '/run/held here' && exec sleep 60"},
	} {
		n := newAddrNode(t)
		node := n.nest(t, "node")
		n.Run(t, "ip", "netns", "add", "inner")
		node.add(t, "web", "/run/netns/inner", oneAddress)
		holder := n.Command(hold[0], hold[1:]...)
		holder.Stdout = nil
		if err := holder.Start(); err != nil {
			t.Fatal(err)
		}
		n.awaitSleep(t, holder.Process.Pid)
		n.Run(t, "ip", "netns", "del", "inner")
		n.Run(t, "ip", "netns", "del", "node")
		n.refused(t, "web", oneAddress, "", 101, "container ID in use")
		_ = holder.Process.Kill()
		_ = holder.Wait()
		n.getsOnceStale(t, "web", oneAddress, "10.1.2.2/24")
		n.del(t, "web", oneAddress)
	}
}

// awaitSleep waits until a process has executed its last program: then it has opened and mounted everything.
func (n *addrNode) awaitSleep(t *testing.T, pid int) {
	t.Helper()
	for {
		text, err := os.ReadFile(addrText("/proc/%d/comm", pid))
		if err != nil {
			t.Fatal(err)
		}
		if strings.TrimSpace(string(text)) == "sleep" {
			return
		}
	}
}
