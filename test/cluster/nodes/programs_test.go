package nodes

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/apiserver"
)

// command returns a command that runs on the node, with the programs of containerd in its PATH.
func (n *node) command(args ...string) *nettest.Cmd {
	all := append(append([]string{}, n.prefix...), args...)
	c := n.c.base.Command(all[0], all[1:]...)
	c.Env = append(os.Environ(), "PATH="+strings.Join([]string{n.c.containerd, n.c.debian + "/usr/sbin", os.Getenv("PATH"), "/usr/sbin:/sbin"}, ":"))
	if libs, _ := filepath.Glob(n.c.debian + "/usr/lib/*-linux-gnu*"); len(libs) > 0 {
		c.Env = append(c.Env, "LD_LIBRARY_PATH="+libs[0]) // runc's libseccomp, which not every machine has
	}
	return c
}

// try runs a program to its end and returns both outputs.
func (n *node) try(args ...string) (string, error) {
	out, err := n.command(args...).CombinedOutput()
	if err != nil {
		err = fmt.Errorf("on %s: %s: %w\n%s", n.name, strings.Join(args, " "), err, out)
	}
	return string(out), err
}

// run is try, and ends the test if the program fails.
func (n *node) run(t *testing.T, args ...string) string {
	t.Helper()
	out, err := n.try(args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// daemon starts a program that runs until the node ends, or stop; its output is appended to NAME.log.
func (n *node) daemon(t *testing.T, name string, args ...string) {
	t.Helper()
	log, err := os.OpenFile(n.path(name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	c := n.command(append([]string{"sh", "-c", `echo $$ >"$0" && exec "$@"`, "/run/" + name + ".pid"}, args...)...)
	c.Stdout, c.Stderr = log, log
	if err := c.Start(); err != nil {
		t.Fatalf("start %s on %s: %v", name, n.name, err)
	}
	go func() { _ = c.Wait() }()
}

// stop kills a program that daemon has started.
func (n *node) stop(t *testing.T, name string) {
	t.Helper()
	n.run(t, "sh", "-c", `kill -9 "$(cat "$0")"`, "/run/"+name+".pid")
}

// startContainerd starts containerd, and imports the images.
func (n *node) startContainerd(t *testing.T) {
	t.Helper()
	n.daemon(t, "containerd", "containerd", "--config", n.path("containerd.toml"))
	apiserver.Eventually(t, "containerd of "+n.name, func() error {
		_, err := n.try("ctr", "version")
		return err
	})
	for _, path := range n.c.images {
		n.run(t, "ctr", "-n", "k8s.io", "images", "import", path)
	}
}

// startKubelet starts kubelet, which creates the Node object if there is none.
func (n *node) startKubelet(t *testing.T) {
	t.Helper()
	n.daemon(t, "kubelet", nettest.Program(t, "kubelet"), "--config="+n.path("kubelet.yaml"), "--kubeconfig="+n.path("kubeconfig"),
		"--hostname-override="+n.name, "--node-ip="+strings.Join(n.addresses[:], ","), "--root-dir=/var/lib/kubelet", "--v=2")
}

// startProxy starts kube-proxy, and again when it ends: it does when its Node object is deleted, or has other pod CIDRs.
func (n *node) startProxy(t *testing.T) {
	t.Helper()
	n.daemon(t, "kube-proxy", "sh", "-c", `while :; do "$@"; sleep 1; done`, "sh", nettest.Program(t, "kube-proxy"), "--proxy-mode=nftables",
		"--kubeconfig="+n.path("proxy.kubeconfig"), "--hostname-override="+n.name, "--cluster-cidr="+clusterCIDRs,
		"--conntrack-max-per-core=0", "--conntrack-min=0", "--conntrack-tcp-timeout-established=0", "--conntrack-tcp-timeout-close-wait=0")
}

// start starts all programs of a node.
func (n *node) start(t *testing.T) {
	t.Helper()
	n.startContainerd(t)
	n.startKubelet(t)
	n.startProxy(t)
}

// logEnd returns the last lines of a log.
func (n *node) logEnd(name string, lines int) string {
	text, _ := os.ReadFile(n.path(name + ".log"))
	all := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
