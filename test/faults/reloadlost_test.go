package faults

import (
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/faults/networks"
	"github.com/patchbay-cni/patchbay/test/faults/stepper"
)

// TestReloadLost: reload restores the flags and limits of a bridge port while its attachment is deleted, before any of its requests that change
// interfaces or traffic control.
//
// Claim: reload succeeds if an attachment is deleted before any of its changes of interfaces, and restores nothing of it
func TestReloadLost(t *testing.T) {
	nettest.Root(t)
	for _, f := range networks.Some(t, "ports", "bandwidth") {
		t.Run(f.Name, func(t *testing.T) {
			t.Parallel()
			beforeEach(t, "deleted", func(t testing.TB, n int) int { return reloadWithout(t, f, n) })
		})
	}
}

// reloadWithout takes from an attachment what reload restores, calls reload and, before the nth of these requests, DEL, and returns their number.
func reloadWithout(t testing.TB, f networks.Family, n int) (requests int) {
	t.Helper()
	scene := networks.New(t, f)
	scene.Attach(t)
	const drift = `for i in $(ip -o link show type veth | sed -n 's/^[0-9]*: \(veth[a-z2-7]\{11\}\)@.*/\1/p'); do bridge link set dev $i hairpin off; tc qdisc del dev $i root 2>/dev/null; done; true`
	scene.Run(t, "sh", "-c", drift)
	var ending stepper.Ending
	var err error
	scene.Do(func() {
		ending, err = stepper.Run(stepper.Program{Path: nettest.Patchbay(t), Args: []string{"reload"}}, func(step stepper.Step) stepper.Act {
			if step.Kind == stepper.Request && !step.After && strings.Contains(step.Text, "RTM_") && !strings.Contains(step.Text, "RTM_GET") {
				if requests++; requests == n {
					scene.One.Step(t, scene.One.Call("DEL"), func(stepper.Step) stepper.Act { return stepper.Go() })
				}
			}
			return stepper.Go()
		})
	})
	if err != nil || ending.Exit != 0 || len(ending.Stderr) > 0 {
		t.Errorf("reload: %v, exit %d\n%s%s", err, ending.Exit, ending.Stdout, ending.Stderr)
	}
	if restored := strings.Contains(string(ending.Stdout), " again"); n == 0 && !restored {
		t.Errorf("reload had nothing to restore:\n%s", ending.Stdout)
	}
	scene.One.Do(t, scene.One.Call("DEL")).OK(t)
	scene.Clean(t)
	return requests
}
