package boot

import (
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
	"github.com/patchbay-cni/patchbay/test/kit/vm"
)

// TestMachine: a machine boots, runs commands, and keeps its files when it is rebooted or its power is cut.
func TestMachine(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	h.NoOracle("the machine is what is tested; this host has only the router")
	router := h.Container("router")
	m := vm.Start(t, router.Netns, "tap0")
	expect.Equal(t, "interfaces", strings.Fields(m.Shell(t, "ls /sys/class/net")), []string{"eth0", "lo"})
	r := m.Try(t, "sh", "-c", "echo out; echo err >&2; exit 3")
	expect.Equal(t, "result", r, vm.Result{Exit: 3, Stdout: "out\n", Stderr: "err\n"})
	t.Log(m.Shell(t, "uname -r; systemd-analyze"))

	boot := m.Shell(t, "cat /proc/sys/kernel/random/boot_id")
	for name, restart := range map[string]func(testing.TB){"reboot": m.Reboot, "power cycle": m.PowerCycle} {
		m.Write(t, "/root/kept", "0640", []byte(name))
		restart(t)
		expect.Equal(t, name, m.Shell(t, "stat -c %a /root/kept; cat /root/kept"), "640\n"+name)
		now := m.Shell(t, "cat /proc/sys/kernel/random/boot_id")
		if now == boot {
			t.Errorf("%s: the boot ID is the same", name)
		}
		boot = now
	}
}
