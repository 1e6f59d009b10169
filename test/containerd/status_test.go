package containerd

import (
	"strings"
	"testing"

	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// TestStatusIsPolled: a containerd that asks plugins for their STATUS says that the network is ready when an ADD would pass, that it
// is not while a plain interface has the bridge's name, and why; then that it is again.
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

// network must be what a kubelet is told of the network.
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
	n.t.Error("nothing is told of the network")
}
