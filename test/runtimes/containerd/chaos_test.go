package containerd

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/patchbay-cni/patchbay/test/faults/chaos"
)

// TestChaos: eight callers as in test/faults/chaos, and beside them containerd with its own conflist, whose pods are started and removed and which
// is killed with SIGKILL in the middle of that. After each round nothing of its pods is left. `make chaos` runs it for an hour.
//
// Claim: containerd, killed with SIGKILL while pods start and stop and while the program is replaced by another version and back, removes all
// pods after its restart, and nothing is left behind
func TestChaos(t *testing.T) {
	p := chaos.ReadPlan(t)
	bin := chaos.Bin(t)
	n := nodeWith(t, debian(t), bin, installed(t))
	for _, file := range []string{"results: ", "networks/containerd-net: ", "networks/containerd-net/lock: ", "networks/containerd-net/last_reserved_ip."} {
		n.Allow("file /var/lib/cni/" + file) // what libcni and host-local leave; addresses are not among it
	}
	h := chaos.New(t, n.Node, bin, p.Seed)
	h.Beside = func(random *rand.Rand) { n.chaos(h, random) }
	p.Run(t, h)
}

// chaos starts and removes pods, kills containerd once, and removes all pods that it knows then.
func (n *node) chaos(h *chaos.Host, random *rand.Rand) {
	n.t.Helper()
	after := time.Duration(random.IntN(1500)) * time.Millisecond
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = each(names(4), 4, func(name string) (string, error) {
			id, err := n.runSandbox(name)
			if err == nil {
				h.Pods.Add(1)
				err = n.removeSandbox(id)
			}
			return id, err
		})
	}()
	time.Sleep(after) // the moment of the kill
	n.kill()
	<-ended
	h.Restarts.Add(1)
	n.start()
	n.removeKnown()
	n.endForgotten()
	n.forgotten()
}

// endForgotten ends shims and processes of pods that containerd had not recorded when it was killed: no restart ends them, with any plugin.
func (n *node) endForgotten() {
	n.t.Helper()
	const script = `for p in /proc/[0-9]*; do case $(cat $p/comm) in containerd-shim|busybox|runc*) kill -KILL ${p#/proc/};; esac; done 2>/dev/null; true`
	n.run("sh", "-c", script)
}

// removeKnown removes the pods that containerd knows, again and again, as a kubelet does.
func (n *node) removeKnown() {
	n.t.Helper()
	n.await("without pods", func() (bool, error) {
		known := n.ids()
		for _, id := range known {
			if err := n.removeSandbox(id); err != nil {
				return false, fmt.Errorf("remove sandbox: %w", err)
			}
		}
		return len(known) == 0, nil
	})
}
