package hostfw

import (
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// bus is the configuration of a D-Bus on which root has all permissions.
const bus = `<busconfig>
<listen>unix:path=/run/dbus/system_bus_socket</listen>
<policy context="default">
<allow user="root"/><allow own="*"/><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/>
</policy>
</busconfig>`

// StartFirewalld starts firewalld on its own system bus, which firewall-cmd in Shell finds at the usual path. Every interface is in zone public:
// forwarded packets are rejected, except those with a translated destination.
func StartFirewalld(t testing.TB, h *nettest.Node) *Firewall {
	t.Helper()
	nettest.Need(t, nettest.NFTables, nettest.Tool("nft"))
	r := open(t, h, "firewalld/usr/sbin/firewalld")
	const start = "dbus-daemon --fork --config-file=/run/dbus/hostfw.conf </dev/null >/dev/null 2>&1" // it returns when it listens
	r.run(t, "mkdir -p /run/dbus && cat >/run/dbus/hostfw.conf <<'EOF'\n"+bus+"\nEOF\n"+start)
	r.start(t, "firewalld", "firewalld --nofork --nopid --log-file /run/firewalld.log", "firewall-cmd --state")
	h.Baseline()
	return &Firewall{h, r}
}
