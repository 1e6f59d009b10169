package cluster

import (
	"fmt"
	"slices"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// TestCollect: a pod whose network namespace is deleted without a DEL, as after a sandbox that failed, leaves a record and its addresses
// behind, until the agent runs `patchbay gc`. Another pod stays.
//
// Claim: patchbay-agent runs `patchbay gc` on a timer, where an option says so
func TestCollect(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	n := p.first
	n.stopAgent()
	n.args = []string{"--gc", "1m", "--patchbay", nettest.Patchbay(t)}
	n.startAgent()
	lost := n.addPod("lost")
	n.pods = slices.DeleteFunc(n.pods, func(c *nettest.Container) bool { return c == lost.Container })
	address := "/run/patchbay/ipam/pods/" + lost.addresses[0].String()
	if n.read(address) == "" {
		t.Fatalf("%s is missing", address)
	}
	lost.Delete()
	eventually(t, "gc has run", func() error {
		if text := n.read(address); text != "" {
			return fmt.Errorf("%s: %s", address, text)
		}
		return nil
	})
	mesh(t, []pod{p.from, p.to})
}
