package nodes

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/patchbay-cni/patchbay/test/kit/apiserver"
	"github.com/patchbay-cni/patchbay/test/kit/enclosure"
)

// TestFailures: failures of a cluster with 12 pods, one after the other. PATCHBAY_API_DOWN is how long the API server is down, 20 s by default.
//
// Claim/API_server_down: While the API server is down, and patchbay-agent is killed and started by kubelet, no echo between the pods of three nodes
// is lost, and no pod is replaced
// Claim/agents_killed: While patchbay-agent is killed 100 times and started by kubelet, no echo between the pods of three nodes is lost
// Claim/node_killed: A node that loses power and boots has the same pod CIDRs, and its pods reach all others when they are Ready
// Claim/node_returns: On a node that comes back with another pod CIDR new pods get addresses of it and reach all others; the old gateway is
// removed with the last old pod
func TestFailures(t *testing.T) {
	c := newReadyCluster(t)
	c.apply(t, web)
	c.awaitPods(t, "default", "app=web", 12)
	t.Run("API server down", c.apiDown)
	t.Run("agents killed", c.agentsKilled)
	t.Run("node killed", c.nodeKilled)
	t.Run("node returns", c.nodeReturns)
	c.scale(t, 0)
	c.checkClean(t)
}

// killAgent kills the agent of the node with SIGKILL, and returns whether it ran.
func (n *node) killAgent(t *testing.T) bool {
	t.Helper()
	const script = `for p in /proc/[0-9]*; do [ "$(cat $p/comm 2>/dev/null)" != patchbay-agent ] || { kill -9 ${p#/proc/} && echo killed; }; done; true`
	return strings.Contains(n.run(t, "sh", "-c", script), "killed")
}

// written returns the routes of the agent, and the configuration that it has written.
func (n *node) written(t *testing.T) string {
	t.Helper()
	return n.run(t, "sh", "-c", "ip -4 route show proto 112; ip -6 route show proto 112; cat /etc/cni/net.d/10-patchbay.conflist")
}

// uids returns the identities of the pods, sorted.
func uids(pods []pod) (ids []string) {
	for _, p := range pods {
		ids = append(ids, p.uid)
	}
	slices.Sort(ids)
	return ids
}

// apiDown: all agents start again while there is no API server.
func (c *cluster) apiDown(t *testing.T) {
	down := 20 * time.Second
	if text := os.Getenv("PATCHBAY_API_DOWN"); text != "" {
		var err error
		if down, err = time.ParseDuration(text); err != nil {
			t.Fatal(err)
		}
	}
	before := c.awaitPods(t, "default", "app=web", 12)
	var written []string
	for _, n := range c.nodes {
		written = append(written, n.written(t))
	}
	run := c.ping(t, before)
	c.api.Stop()
	time.Sleep(down / 2)
	for _, n := range c.nodes {
		if !n.killAgent(t) {
			t.Errorf("there is no agent on %s", n.name)
		}
	}
	time.Sleep(down / 2)
	for i, n := range c.nodes {
		if now := n.written(t); now != written[i] {
			t.Errorf("before:\n%s\nwithout an API server:\n%s", written[i], now)
		}
		if status := n.run(t, "cat", "/run/patchbay-agent/status.json"); !strings.Contains(status, "apiError") {
			t.Errorf("the status of %s does not say that the API server does not answer: %s", n.name, status)
		}
	}
	began := time.Now()
	c.api.Resume()
	for _, n := range c.nodes {
		n.awaitSynced(t)
	}
	t.Logf("API server down for %s; agents up to date %s after its start", down, since(began))
	c.awaitReady(t)
	run.stop(t)
	if after := c.awaitPods(t, "default", "app=web", 12); !slices.Equal(uids(after), uids(before)) {
		t.Errorf("pods before: %s\nafter: %s", before, after)
	}
}

