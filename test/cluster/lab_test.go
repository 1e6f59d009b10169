package cluster

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/agentstatus"
	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/pkg/nodeproblem"
)

const (
	conflist     = "/etc/cni/net.d/10-patchbay.conflist"
	statusFile   = "/run/patchbay-agent/status.json"
	readyFile    = "/run/patchbay-agent/ready"
	configFile   = "/etc/patchbay-agent/config.json"
	clusterCIDRs = `{"clusterCIDRs": ["10.244.0.0/16", "fd00:10:244::/48"]}`
)

// lab is three hosts on a LAN, and an API server.
type lab struct {
	t     *testing.T
	lan   *nettest.LAN
	api   *apiServer
	nodes []*node
}

// node is one of the hosts.
type node struct {
	*nettest.Node
	lab    *lab
	number int
	object nodeObject
	agent  *nettest.Cmd
	args   []string // of the agent, besides the usual ones
	env    []string // of the agent, besides that of the test
	pods   []*nettest.Container
}

// newLab starts the API server, with more options if there are any, and makes hosts whose Node objects exist: node-1 at .21 with 10.244.1.0/24, and so on.
func newLab(t *testing.T, hosts int, args ...string) *lab {
	t.Helper()
	nettest.Need(t, nettest.IPv6, nettest.Tool("setpriv"))
	agentProgram(t)
	base := nettest.Host(t)
	l := &lab{t: t, lan: base.LAN(t)}
	l.api = startAPIServer(t, l.lan, args)
	l.authorize()
	for i := range hosts {
		l.addHost(i + 1)
	}
	return l
}

// addHost makes a host on the LAN.
func (l *lab) addHost(number int) {
	l.t.Helper()
	n := l.newHost(number)
	port := fmt.Sprintf("node%d", number)
	n.Veth("eth0", l.lan.Switch, port)
	l.lan.Switch.Plug(port, "lan0")
	n.AddAddress("eth0", n.object.addresses[0]+"/24", n.object.addresses[1]+"/64")
	n.AddRoute("0.0.0.0/0", nettest.LANRouter4)
	n.AddRoute("::/0", nettest.LANRouter6)
	l.add(n)
}

// newHost makes a host without an interface, with the addresses of a host on the LAN in its Node object.
func (l *lab) newHost(number int) *node {
	l.t.Helper()
	n := &node{Node: nettest.Host(l.t), lab: l, number: number}
	n.SetSysctl("net/ipv6/conf/default/accept_dad", "0") // link-local addresses are usable at once
	n.object = nodeObject{
		name:      fmt.Sprintf("node-%d", number),
		cidrs:     []string{fmt.Sprintf("10.244.%d.0/24", number), fmt.Sprintf("fd00:10:244:%x::/64", number)},
		addresses: []string{fmt.Sprintf("192.0.2.%d", 20+number), fmt.Sprintf("2001:db8:0:1::%d", 20+number)},
	}
	return n
}

// add creates the Node object of a host.
func (l *lab) add(n *node) {
	l.t.Helper()
	n.write(configFile, clusterCIDRs)
	n.Baseline()
	l.nodes = append(l.nodes, n)
	l.api.create(n.object)
	l.t.Cleanup(n.tearDown)
}

// tearDown removes the pods and what the agent has written; the leak check of the host follows.
func (n *node) tearDown() {
	n.stopAgent()
	for _, pod := range n.pods {
		n.call("DEL", pod)
	}
	if out, err := n.Command(agentProgram(n.lab.t), "--clean").CombinedOutput(); err != nil {
		n.lab.t.Errorf("--clean on %s: %v\n%s", n.object.name, err, out)
	}
	if routes := n.routes(); len(routes) > 0 {
		n.lab.t.Errorf("--clean on %s left %q", n.object.name, routes)
	}
	for _, name := range []string{device, "patchbay.vx6"} {
		if n.has(name) {
			n.lab.t.Errorf("--clean on %s left %s", n.object.name, name)
		}
	}
	for _, path := range []string{conflist, filepath.Dir(statusFile)} {
		if n.Command("test", "-e", path).Run() == nil {
			n.lab.t.Errorf("--clean on %s left %s", n.object.name, path)
		}
	}
}

// agentProgram returns the agent that `make build` has built beside the plugin.
func agentProgram(t testing.TB) string {
	t.Helper()
	path := filepath.Join(filepath.Dir(nettest.Patchbay(t)), "patchbay-agent")
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("%v: `make build` builds it", err)
	}
	return path
}

// startAgent starts the agent of the node with the capability NET_ADMIN alone.
func (n *node) startAgent() {
	n.lab.t.Helper()
	args := []string{
		"--bounding-set=-all,+net_admin", "--inh-caps=-all", agentProgram(n.lab.t), "--node", n.object.name, "--apiserver", apiURL,
		"--token-file", n.lab.api.path("token"), "--ca-file", n.lab.api.path("apiserver.crt"),
	}
	n.startLogged("setpriv", append(args, n.args...)...)
}

