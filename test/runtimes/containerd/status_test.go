package containerd

import (
	"os"
	"strings"
	"testing"

	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// TestStatusIsPolled: a containerd that calls STATUS reports a ready network if an ADD would succeed. While an
// interface that is no bridge has the name of the bridge it reports the network as not ready, with the reason.
//
// Claim: containerd 2 calls STATUS: the node is not ready while every ADD would fail, and with the conflist for Kubernetes it is ready
// although no address is free
func TestStatusIsPolled(t *testing.T) {
	n := newNode(t, current(t), strings.Replace(defaultConflist, `"1.0.0"`, `"1.1.0"`, 1))
	n.network(true, "")
	n.Run(t, "ip", "link", "add", "cni0", "type", "veth", "peer", "name", "other")
	n.network(false, "cni0")
	n.Run(t, "ip", "link", "delete", "cni0")
	n.network(true, "")
	n.serves(n.runAll(names(1), 1)[0])
	n.removeAll(n.ids(), 1)
	n.NoLeaks(t)
}

// network requires that containerd reports to a kubelet whether the network is ready, and why not.
func (n *node) network(ready bool, because string) {
	n.t.Helper()
	answer, err := n.cri.runtime.Status(n.context(), &runtime.StatusRequest{})
	if err != nil {
		n.t.Fatal(err)
	}
	for _, c := range answer.GetStatus().GetConditions() {
		if c.GetType() != runtime.NetworkReady {
			continue
		}
		if c.GetStatus() != ready || !strings.Contains(c.GetMessage(), because) {
			n.t.Errorf("NetworkReady is %v, %q; want %v for %q", c.GetStatus(), c.GetMessage(), ready, because)
		}
		return
	}
	n.t.Error("containerd reports no state of the network")
}

// TestFullPool: with the conflist of conf/kubernetes, whose pool is small here, a containerd that calls STATUS keeps
// the node ready when no address is left: Kubernetes evicts the running pods of a node that is not ready. Without
// statusOnFull the node is not ready.
//
// Claim/as_shipped,without_statusOnFull: containerd 2 calls STATUS: the node is not ready while every ADD would fail, and with the
// conflist for Kubernetes it is ready although no address is free
func TestFullPool(t *testing.T) {
	shipped, err := os.ReadFile("../../../conf/kubernetes/10-patchbay.conflist")
	if err != nil {
		t.Fatal(err)
	}
	small := strings.Replace(string(shipped), "10.244.1.0/24", "10.244.1.0/30", 1)
	plain := strings.Replace(small, `"statusOnFull": "warn",`, "", 1)
	if small == string(shipped) || plain == small {
		t.Fatal("conf/kubernetes is not what this test takes it for")
	}
	for _, c := range []struct {
		name, conflist string
		ready          bool
		because        string
	}{
		{"as shipped", small, true, ""},
		{"without statusOnFull", plain, false, "no IP addresses available"},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := newNode(t, current(t), c.conflist)
			pod := n.runAll(names(1), 1)[0]
			n.serves(pod)
			if _, err := n.runSandbox("one-too-many"); err == nil || !strings.Contains(err.Error(), "no IP addresses available") {
				t.Errorf("a pod beyond the pool: %v", err)
			}
			n.network(c.ready, c.because)
			n.removeAll(n.ids(), 1)
			n.network(true, "")
			n.alone()
			n.NoLeaks(t)
		})
	}
}