// awaitSynced waits until the agent of the node has a list of all nodes, and no failure of the API server.
func (n *node) awaitSynced(t *testing.T) {
	t.Helper()
	apiserver.Eventually(t, "agent of "+n.name, func() error {
		status, err := n.try("cat", "/run/patchbay-agent/status.json")
		if err == nil && (strings.Contains(status, "apiError") || !strings.Contains(status, `"synced": true`)) {
			err = errors.New(status)
		}
		return err
	})
}

// agentsKilled kills the agents a hundred times; kubelet starts them again.
func (c *cluster) agentsKilled(t *testing.T) {
	run := c.ping(t, c.awaitPods(t, "default", "app=web", 12))
	killed, began := 0, time.Now()
	for deadline := time.Now().Add(10 * time.Minute); killed < 100 && time.Now().Before(deadline); {
		for _, n := range c.nodes {
			if n.killAgent(t) {
				killed++
			}
		}
		time.Sleep(time.Duration(rand.IntN(1000)) * time.Millisecond) // the moment of the next kill
	}
	if killed < 100 {
		t.Errorf("killed %d times in 10 minutes", killed)
	}
	t.Logf("killed %d times in %s", killed, since(began))
	c.awaitPods(t, "kube-system", "app.kubernetes.io/name=patchbay-agent", len(c.nodes))
	run.stop(t)
}

// cidrs returns the pod CIDRs of a node.
func (n *node) cidrs(t *testing.T) (list []netip.Prefix) {
	t.Helper()
	var o struct {
		Spec struct{ PodCIDRs []netip.Prefix }
	}
	if err := n.c.api.Request("GET", "/api/v1/nodes/"+n.name, nil, &o); err != nil {
		return nil
	}
	return o.Spec.PodCIDRs
}

// on returns the pods of a node.
func (n *node) on(pods []pod) (mine []pod) {
	for _, p := range pods {
		if p.node == n {
			mine = append(mine, p)
		}
	}
	return mine
}

// within requires that a pod has an address of each of these networks.
func within(t *testing.T, p pod, cidrs []netip.Prefix) {
	t.Helper()
	for i, cidr := range cidrs {
		if !cidr.Contains(p.ips[i]) {
			t.Errorf("%s has no address of %s", p, cidr)
		}
	}
}

// nodeKilled: a power failure of a node, which starts again at once.
func (c *cluster) nodeKilled(t *testing.T) {
	n := c.nodes[1]
	cidrs := n.cidrs(t)
	old := n.on(c.awaitPods(t, "default", "app=web", 12))
	began := time.Now()
	n.powerOff()
	n.removeCgroups(t)
	n.powerOn(t)
	n.start(t)
	apiserver.Eventually(t, "pods of "+n.name+" are started again", func() error {
		for _, p := range old {
			if err := c.restarted(p); err != nil {
				return err
			}
		}
		return n.ready()
	})
	t.Logf("power off to %d pods started again: %s", len(old), since(began))
	if now := n.cidrs(t); !slices.Equal(now, cidrs) {
		t.Errorf("pod CIDRs were %s and are %s", cidrs, now)
	}
	pods := c.awaitPods(t, "default", "app=web", 12)
	for _, p := range n.on(pods) {
		within(t, p, cidrs)
	}
	if records := strings.Count(n.run(t, "sh", "-c", leftovers+"; true"), "record "); records != len(n.on(pods)) {
		t.Errorf("%d records of %d pods", records, len(n.on(pods)))
	}
	c.reach(t, pods)
}

// removeCgroups removes those of a node without power, when its last process has ended: a machine that boots has none, and kubelet waits 3 s for each.
func (n *node) removeCgroups(t *testing.T) {
	t.Helper()
	apiserver.Eventually(t, "no process of "+n.name+" runs", func() error {
		for _, below := range []string{"", "/*/*"} {
			files, err := filepath.Glob("/sys/fs/cgroup/*/" + n.cgroups + below + "/cgroup.procs")
			if err != nil {
				return err
			}
			for _, file := range files {
				if text, err := os.ReadFile(file); err != nil || len(text) > 0 {
					return fmt.Errorf("%s: %s %w", file, text, err)
				}
			}
		}
		return nil
	})
	enclosure.RemoveCgroups(t, "/"+n.cgroups)
}

