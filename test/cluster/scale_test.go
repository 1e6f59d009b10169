package cluster

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/patchbay-cni/patchbay/pkg/nodeproblem"
)

// scale returns the number of Node objects of a test.
func scale(t *testing.T, byDefault int) int {
	t.Helper()
	text := os.Getenv("PATCHBAY_NODES")
	if text == "" {
		return byDefault
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 20 || n > 5000 {
		t.Fatalf("PATCHBAY_NODES=%s is not between 20 and 5000", text)
	}
	return n
}

// fleetNode is a Node object as a real cluster has it: 50 images, 14 kB.
func fleetNode(i int) nodeObject {
	via := netip.AddrFrom4([4]byte{198, 18, byte(i >> 8), byte(i)}) // RFC 2544
	return nodeObject{
		name: fmt.Sprintf("fleet-%d", i), images: 50,
		cidrs:     []string{fmt.Sprintf("10.%d.%d.0/24", 128+i>>8, i&255), fmt.Sprintf("fd00:10:244:%x::/64", 0x1000+i)},
		addresses: []string{via.String(), fmt.Sprintf("2001:db8:1::%x", i+1)},
	}
}

// eachOf does something for 0 to n-1, eight at a time.
func eachOf(n int, do func(i int)) {
	var wait sync.WaitGroup
	next := make(chan int)
	for range 8 {
		wait.Go(func() {
			for i := range next {
				do(i)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	wait.Wait()
}

// usage is what the kernel says of the agent.
type usage struct {
	resident, peak int // kB
	cpu            time.Duration
}

func (n *node) usage() (u usage) {
	n.lab.t.Helper()
	dir := fmt.Sprintf("/proc/%d/", n.agent.Process.Pid)
	text, err := os.ReadFile(dir + "status")
	if err != nil {
		n.lab.t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		_, _ = fmt.Sscanf(line, "VmRSS: %d kB", &u.resident)
		_, _ = fmt.Sscanf(line, "VmHWM: %d kB", &u.peak)
	}
	stat, err := os.ReadFile(dir + "stat")
	if err != nil {
		n.lab.t.Fatal(err)
	}
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')'):]))
	user, _ := strconv.Atoi(fields[12])
	system, _ := strconv.Atoi(fields[13])
	u.cpu = time.Duration(user+system) * 10 * time.Millisecond // USER_HZ is 100
	return u
}

// TestScale: an agent in a cluster of PATCHBAY_NODES nodes: its memory, what updates that are of no concern cost, how fast a new node has a
// route, and all routes from none, in the mode PATCHBAY_MODE. The figures of docs/cluster.md are its output.
//
// Claim: With 100 nodes patchbay-agent has all routes, and a status that kubelet reports makes no pass
func TestScale(t *testing.T) {
	nodes := scale(t, 100)
	n := newFleet(t, nodes)
	n.syncFleet(nodes)
	updates(t, n, nodes)
	unchanged(t, n)

	var longest time.Duration
	for i := range 10 {
		began := time.Now()
		n.lab.api.create(fleetNode(nodes + i))
		n.awaitFleet(nodes + i + 1)
		longest = max(longest, time.Since(began))
	}
	t.Logf("from the request to create a Node object to its routes: %s at most, of 10", longest.Round(time.Millisecond))
	checkMemory(t, n, nodes)
	if nodes > 600 {
		n.awaitProblem(nodeproblem.NeighbourTable, "gc_thresh3")
		halve(t, n, nodes)
	}
}

// newFleet returns a host whose network has as many other nodes, of which there are the Node objects alone. The API server has more options.
func newFleet(t *testing.T, nodes int, args ...string) *node {
	t.Helper()
	l := newLab(t, 1, args...)
	n := l.nodes[0]
	mode := cmp.Or(os.Getenv("PATCHBAY_MODE"), "direct")
	n.write(configFile, fmt.Sprintf(`{"clusterCIDRs": ["10.128.0.0/9", "fd00:10:244::/48"], "mode": %q}`, mode))
	n.Run(t, "ip", "address", "add", "198.18.255.254/15", "dev", "eth0")
	n.Run(t, "ip", "-6", "address", "add", "2001:db8:1::ffff/64", "dev", "eth0", "nodad")
	n.Baseline()
	began := time.Now()
	eachOf(nodes, func(i int) { l.api.create(fleetNode(i)) })
	t.Logf("%d Node objects created in %s", nodes, time.Since(began).Round(time.Second))
	return n
}

// syncFleet starts the agent, and requires its routes to as many nodes.
func (n *node) syncFleet(nodes int) {
	t := n.lab.t
	t.Helper()
	began := time.Now()
	n.startAgent()
	n.awaitFleet(nodes)
	t.Logf("from the start to %d routes and the configuration: %s", 2*nodes, time.Since(began).Round(time.Millisecond))
	if got := len(n.routes()); got != 2*nodes {
		t.Errorf("the kernel has %d routes", got)
	}
}

// awaitFleet waits until the agent has routes to as many nodes.
func (n *node) awaitFleet(nodes int) {
	n.lab.t.Helper()
	eventually(n.lab.t, fmt.Sprintf("routes to %d nodes", nodes), func() error {
		if s := n.status(); s.Routes != 2*nodes || !s.Synced || s.Conflist == "" {
			return fmt.Errorf("%d routes, synced %t, conflist %s", s.Routes, s.Synced, s.Conflist)
		}
		return nil
	})
}

// unchanged reports how long passes take that change nothing.
func unchanged(t *testing.T, n *node) {
	t.Helper()
	var times []float64
	cpu := n.usage().cpu
	for range 20 {
		before := n.status().Passes
		n.touch()
		eventually(t, "another pass", func() error {
			if n.status().Passes == before {
				return errors.New("there is none")
			}
			return nil
		})
		times = append(times, n.status().PassMs)
	}
	slices.Sort(times)
	cpu = (n.usage().cpu - cpu) / time.Duration(len(times))
	t.Logf("a pass that changes nothing: %.1f ms, at most %.1f, of %d; %s of CPU time", times[len(times)/2], times[len(times)-1], len(times), cpu.Round(100*time.Microsecond))
	if times[0] == 0 {
		t.Error("a pass without a time")
	}
}

// halve deletes most of the Node objects while the agent is down, so that it requests a second list.
func halve(t *testing.T, n *node, nodes int) {
	t.Helper()
	n.stopAgent()
	eachOf(nodes*6/10, func(i int) { n.lab.api.remove(fmt.Sprintf("fleet-%d", i)) })
	n.startAgent()
	n.awaitProblem(nodeproblem.Held, "they stay until another list of nodes")
	n.awaitNoProblem("they stay until another list of nodes")
	if got, want := len(n.routes()), 2*(nodes-nodes*6/10+10); got != want {
		t.Errorf("%d routes, want %d", got, want)
	}
	t.Log("a start without most nodes, and a second list:")
	checkMemory(t, n, nodes)
}

// checkMemory compares the memory of the agent with its limit: agent.yaml has 64Mi, which is for kernel memory and other machines too.
func checkMemory(t *testing.T, n *node, nodes int) {
	t.Helper()
	limit := 30 << 10
	if nodes > 1000 {
		limit = 40 << 10
	}
	u := n.usage()
	t.Logf("resident %d kB, at most %d kB", u.resident, u.peak)
	if u.peak > limit {
		t.Errorf("with %d nodes the agent has had %d kB of memory, more than %d", nodes, u.peak, limit)
	}
}

// updates sends 30 reports of status a second for 30 s, as kubelets do, and requires that they make no pass.
func updates(t *testing.T, n *node, nodes int) {
	t.Helper()
	const rate, seconds = 30, 30
	before, passes := n.usage(), n.status().passes(t)
	tick := time.NewTicker(time.Second / rate)
	defer tick.Stop()
	began := time.Now()
	for i := range rate * seconds {
		<-tick.C
		condition := object{"type": "Ready", "status": "True", "lastHeartbeatTime": time.Now().UTC().Format(time.RFC3339), "reason": fmt.Sprint(i)}
		n.lab.api.must("PATCH", fmt.Sprintf("/api/v1/nodes/fleet-%d/status", i%nodes), object{"status": object{"conditions": []object{condition}}}, nil)
	}
	elapsed, after := time.Since(began), n.usage()
	t.Logf("%d updates in %s: %s of CPU time, %.2f %% of a core", rate*seconds, elapsed.Round(time.Second), after.cpu-before.cpu,
		100*float64(after.cpu-before.cpu)/float64(elapsed))
	if got := n.status().passes(t) - passes; got > 2 { // one a minute
		t.Errorf("%d passes during the updates", got)
	}
}

// passes is how many passes the agent has made.
func (s status) passes(t *testing.T) int {
	t.Helper()
	if s.Passes == 0 {
		t.Error("no passes in the status")
	}
	return s.Passes
}
