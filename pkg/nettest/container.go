package nettest

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"

	"golang.org/x/sys/unix"
)

// Container is a network namespace pinned in the host's /run/netns, as a
// container runtime hands it to a CNI plugin: loopback and nothing else.
type Container struct {
	*Netns
	id    string
	path  string
	first *Snapshot
}

// Container creates a container: a new network namespace pinned at
// /run/netns/NAME, with lo up. The name is of letters, digits, '-', '_', '.'.
func (h *Node) Container(name string) *Container {
	h.t.Helper()
	if !regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]*$`).MatchString(name) {
		h.t.Fatalf("container name %q is not a CNI container ID", name)
	}
	c := &Container{id: containerID(name), path: filepath.Join(pinDir, name)}
	n, err := h.unshareNet(name, func() error { return pin(c.path) })
	if err != nil {
		h.t.Fatalf("make container %s: %v", name, err)
	}
	c.Netns = n
	if c.first, err = n.takeSnapshot(); err != nil {
		h.t.Fatalf("snapshot of container %s: %v", name, err)
	}
	n.stopThread()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.containers = append(h.containers, c)
	return c
}

// containerID returns the name, a dash and digits of its hash: 64 bytes in all
// as a runtime's IDs are, and still readable. The same name gives the same ID.
func containerID(name string) string {
	id := fmt.Sprintf("%s-%x", name, sha256.Sum256([]byte(name)))
	return id[:max(64, len(name))]
}

// pin binds the calling thread's network namespace to path.
func pin(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDONLY, 0o444)
	if err != nil {
		return fmt.Errorf("pin namespace: %w", err)
	}
	_ = f.Close()
	if err := unix.Mount("/proc/thread-self/ns/net", path, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("pin namespace at %s: %w", path, err)
	}
	return nil
}

// ID returns the container ID for CNI: 64 bytes, the same in every run.
func (c *Container) ID() string { return c.id }

// Path returns the path of the pin, valid in the host's mount namespace.
func (c *Container) Path() string { return c.path }

// Delete removes the pin and closes the namespace: unless a process is still in
// it, the kernel deletes it and its links a moment later.
// A second Delete does nothing.
func (c *Container) Delete() {
	c.t.Helper()
	h := c.host
	h.mu.Lock()
	i := slices.Index(h.containers, c)
	if i >= 0 {
		h.containers = slices.Delete(h.containers, i, i+1)
	}
	h.mu.Unlock()
	if i < 0 {
		return
	}
	c.Netns.close()
	var err error
	h.Do(func() { err = unpin(c.path) })
	if err != nil {
		c.t.Fatalf("delete container %s: %v", c.name, err)
	}
}

// unpin removes a pin. It returns nil if the code under test has removed it: the
// leak check does not cover that.
func unpin(path string) error {
	err := unix.Unmount(path, unix.MNT_DETACH)
	if err != nil && !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.EINVAL) {
		return fmt.Errorf("unmount %s: %w", path, err)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove pin: %w", err)
	}
	return nil
}
