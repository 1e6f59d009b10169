package bandwidth

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/faults/stepper"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// TestReloadDuringADD: reload runs before the ADD has made its limits. It leaves them to the ADD, which would take a qdisc that is there for
// that of another program.
//
// Claim: `patchbay reload` leaves attachments alone that a verb works on
func TestReloadDuringADD(t *testing.T) {
	h := nettest.Host(t)
	web, conf := h.Container("web"), network(limits(10e6, 20e6))
	add := stepper.Program{Path: nettest.Patchbay(t), Stdin: conf.JSON(t), Env: []string{
		"CNI_COMMAND=ADD", "CNI_PATH=/nowhere", "CNI_CONTAINERID=" + web.ID(), "CNI_NETNS=" + web.Path(), "CNI_IFNAME=eth0",
	}}
	reloads, printed := 0, ""
	var failed error
	watch := func(s stepper.Step) stepper.Act {
		if s.After || reloads > 0 || !strings.Contains(s.Text, "QDISC") {
			return stepper.Go()
		}
		reloads++
		out, err := exec.Command(nettest.Patchbay(t), "reload").CombinedOutput() // on the thread of the host
		printed, failed = string(out), err
		return stepper.Go()
	}
	var ending stepper.Ending
	h.Do(func() {
		var err error
		if ending, err = stepper.Run(add, watch); err != nil {
			t.Error(err)
		}
	})
	expect.Equal(t, "reloads", reloads, 1)
	if failed != nil || strings.Contains(printed, "limited again") {
		t.Errorf("reload: %v, %s", failed, printed)
	}
	expect.Equal(t, "exit of ADD: "+string(ending.Stdout), ending.Exit, 0)
	cni.Check(t, h, web, conf.With(cni.Prev(ending.Stdout))).OK(t)
	cni.Del(t, h, web, conf)
}
