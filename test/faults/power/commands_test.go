package power

import (
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/faults/stepper"
)

// TestCommandsWriteNothing: with the default paths, commands that attach and publish write nothing of an attachment to the disk, so a power
// failure is a reboot for them. The journal of hosts files is there while these are written; package hostsfile has its tests.
//
// Claim: With the default paths a power failure leaves nothing of an attachment on the disk
func TestCommandsWriteNothing(t *testing.T) {
	nettest.Root(t)
	h := nettest.Host(t)
	for _, line := range []string{"up web -p 8080:80", "ports add web 8081:81", "ports rm web 8080", "reload", "down web", "gc"} {
		r := &trace{}
		r.run(t, h, stepper.Program{Args: strings.Fields(line), Env: []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}})
		r.answer.OK(t)
		for _, op := range r.ops {
			if op.Path == "/var/lib/patchbay" || strings.HasPrefix(op.Path, "/var/lib/patchbay/names") {
				continue
			}
			t.Errorf("patchbay %s: %s", line, op)
		}
	}
}
