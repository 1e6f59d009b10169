package nodes

import (
	"fmt"
	"testing"
	"time"

	"github.com/patchbay-cni/patchbay/test/kit/apiserver"
)

const daemonSet = "/apis/apps/v1/namespaces/kube-system/daemonsets/patchbay-agent"

// testRestart: a rolling restart of the DaemonSet, as `kubectl rollout restart` makes it, during echoes between pods.
func (c *cluster) testRestart(t *testing.T) {
	const label = "app.kubernetes.io/name=patchbay-agent"
	old := c.awaitPods(t, "kube-system", label, len(c.nodes))
	run := c.ping(t, c.awaitPods(t, "default", "app=web", 12))
	began := time.Now()
	c.api.Must(t, "PATCH", daemonSet, object{"spec": object{"template": object{"metadata": object{"annotations": object{
		"kubectl.kubernetes.io/restartedAt": began.Format(time.RFC3339),
	}}}}})
	apiserver.Eventually(t, "the DaemonSet is restarted", c.rolledOut)
	t.Logf("rolling restart of the DaemonSet on %d nodes: %s", len(c.nodes), since(began))
	run.stop(t)
	for _, now := range c.awaitPods(t, "kube-system", label, len(c.nodes)) {
		for _, before := range old {
			if now.uid == before.uid {
				t.Errorf("%s was not replaced", now)
			}
		}
	}
}

// rolledOut returns nil if all pods of the DaemonSet are of its present template, and available.
func (c *cluster) rolledOut() error {
	var o struct {
		Metadata struct{ Generation int }
		Status   struct{ ObservedGeneration, UpdatedNumberScheduled, NumberAvailable int }
	}
	if err := c.api.Request("GET", daemonSet, nil, &o); err != nil {
		return err
	}
	s, all := o.Status, len(c.nodes)
	if s.ObservedGeneration < o.Metadata.Generation || s.UpdatedNumberScheduled < all || s.NumberAvailable < all {
		return fmt.Errorf("generation %d, %+v", o.Metadata.Generation, s)
	}
	return nil
}
