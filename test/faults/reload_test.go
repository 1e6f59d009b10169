package faults

import (
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/faults/networks"
	"github.com/patchbay-cni/patchbay/test/faults/stepper"
)

// TestReloadDuringChain: the DEL of the plugin bandwidth of a list ends between the moment when reload has read all records and the one when it
// locks this one: the attachment still exists, and has no limits any more.
//
// Claim: reload restores no bandwidth limits that a DEL has removed while it ran
func TestReloadDuringChain(t *testing.T) {
	nettest.Root(t)
	scene := networks.New(t, networks.Some(t, "bandwidth behind bridge")[0])
	scene.Attach(t)
	deleted := false
	program := stepper.Program{Path: nettest.Patchbay(t), Args: []string{"reload"}}
	var ending stepper.Ending
	var err error
	scene.Node.Do(func() {
		ending, err = stepper.Run(program, func(step stepper.Step) stepper.Act {
			if !deleted && !step.After && strings.HasPrefix(step.Text, "flock ") && strings.HasSuffix(step.Path, "@eth0.json") {
				deleted = true
				scene.One.Step(t, scene.One.Call("DEL"), func(stepper.Step) stepper.Act { return stepper.Go() })
			}
			return stepper.Go()
		})
	})
	if err != nil || ending.Exit != 0 || !deleted {
		t.Errorf("reload: %v, exit %d, the limits were deleted before: %t\n%s%s", err, ending.Exit, deleted, ending.Stdout, ending.Stderr)
	}
	scene.Clean(t)
}
