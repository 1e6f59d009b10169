package ruleset

import (
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
)

// TestReloadOfAStateDirectory: reload reads the state directory of its option even if no ADD registered it.
//
// Claim: Reload reads the state directory that it is given
func TestReloadOfAStateDirectory(t *testing.T) {
	t.Parallel()
	h := host(t)
	c := h.Container("c")
	n := network{"net", "br1", "10.1.0.0/16", ""}
	a := attachment{c, n.config(cni.Conf{"stateDir": "/run/other"})}
	h.CNI(t, a.call(t, "ADD")).OK(t)
	h.Run(t, "ip", "link", "del", "br1")
	const again = "is a port of bridge br1 again, for net/c/eth0"
	if said := h.Run(t, nettest.Patchbay(t), "reload"); !strings.Contains(said, again) {
		t.Errorf("for a registered directory, reload says %q", said)
	}
	h.Run(t, "rm", "-r", "/run/patchbay/.elsewhere")
	h.Run(t, "ip", "link", "del", "br1")
	if said := h.Run(t, nettest.Patchbay(t), "reload"); said != "" {
		t.Errorf("for an unregistered directory, reload says %q", said)
	}
	said := h.Run(t, nettest.Patchbay(t), "reload", "-state-dir", "/run/other")
	if !strings.Contains(said, again) {
		t.Errorf("reload -state-dir /run/other says %q", said)
	}
	h.CNI(t, a.call(t, "DEL")).OK(t)
}
