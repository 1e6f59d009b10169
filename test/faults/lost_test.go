package faults

import (
	"fmt"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/faults/networks"
	"github.com/patchbay-cni/patchbay/test/faults/stepper"
)

// TestInterfaceLost: the interface that another main plugin made is deleted before one of the requests of the DEL of a plugin of the chain, as
// by the end of the network namespace.
//
// Claim: A host interface that is deleted at any request of the DEL of a chained plugin is no error, and nothing is left behind
func TestInterfaceLost(t *testing.T) {
	nettest.Root(t)
	for _, f := range networks.Named() {
		if !f.IsBehindTheirs() {
			continue
		}
		t.Run(f.Name, func(t *testing.T) {
			t.Parallel()
			beforeEach(t, "lost", func(t testing.TB, n int) int { return lose(t, f, n) })
		})
	}
}

// lose calls DEL, deletes the interface before its nth request, and returns the number of requests.
func lose(t testing.TB, f networks.Family, n int) (requests int) {
	t.Helper()
	scene := subject{f, "DEL"}.arrive(t)
	_, answer := scene.One.Step(t, scene.One.Call("DEL"), func(step stepper.Step) stepper.Act {
		if step.Kind == stepper.Request && !step.After {
			if requests++; requests == n {
				scene.LoseInterface(t)
			}
		}
		return stepper.Go()
	})
	answer.OK(t)
	scene.Clean(t)
	return requests
}

// beforeEach runs one case for each request of a program: run lets something happen before the nth one, never for 0, and returns their number.
func beforeEach(t *testing.T, happens string, run func(t testing.TB, n int) (requests int)) {
	t.Helper()
	total := run(t, 0)
	var cases []networks.Case
	for n := 1; n <= total; n++ {
		cases = append(cases, networks.Case{Name: fmt.Sprintf("%s before request %d", happens, n), Run: func(t testing.TB) { run(t, n) }})
	}
	if failed := networks.RunCases(t, cases, atOnce); total == 0 || failed > 0 {
		t.Errorf("%d requests, %d failures", total, failed)
	}
}
