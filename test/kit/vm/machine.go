package vm

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

const (
	limit   = 40 * time.Minute // of the time from power on to power off, also on a busy machine
	starts  = 10 * time.Minute // of a boot
	atOnce  = 2                // machines
	memory  = 1024             // MiB of each
	atMost  = 4 << 10          // bytes of the console that are printed
	address = "52:54:00:00:53:%02x"
)

// turns limits how many machines run at once.
var turns = make(chan struct{}, atOnce)

// Machine is a virtual machine.
type Machine struct {
	files
	dir     string // of its own files
	outside *nettest.Netns
	taps    []string
	*power
}

// Start boots a machine whose interfaces eth0, eth1 ... are taps in a network namespace, which Start creates: of the test's outside. They stay when the
// machine is switched off. When Start returns, systemd has started everything that the image enables. The machine ends with the test.
func Start(t testing.TB, outside *nettest.Netns, taps ...string) *Machine {
	t.Helper()
	m := &Machine{files: findFiles(t), outside: outside, taps: taps}
	turns <- struct{}{}
	t.Cleanup(func() { <-turns })
	m.dir = t.TempDir()
	if err := m.writeInitramfs(m.own("initramfs")); err != nil {
		t.Fatal(err)
	}
	if err := m.createDisk(m.own("disk")); err != nil {
		t.Fatal(err)
	}
	for _, tap := range taps {
		outside.Run(t, "ip", "tuntap", "add", "dev", tap, "mode", "tap")
	}
	t.Cleanup(func() { m.end(t) })
	m.boot(t)
	return m
}

// own returns the path of a file of the machine.
func (m *Machine) own(name string) string { return filepath.Join(m.dir, name) }

// end powers the machine off, and prints the end of its console if the test has failed.
func (m *Machine) end(t testing.TB) {
	if m.power == nil {
		return
	}
	m.off()
	if t.Failed() {
		t.Logf("%s%s", m.stderr.Bytes(), m.consoleEnd())
	}
}

// consoleEnd returns the end of what the machine wrote to its console.
func (m *Machine) consoleEnd() string {
	text, err := os.ReadFile(m.own("console"))
	if err != nil {
		return err.Error()
	}
	return "the end of the machine's console:\n" + string(text[max(0, len(text)-atMost):])
}

// Reboot reboots the machine as an administrator does, and returns when it has booted again. What it has written stays. qemu starts anew for it,
// because after a reset it emulates more slowly.
func (m *Machine) Reboot(t testing.TB) {
	t.Helper()
	m.Run(t, "systemctl", "--no-block", "reboot")
	select {
	case <-m.ended:
	case <-time.After(starts):
		t.Fatalf("the machine did not shut down in %v\n%s", starts, m.consoleEnd())
	}
	m.boot(t)
}

// PowerCycle cuts the power after the file systems were written, and returns when the machine has booted again.
func (m *Machine) PowerCycle(t testing.TB) {
	t.Helper()
	m.Run(t, "sync")
	m.off()
	m.boot(t)
}

// boot switches the machine on and waits until systemd has started everything. It requires that nothing failed.
func (m *Machine) boot(t testing.TB) {
	t.Helper()
	began := time.Now()
	if err := m.on(); err != nil {
		t.Fatalf("start the machine: %v", err)
	}
	select {
	case <-m.ready:
	case <-m.ended:
		t.Fatal("the machine ended while it booted")
	case <-time.After(starts):
		t.Fatalf("the machine did not boot in %v", starts)
	}
	if a := m.Try(t, "systemctl", "is-system-running", "--wait"); a.Exit != 0 {
		failed := m.Try(t, "systemctl", "--failed", "--no-legend", "--plain")
		t.Fatalf("systemd: %s%s%s", a.Stdout, a.Stderr, failed.Stdout)
	}
	t.Logf("booted in %v", time.Since(began).Round(100*time.Millisecond))
}

// network returns the arguments of qemu for the interfaces.
func (m *Machine) network() (args []string) {
	for i, tap := range m.taps {
		id := "net" + strconv.Itoa(i)
		args = append(args, "-netdev", "tap,id="+id+",ifname="+tap+",script=no,downscript=no",
			"-device", "virtio-net-pci,romfile=,netdev="+id+",mac="+fmt.Sprintf(address, 0x10+i))
	}
	return args
}
