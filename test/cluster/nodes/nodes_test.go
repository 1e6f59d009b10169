package nodes

import (
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// TestCluster starts one cluster for all of its parts. Three nodes become Ready by the DaemonSet of agent.yaml, whose pods have the capability
// NET_ADMIN, a read-only root file system and a service account that may list and watch nodes; 12 pods run on them.
// After the pods are deleted nothing of them is left on a node, and after the nodes are powered off nothing of the nodes.
//
// Claim: Three kubelets become Ready by conf/kubernetes/agent.yaml alone; after 12 pods nothing of them is left on the nodes
// Claim: agent.yaml installs the plugin loopback on a node that has none, and leaves that of a distribution
// Claim/Mesh: Every pod of three nodes reaches every other in both families, with its own address
// Claim/Services/ClusterIP: By kube-proxy in mode nftables pods and nodes reach a ClusterIP in both families, and servers see the address of the pod
// Claim/Services/Hairpin: A pod reaches itself by the ClusterIP of its Service, in both families
// Claim/Services/NodePort: Clients outside reach a Service by the address of every node, in both families
// Claim/Services/Local: With externalTrafficPolicy Local the pod sees the address of a client outside
// Claim/Services/Outside: A server outside the cluster sees the address of the pod's node, in both families
// Claim/Restart: A rolling restart of the DaemonSet loses no echo between pods of different nodes
func TestCluster(t *testing.T) {
	c := newReadyCluster(t)
	if os.Getenv("PATCHBAY_HOLD") != "" {
		c.hold(t)
		return
	}
	began := time.Now()
	c.apply(t, web)
	c.awaitPods(t, "default", "app=web", 12)
	t.Logf("12 pods Ready: %s", since(began))
	for _, n := range c.nodes {
		n.checkLoopback(t)
	}
	t.Run("Mesh", c.testMesh)
	t.Run("Services", c.testServices)
	t.Run("Restart", c.testRestart)
	c.scale(t, 0)
	c.checkClean(t)
}

// checkLoopback requires that the plugin loopback is that of the distribution where there was one, and this program elsewhere.
func (n *node) checkLoopback(t *testing.T) {
	t.Helper()
	want := "/opt/cni/bin/patchbay"
	if n == n.c.nodes[0] {
		want = nettest.Program(t, "loopback")
	}
	if out, err := n.try("cmp", want, loopback); err != nil {
		t.Errorf("%v%s", err, out)
	}
}

// hold keeps the cluster until SIGINT.
func (c *cluster) hold(t *testing.T) {
	t.Helper()
	interrupted := make(chan os.Signal, 1)
	signal.Notify(interrupted, syscall.SIGINT, syscall.SIGTERM)
	defer signal.Stop(interrupted)
	t.Logf("the API: sudo %s kubectl --kubeconfig %s get nodes", c.nodes[0].prefix[0]+" "+c.nodes[0].prefix[2], c.api.Path("admin.kubeconfig"))
	for _, n := range c.nodes {
		t.Logf("%s: sudo %s bash; its logs: %s/*.log", n.name, strings.Join(n.prefix, " "), n.dir)
	}
	t.Logf("image of busybox with a web server for pods: %s (imagePullPolicy: Never)", serverImage)
	t.Log("Ctrl-C deletes everything")
	<-interrupted
}
