package hostfw

import (
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// StartUFW enables ufw with the configuration of its package: incoming and forwarded packets are dropped. No program keeps running.
func StartUFW(t testing.TB, h *nettest.Node) *Firewall {
	t.Helper()
	nettest.Need(t, nettest.Tool("iptables"))
	f := &Firewall{h, open(t, h, "ufw/usr/sbin/ufw")}
	f.Shell(t, "cp -L /usr/share/ufw/iptables/*.rules /usr/share/ufw/ufw.conf /etc/ufw/ && ufw --force enable")
	h.Baseline()
	return f
}
