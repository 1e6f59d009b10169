package hostfw

import (
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// StartUFW enables ufw as its package would be configured: what comes in and what is forwarded is dropped. Nothing of it runs but
// what Shell is told to.
func StartUFW(t testing.TB, h *nettest.Node) *Firewall {
	t.Helper()
	nettest.Need(t, nettest.Tool("iptables"))
	f := &Firewall{h, open(t, h, "ufw/usr/sbin/ufw")}
	f.Shell(t, "cp -L /usr/share/ufw/iptables/*.rules /usr/share/ufw/ufw.conf /etc/ufw/ && ufw --force enable")
	h.Baseline()
	return f
}
