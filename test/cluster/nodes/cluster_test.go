package nodes

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/apiserver"
	"github.com/patchbay-cni/patchbay/test/kit/image"
)

// cluster is a control plane and its nodes on one LAN.
type cluster struct {
	base       *nettest.Node // has the namespaces of the LAN, and the disks
	lan        *nettest.LAN
	api        *apiserver.Server
	nodes      []*node
	images     []string // paths of the images that each node imports
	containerd string   // directory of the programs of containerd 2
	debian     string   // directory of Debian's packages: runc
}

// newReadyCluster returns a cluster of three nodes that are Ready by the DaemonSet.
func newReadyCluster(t *testing.T) *cluster {
	t.Helper()
	began := time.Now()
	c := newCluster(t, 3)
	t.Logf("control plane: %s", since(began))
	c.applyAgent(t)
	c.startNodes(t)
	started := time.Now()
	t.Logf("three containerds with images, and kubelets started: %s", since(began))
	c.awaitReady(t)
	t.Logf("from the start of kubelet to three nodes that are Ready by the DaemonSet: %s", since(started))
	return c
}

// newCluster starts the control plane, and makes nodes that are off.
func newCluster(t *testing.T, count int) *cluster {
	t.Helper()
	nettest.Need(t, nettest.IPv6, nettest.NFTables, nettest.Tool("nsenter"), nettest.Tool("ping"))
	c := &cluster{base: nettest.Host(t)}
	c.containerd = filepath.Dir(nettest.Program(t, "../pkg/containerd2/containerd"))
	c.debian = strings.TrimSuffix(nettest.Program(t, "../pkg/containerd/usr/bin/containerd"), "/usr/bin/containerd")
	c.base.Allow("process ") // those of the nodes, which checkGone finds
	c.lan = c.base.LAN(t)
	c.writeImages(t)
	c.startControlPlane(t, count)
	for i := range count {
		c.nodes = append(c.nodes, newNode(t, c, i+1))
	}
	t.Cleanup(func() { c.checkGone(t) })
	return c
}

// writeImages finds the images of `make cluster`, and makes those of sandboxes and servers. A server sends the name of its pod and the address of
// the client.
func (c *cluster) writeImages(t *testing.T) {
	t.Helper()
	const script = `mkdir -p /tmp/www/cgi-bin && cd /tmp/www/cgi-bin &&
printf '#!/bin/sh\necho\necho "$(hostname) $REMOTE_ADDR"\n' >who && /bin/busybox chmod 755 who && exec /bin/busybox httpd -f -p 80 -h /tmp/www`
	for name, command := range map[string]string{sandboxImage: "exec /bin/busybox sleep 1000000", serverImage: script} {
		path := filepath.Join(t.TempDir(), "image.tar")
		if err := os.WriteFile(path, image.Docker(t, name, "/bin/sh", "-c", command), 0o600); err != nil {
			t.Fatal(err)
		}
		c.images = append(c.images, path)
	}
	for _, name := range []string{"patchbay", "patchbay-agent"} {
		path := filepath.Join(filepath.Dir(nettest.Program(t, "kubelet")), "../cluster", name+"-image.tar")
		if _, err := os.Stat(path); err != nil {
			t.Fatalf("%v: `make cluster` writes it", err)
		}
		c.images = append(c.images, path)
	}
}

// startControlPlane starts etcd, the API server, the controllers and the scheduler. The API server authorizes kubelets by their nodes, and
// admits pods with their service accounts.
func (c *cluster) startControlPlane(t *testing.T, count int) {
	t.Helper()
	tokens := proxyToken + ",system:kube-proxy,proxy\n"
	for i := range count {
		tokens += fmt.Sprintf("%s,system:node:node-%d,node%d,system:nodes\n", nodeToken(i+1), i+1, i+1)
	}
	c.api = apiserver.Start(t, apiserver.Options{
		Netns: c.lan.Neighbour("api", apiAddress+"/24", "2001:db8:0:1::100/64"), Address: apiAddress, Tokens: tokens,
		Args: []string{"--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction", "--service-cluster-ip-range=" + serviceCIDRs},
	})
	config := c.api.Path("admin.kubeconfig")
	if err := os.WriteFile(config, []byte(c.kubeconfig(apiserver.AdminToken)), 0o600); err != nil {
		t.Fatal(err)
	}
	c.daemon(t, "kube-controller-manager", "--kubeconfig="+config, "--allocate-node-cidrs=true", "--cluster-cidr="+clusterCIDRs,
		"--node-cidr-mask-size-ipv4=24", "--node-cidr-mask-size-ipv6=64", "--service-cluster-ip-range="+serviceCIDRs,
		"--service-account-private-key-file="+c.api.Path("sa.key"), "--root-ca-file="+c.api.Path("apiserver.crt"), "--leader-elect=false")
	c.daemon(t, "kube-scheduler", "--kubeconfig="+config, "--leader-elect=false")
}

// daemon starts a program of the control plane, which ends with the test.
func (c *cluster) daemon(t *testing.T, name string, args ...string) {
	t.Helper()
	cmd := c.api.Command(name, args...)
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
}

// loopback is the plugin without which containerd starts no pod.
const loopback = "/opt/cni/bin/loopback"

// startNodes starts all nodes at the same time, and returns when kubelets run. The first one has the plugin loopback of a distribution of Kubernetes,
// the others have none.
func (c *cluster) startNodes(t *testing.T) {
	t.Helper()
	t.Cleanup(func() {
		c.report(t)
		for _, n := range c.nodes {
			n.powerOff()
		}
	})
	for _, n := range c.nodes {
		n.powerOn(t)
		n.run(t, "rm", "-f", loopback)
	}
	c.nodes[0].run(t, "cp", nettest.Program(t, "loopback"), loopback)
	var wait sync.WaitGroup
	for _, n := range c.nodes {
		wait.Go(func() { n.start(t) })
	}
	wait.Wait()
}

// report logs what the programs say if the test has failed.
func (c *cluster) report(t *testing.T) {
	if !t.Failed() {
		return
	}
	for _, p := range c.pods(t, "", "") {
		t.Logf("pod %s", p)
	}
	for _, n := range c.nodes {
		t.Logf("kubelet of %s:\n%s", n.name, n.logEnd("kubelet", 15))
		t.Logf("containerd of %s:\n%s", n.name, n.logEnd("containerd", 8))
		log, _ := n.try("sh", "-c", "tail -n 15 /var/log/pods/kube-system_patchbay-agent*/*/*.log; cat /run/patchbay-agent/status.json")
		t.Logf("agent of %s:\n%s", n.name, log)
	}
}

// since rounds for a log.
func since(began time.Time) time.Duration { return time.Since(began).Round(10 * time.Millisecond) }
