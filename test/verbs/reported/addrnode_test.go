package reported

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// addrNode is a host whose containers have the names that rows give them.
type addrNode struct {
	*nettest.Node
	made map[string]*nettest.Container
	prev map[string][]byte // results, for CHECK
}

func newAddrNode(t *testing.T, opts ...nettest.Option) *addrNode {
	t.Helper()
	return &addrNode{nettest.Host(t, opts...), map[string]*nettest.Container{}, map[string][]byte{}}
}

// addrAdopting returns a network without gateway on a bridge br0 that the host has, with this section ipam.
func addrAdopting(ipam string) string {
	return `{"cniVersion": "1.0.0", "name": "net", "type": "patchbay", "bridge": "br0", "ipam": {"type": "patchbay", ` + ipam + `}}`
}

// addrWith returns a configuration with more keys; of a duplicate key the last one counts.
func addrWith(conf, keys string) string { return strings.TrimSuffix(conf, "}") + ", " + keys + "}" }

func addrText(text string, args ...any) string { return fmt.Sprintf(text, args...) }

// container returns the container of a name, which it creates first if needed.
func (n *addrNode) container(name string) *nettest.Container {
	c := n.made[name]
	if c == nil {
		c = n.Container(name)
		n.made[name] = c
	}
	return c
}

// call returns a CNI call for a container, whose name is its container ID.
func (n *addrNode) call(t *testing.T, verb, name, conf string) nettest.Call {
	t.Helper()
	return nettest.Call{
		Command: verb, ContainerID: name, Netns: n.container(name).Path(), IfName: "eth0", Config: []byte(conf),
		Path: filepath.Dir(nettest.Program(t, "static")),
	}
}

func (n *addrNode) addAs(t *testing.T, name, conf, args string) nettest.Answer {
	t.Helper()
	c := n.call(t, "ADD", name, conf)
	c.Args = args
	return n.CNI(t, c)
}

// gets requires that an ADD assigns these addresses, in this order.
func (n *addrNode) gets(t *testing.T, name, conf, addresses string) {
	t.Helper()
	n.getsAs(t, name, conf, "", addresses)
}

// getsAs is gets with CNI_ARGS.
func (n *addrNode) getsAs(t *testing.T, name, conf, args, addresses string) {
	t.Helper()
	n.got(t, name, n.addAs(t, name, conf, args), addresses)
}

// got requires that an ADD has assigned these addresses, in this order, and keeps its result.
func (n *addrNode) got(t *testing.T, name string, a nettest.Answer, addresses string) {
	t.Helper()
	var got []string
	for _, ip := range a.Result(t).IPs {
		got = append(got, ip.Address.String())
	}
	if strings.Join(got, " ") != addresses {
		t.Fatalf("%s has %s, not %s", name, strings.Join(got, " "), addresses)
	}
	n.prev[name] = a.Stdout
}

// someAddress returns the first address that an ADD assigns.
func (n *addrNode) someAddress(t *testing.T, name, conf, args string) string {
	t.Helper()
	a := n.addAs(t, name, conf, args)
	n.prev[name] = a.Stdout
	return a.Result(t).IPs[0].Address.String()
}

func hasAll(text string, parts ...string) bool {
	return !slices.ContainsFunc(parts, func(part string) bool { return !strings.Contains(text, part) })
}

// refused requires that an ADD fails with a code and a message that contains a text, and leaves the host unchanged.
func (n *addrNode) refused(t *testing.T, name, conf, args string, code uint, says string) {
	t.Helper()
	a := n.addAs(t, name, conf, args)
	if e := a.Error(t); e.Code != code || !strings.Contains(e.Msg, says) || e.Details == "" {
		t.Fatalf("ADD of %s: code %d, %q, details %q; want code %d and %q", name, e.Code, e.Msg, e.Details, code, says)
	}
	l, err := n.container(name).Netlink().LinkList()
	if err != nil {
		t.Fatal(err)
	}
	for _, link := range l {
		if link.Attrs().Name == "eth0" && len(n.prev[name]) == 0 && !strings.Contains(conf, "prevResult") {
			t.Fatalf("ADD of %s left eth0 behind", name)
		}
	}
}

func (n *addrNode) del(t *testing.T, name, conf string) {
	t.Helper()
	n.CNI(t, n.call(t, "DEL", name, conf)).OK(t)
	delete(n.prev, name)
}

