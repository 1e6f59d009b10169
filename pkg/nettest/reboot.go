package nettest

import (
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// bootIDPath is the kernel's boot ID, see random(4).
const bootIDPath = "/proc/sys/kernel/random/boot_id"

// Reboot simulates a reboot: containers and links are deleted, /run is a new and empty tmpfs, and the
// boot ID changes. /var/lib stays. The network namespace and its cookie stay too, because later calls
// of the test use it.
func (h *Node) Reboot() {
	h.t.Helper()
	h.Restart()
	var err error
	h.Do(func() { err = h.newBootID() })
	if err != nil {
		h.t.Fatalf("reboot: %v", err)
	}
}

// Restart does what Reboot does, but keeps the boot ID, as when a node that is itself a container restarts; only
// the network namespace stays.
func (h *Node) Restart() {
	h.t.Helper()
	for _, c := range h.existing() {
		c.Delete()
	}
	links, err := h.Netlink().LinkList()
	if err != nil {
		h.t.Fatalf("restart: list links: %v", err)
	}
	for _, l := range links {
		if l.Attrs().Index != 1 { // veths may be deleted already, with the container's namespace
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