// reach is mesh with its counts in the log.
func (c *cluster) reach(t *testing.T, pods []pod) {
	t.Helper()
	echoes, requests := mesh(t, pods)
	t.Logf("%d pods: %d echoes, %d requests that see the address of the client, of %d", len(pods), echoes, requests, 2*len(pods)*len(pods))
}

// restarted returns nil if the container of a pod has been started again, and the pod is Ready.
func (c *cluster) restarted(p pod) error {
	var o struct {
		Status struct {
			ContainerStatuses []struct {
				RestartCount int
				Ready        bool
			}
		}
	}
	if err := c.api.Request("GET", "/api/v1/namespaces/default/pods/"+p.name, nil, &o); err != nil {
		return err
	}
	for _, s := range o.Status.ContainerStatuses {
		if s.RestartCount > 0 && s.Ready {
			return nil
		}
	}
	return fmt.Errorf("%s: %+v", p.name, o.Status)
}

// fresh is a Deployment on one node.
const fresh = `apiVersion: apps/v1
kind: Deployment
metadata: {name: fresh}
spec:
  replicas: 3
  selector: {matchLabels: {app: fresh}}
  template:
    metadata: {labels: {app: fresh}}
    spec:
      automountServiceAccountToken: false
      terminationGracePeriodSeconds: 0
      nodeSelector: {kubernetes.io/hostname: NODE}
      containers:
        - {name: server, image: "` + serverImage + `", imagePullPolicy: Never}
`

// nodeReturns: the Node object is deleted and kubelet creates it again, so that the node has other pod CIDRs, and old pods with old addresses.
func (c *cluster) nodeReturns(t *testing.T) {
	n := c.nodes[2]
	before := n.cidrs(t)
	old := n.on(c.awaitPods(t, "default", "app=web", 12))
	n.stop(t, "kubelet")
	c.api.Must(t, "DELETE", "/api/v1/nodes/"+n.name, nil)
	began := time.Now()
	n.startKubelet(t)
	apiserver.Eventually(t, n.name+" is Ready with other pod CIDRs", func() error {
		if now := n.cidrs(t); len(now) != 2 || slices.Equal(now, before) {
			return fmt.Errorf("pod CIDRs: %s, before %s", now, before)
		}
		return n.ready()
	})
	now := n.cidrs(t)
	t.Logf("kubelet started to Ready with other pod CIDRs: %s, %s instead of %s", since(began), now, before)
	began = time.Now()
	c.apply(t, strings.ReplaceAll(fresh, "NODE", n.name))
	young := c.awaitPods(t, "default", "app=fresh", 3)
	t.Logf("three new pods created to Ready: %s", since(began))
	for _, p := range young {
		within(t, p, now)
	}
	others := append(c.nodes[0].on(c.pods(t, "default", "app=web")), c.nodes[1].on(c.pods(t, "default", "app=web"))...)
	c.reach(t, append(others, young...))

	gateway := netip.PrefixFrom(before[0].Addr().Next(), before[0].Bits()).String()
	addresses := func() string { return n.run(t, "sh", "-c", "ip -4 -o address show type bridge") }
	if !strings.Contains(addresses(), gateway) {
		t.Errorf("%d old pods have lost their gateway %s: %s", len(old), gateway, addresses())
	}
	for _, p := range old {
		if err := c.api.Request("DELETE", "/api/v1/namespaces/default/pods/"+p.name, nil, nil); err != nil {
			t.Log(err) // the garbage collector may have been first
		}
	}
	began = time.Now()
	apiserver.Eventually(t, "the old gateway is gone", func() error {
		if text := addresses(); strings.Contains(text, gateway) {
			return errors.New(text)
		}
		return nil
	})
	t.Logf("old pods deleted to the old gateway gone: %s", since(began))
	c.reach(t, append(c.awaitPods(t, "default", "app=web", 12), young...))
	c.api.Must(t, "DELETE", "/apis/apps/v1/namespaces/default/deployments/fresh", object{"propagationPolicy": "Background"})
	c.awaitPods(t, "default", "app=fresh", 0)
}
