package nettest

import (
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// bootIDPath is where the kernel says which boot this is; see random(4).
const bootIDPath = "/proc/sys/kernel/random/boot_id"

// Reboot does to the host what a reboot of a machine does: its containers and its links are gone, /run is
// new and empty, the boot ID is another one. /var/lib stays. The network namespace, and with it
// its cookie, is the same: what a test attaches afterwards, it attaches to this host.
func (h *Node) Reboot() {
	h.t.Helper()
	h.Restart()
	var err error
	h.Do(func() { err = h.newBootID() })
	if err != nil {
		h.t.Fatalf("reboot: %v", err)
	}
}

// Restart is Reboot without another boot ID: it is what the restart of a node in a container
// looks like from inside, but for the namespace.
func (h *Node) Restart() {
	h.t.Helper()
	for _, c := range h.living() {
		c.Delete()
	}
	links, err := h.Netlink().LinkList()
	if err != nil {
		h.t.Fatalf("restart: list links: %v", err)
	}
	for _, l := range links {
		if l.Attrs().Index != 1 { // what went with its container's namespace is gone already
			_ = h.Netlink().LinkDel(&netlink.Device{LinkAttrs: netlink.LinkAttrs{Index: l.Attrs().Index}})
		}
	}
	h.Do(func() { err = newRun() })
	if err != nil {
		h.t.Fatalf("restart: %v", err)
	}
}

// newRun covers /run with an empty tmpfs.
func newRun() error {
	keep := keepDirs()
	defer keep.close()
	if err := unix.Mount("tmpfs", "/run", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=755"); err != nil {
		return fmt.Errorf("mount tmpfs on /run: %w", err)
	}
	if err := keep.restore(); err != nil {
		return err
	}
	return mountPins()
}

// newBootID binds a file with a random ID over the kernel's.
func (h *Node) newBootID() error {
	id := make([]byte, 16)
	_, _ = rand.Read(id)
	path := filepath.Join(h.t.TempDir(), "boot_id")
	text := fmt.Sprintf("%x-%x-%x-%x-%x\n", id[:4], id[4:6], id[6:8], id[8:10], id[10:])
	if err := os.WriteFile(path, []byte(text), 0o444); err != nil {
		return fmt.Errorf("write boot ID: %w", err)
	}
	if err := unix.Mount(path, bootIDPath, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("bind boot ID: %w", err)
	}
	return nil
}
