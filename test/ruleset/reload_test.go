package ruleset

import (
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// The state directory that reload is told of is looked at the first time, too.
func TestReloadOfAStateDirectory(t *testing.T) {
	t.Parallel()
	h := host(t)
	c := h.Container("c")
	n := network{"net", "br1", "10.1.0.0/16", ""}
	a := attachment{c, n.config(`"stateDir": "/run/other",`)}
	h.CNI(t, a.call("ADD")).OK(t)
	h.Run(t, "ip", "link", "del", "br1")
	if said := h.Run(t, nettest.Patchbay(t), "reload"); said != "" {
		t.Errorf("of a directory that it does not know, reload says %q", said)
	}
	said := h.Run(t, nettest.Patchbay(t), "reload", "-state-dir", "/run/other")
	if !strings.Contains(said, "plugged into bridge br1 again, for net/c/eth0") {
		t.Errorf("reload -state-dir /run/other says %q", said)
	}
	h.CNI(t, a.call("DEL")).OK(t)
}