// kill deletes a container without a DEL, and returns when its host interface is deleted too.
func (n *addrNode) kill(t *testing.T, name string) {
	t.Helper()
	before := n.ports(t)
	n.made[name].Delete()
	delete(n.made, name)
	delete(n.prev, name)
	events := n.Command("ip", "monitor", "link")
	out, err := events.StdoutPipe()
	if err != nil || events.Start() != nil {
		t.Fatalf("watch links: %v", err)
	}
	defer func() { _ = events.Process.Kill(); _ = events.Wait() }()
	for buffer := make([]byte, 4096); n.ports(t) == before; {
		if _, err := out.Read(buffer); err != nil {
			t.Fatalf("watch links: %v", err)
		}
	}
}

// ports returns the number of host interfaces of Patchbay.
func (n *addrNode) ports(t *testing.T) int {
	t.Helper()
	return strings.Count(n.Run(t, "ip", "-details", "link", "show", "type", "veth"), "alias patchbay:")
}

func (n *addrNode) check(t *testing.T, name, conf string) nettest.Answer {
	t.Helper()
	return n.CNI(t, n.call(t, "CHECK", name, addrWith(conf, `"prevResult": `+string(n.prev[name]))))
}

func (n *addrNode) status(t *testing.T, conf string) nettest.Answer {
	t.Helper()
	return n.CNI(t, nettest.Call{Command: "STATUS", Config: []byte(conf)})
}

// reaches requires that every address replies to a container.
func (n *addrNode) reaches(t *testing.T, name string, addresses ...string) {
	t.Helper()
	for _, addr := range addresses {
		if err := n.container(name).PingOnce(netip.MustParseAddr(addr)); err != nil {
			t.Error(err)
		}
	}
}

// reachesSoon allows a second more than reaches, for hosts that are busy with other tests: a lost neighbour
// solicitation is repeated after a second. test/network/firstpacket tests that the first packet is answered.
func (n *addrNode) reachesSoon(t *testing.T, name string, addresses ...string) {
	t.Helper()
	for _, addr := range addresses {
		if r := n.container(name).Ping(netip.MustParseAddr(addr), nettest.PingOptions{Timeout: 20 * time.Second}); !r.OK() {
			t.Errorf("%s to %s: %v", name, addr, r)
		}
	}
}

// resultHas requires a text in the result of a container's ADD.
func (n *addrNode) resultHas(t *testing.T, name, text string) {
	t.Helper()
	if !strings.Contains(string(n.prev[name]), text) {
		t.Errorf("the result of %s lacks %s: %s", name, text, n.prev[name])
	}
}

// route requires that a container has one route to a destination, by this gateway.
func (n *addrNode) route(t *testing.T, name, dst, gateway string) {
	t.Helper()
	family := "-4"
	if strings.Contains(dst, ":") {
		family = "-6"
	}
	got := n.container(name).Run(t, "ip", family, "route", "show", dst)
	if strings.Count(got, "\n") != 1 || !strings.Contains(got, " via "+gateway+" ") {
		t.Errorf("%s has the routes %q to %s, not one by %s", name, got, dst, gateway)
	}
}

// bridgeHas requires that a bridge has these addresses and no others, except those of scope link.
func (n *addrNode) bridgeHas(t *testing.T, bridge, addresses string) {
	t.Helper()
	var found []string
	for line := range strings.Lines(n.Run(t, "ip", "-oneline", "address", "show", "dev", bridge, "scope", "global")) {
		found = append(found, strings.Fields(line)[3])
	}
	slices.Sort(found)
	if strings.Join(found, " ") != addresses {
		t.Errorf("bridge %s has %v, not %s", bridge, found, addresses)
	}
}

// patchbay runs a command.
func (n *addrNode) patchbay(t *testing.T, args ...string) nettest.Answer {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := n.Command(nettest.Patchbay(t), args...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "NETCONFPATH=" + t.TempDir(), "LC_ALL=C.UTF-8"}
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return nettest.Answer{Exit: cmd.ProcessState.ExitCode(), Stdout: stdout.Bytes(), Stderr: stderr.Bytes()}
}

// says requires a CNI error with a code, or for code 1 a command that failed, and a text in its output.
func (n *addrNode) says(t *testing.T, a nettest.Answer, code uint, text string) {
	t.Helper()
	said := string(a.Stdout) + string(a.Stderr)
	var e struct{ Code uint }
	if code != 1 {
		_ = json.Unmarshal(a.Stdout, &e)
	}
	if a.Exit != 1 || code != 1 && e.Code != code || !strings.Contains(said, text) {
		t.Fatalf("want code %d and %q: %s", code, text, a)
	}
}

// has requires that a directory of the host has files of these names, separated by spaces.
func (n *addrNode) has(t *testing.T, dir, names string) {
	t.Helper()
	var found []string
	n.Do(func() {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Error(err)
		}
		for _, e := range entries {
			found = append(found, e.Name())
		}
	})
	slices.Sort(found)
	if strings.Join(found, " ") != names {
		t.Errorf("%s has %v, not %s", dir, found, names)
	}
}
