package chaos_test

import (
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/faults/chaos"
)

// TestChaos: eight callers on eight networks, of whose calls one in four is killed, while the program is replaced by another version and back, and
// another program deletes rules and bridges. `make chaos` runs it for long, with a real runtime beside it (test/runtimes/containerd).
//
// Claim: Eight runtimes at once, calls killed at random, upgrades and downgrades in between and a program that deletes rules and bridges: what
// exists is what the answers say, no address is given twice, and everything can be removed
func TestChaos(t *testing.T) {
	p := chaos.ReadPlan(t)
	bin := chaos.Bin(t)
	h := chaos.New(t, nettest.Host(t), bin, p.Seed)
	p.Run(t, h)
}