// startLogged starts a program in place of the agent, whose output is printed if the test fails.
func (n *node) startLogged(name string, args ...string) {
	n.lab.t.Helper()
	log, err := os.OpenFile(n.logFile(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		n.lab.t.Fatal(err)
	}
	defer log.Close()
	n.agent = n.Command(name, args...)
	n.agent.Stdout, n.agent.Stderr = log, log
	n.agent.Env = append(os.Environ(), n.env...)
	if err := n.agent.Start(); err != nil {
		n.lab.t.Fatal(err)
	}
}

func (n *node) logFile() string { return n.lab.api.path(n.object.name + ".log") }

// stopAgent kills the agent; endAgent lets it finish a pass.
func (n *node) stopAgent() { n.signalAgent(syscall.SIGKILL) }
func (n *node) endAgent()  { n.signalAgent(syscall.SIGTERM) }

func (n *node) signalAgent(s syscall.Signal) {
	if n.agent != nil {
		_ = n.agent.Process.Signal(s)
		_ = n.agent.Wait()
		n.agent = nil
	}
	if n.lab.t.Failed() {
		log, _ := os.ReadFile(n.logFile())
		n.lab.t.Logf("log of %s:\n%s", n.object.name, log)
		_ = os.Remove(n.logFile())
	}
}

// write writes a file on the host.
func (n *node) write(path, text string) {
	n.lab.t.Helper()
	var err error
	n.Do(func() {
		if err = os.MkdirAll(filepath.Dir(path), 0o755); err == nil {
			err = os.WriteFile(path, []byte(text), 0o644)
		}
	})
	if err != nil {
		n.lab.t.Fatal(err)
	}
}

// read returns a file of the host, "" without one.
func (n *node) read(path string) string {
	var text []byte
	n.Do(func() { text, _ = os.ReadFile(path) })
	return string(text)
}

// routes returns the routes of the agent, as `ip route` prints them.
func (n *node) routes() (lines []string) {
	for _, family := range []string{"-4", "-6"} {
		for line := range strings.Lines(n.Run(n.lab.t, "ip", family, "route", "show", "proto", "112")) {
			fields := strings.Fields(line)
			lines = append(lines, strings.Join(fields[:min(3, len(fields))], " "))
		}
	}
	return lines
}

// route is a route to another node as routes has it, of a family: 0 for IPv4.
func (n *node) route(family int) string {
	return n.object.cidrs[family] + " via " + n.object.addresses[family]
}

// awaitRoutes waits until the node has exactly these routes.
func (n *node) awaitRoutes(want ...string) {
	n.lab.t.Helper()
	eventually(n.lab.t, "routes of "+n.object.name, func() error {
		if got := n.routes(); !slices.Equal(got, want) {
			return fmt.Errorf("got %q, want %q", got, want)
		}
		return nil
	})
}

// awaitOthers waits until the node has the routes of all other hosts.
func (n *node) awaitOthers() {
	n.lab.t.Helper()
	var want []string
	for family := range 2 {
		for _, other := range n.lab.nodes {
			if other != n {
				want = append(want, other.route(family))
			}
		}
	}
	n.awaitRoutes(want...)
}

// status is the file of the agent.
type status struct {
	Synced                      bool
	Nodes, Routes, Held, Passes int
	PassMs                      float64
	Conflist, APIError          string
	PodCIDRs                    []string
	Problems                    []agentstatus.Problem
}

func (n *node) status() (s status) {
	_ = json.Unmarshal([]byte(n.read(statusFile)), &s)
	return s
}

// awaitProblem waits until the status has a problem of a kind with a text; awaitNoProblem until it has none with that.
func (n *node) awaitProblem(kind nodeproblem.Kind, text string) {
	n.lab.t.Helper()
	eventually(n.lab.t, "problem "+text, func() error {
		for _, p := range n.status().Problems {
			if p.Kind == kind && strings.Contains(p.Text, text) {
				return nil
			}
		}
		return fmt.Errorf("the status of %s is %s", n.object.name, n.read(statusFile))
	})
}

func (n *node) awaitNoProblem(text string) {
	n.lab.t.Helper()
	eventually(n.lab.t, "no problem "+text, func() error {
		s := n.read(statusFile)
		if s == "" || strings.Contains(s, text) {
			return fmt.Errorf("the status of %s is %s", n.object.name, s)
		}
		return nil
	})
}

// call calls the plugin with the configuration that the agent has written.
func (n *node) call(verb string, pod *nettest.Container) nettest.Answer {
	n.lab.t.Helper()
	var list struct {
		Name, CNIVersion string
		Plugins          []object
	}
	if err := json.Unmarshal([]byte(n.read(conflist)), &list); err != nil {
		n.lab.t.Fatalf("conflist of %s: %v", n.object.name, err)
	}
	conf := list.Plugins[0]
	conf["name"], conf["cniVersion"] = list.Name, list.CNIVersion
	if verb == "STATUS" { // since 1.1.0, which is in cniVersions
		conf["cniVersion"] = "1.1.0"
	}
	text, err := json.Marshal(conf)
	if err != nil {
		n.lab.t.Fatal(err)
	}
	return n.CNI(n.lab.t, nettest.Call{Command: verb, ContainerID: pod.ID(), Netns: pod.Path(), IfName: "eth0", Config: text})
}

// pod is a container of a node with its addresses.
type pod struct {
	*nettest.Container
	addresses []netip.Addr
}

// addPod attaches a pod.
func (n *node) addPod(name string) pod {
	n.lab.t.Helper()
	p := pod{Container: n.Container(name)}
	n.pods = append(n.pods, p.Container)
	for _, ip := range n.call("ADD", p.Container).Result(n.lab.t).IPs {
		addr, _ := netip.AddrFromSlice(ip.Address.IP)
		p.addresses = append(p.addresses, addr.Unmap())
	}
	return p
}
