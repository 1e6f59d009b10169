package nettest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// pinDir is where iproute2 and most runtimes pin network namespaces.
const pinDir = "/run/netns"

// ownDirs returns the directories every host has its own of.
func ownDirs() []string { return []string{"/run", "/var/lib"} }

// kept is a directory that lies below one of ownDirs and must stay visible.
type kept struct {
	path string
	fd   int
}

type keptDirs []kept

// keepDirs opens the directories that tests need and that a tmpfs would hide:
// some CI systems check out below /var/lib, and TMPDIR may be below /run. It
// must run in the new mount namespace, which is where they will be bound.
func keepDirs() keptDirs {
	var out keptDirs
	for _, dir := range neededDirs() {
		if !hidden(dir) {
			continue
		}
		fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err == nil {
			out = append(out, kept{path: dir, fd: fd})
		}
	}
	return out
}

// neededDirs returns the directories with the programs under test and with
// the temporary files of tests.
func neededDirs() []string {
	dirs := []string{os.TempDir()}
	if root, err := repoRoot(); err == nil {
		dirs = append(dirs, root)
	}
	if exe, err := os.Executable(); err == nil {
		dirs = append(dirs, filepath.Dir(exe))
	}
	if bin := os.Getenv(envBinary); bin != "" {
		dirs = append(dirs, filepath.Dir(bin))
	}
	if dir := os.Getenv(envPrograms); dir != "" {
		dirs = append(dirs, dir)
	}
	return dirs
}

// hidden reports whether path lies below a directory that a host has its own of.
func hidden(path string) bool {
	for _, dir := range ownDirs() {
		if strings.HasPrefix(filepath.Clean(path), dir+"/") {
			return true
		}
	}
	return false
}

func (k keptDirs) close() {
	for _, d := range k {
		_ = unix.Close(d.fd)
	}
}

// restore binds the kept directories back over the new tmpfs.
func (k keptDirs) restore() error {
	for _, d := range k {
		if err := os.MkdirAll(d.path, 0o755); err != nil {
			return fmt.Errorf("keep %s: %w", d.path, err)
		}
		from := fmt.Sprintf("/proc/thread-self/fd/%d", d.fd)
		if err := unix.Mount(from, d.path, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
			return fmt.Errorf("keep %s: bind: %w", d.path, err)
		}
	}
	return nil
}

// mountOwn makes the calling thread's new mount namespace the host's own.
func mountOwn() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	keep := keepDirs()
	defer keep.close()
	for _, dir := range ownDirs() {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("make %s: %w", dir, err)
		}
		if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=755"); err != nil {
			return fmt.Errorf("mount tmpfs on %s: %w", dir, err)
		}
	}
	if err := keep.restore(); err != nil {
		return err
	}
	if err := ownEtc(); err != nil {
		return err
	}
	return mountPins()
}

// mountPins makes /run/netns a shared mount, as the first `ip netns add` does. If
// that came later, it would copy the existing pins and so keep their namespaces.
func mountPins() error {
	err := os.Mkdir(pinDir, 0o755)
	if err != nil && !errors.Is(err, os.ErrExist) {
		return fmt.Errorf("make %s: %w", pinDir, err)
	}
	if err := unix.Mount(pinDir, pinDir, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("bind %s: %w", pinDir, err)
	}
	if err := unix.Mount("", pinDir, "", unix.MS_REC|unix.MS_SHARED, ""); err != nil {
		return fmt.Errorf("share %s: %w", pinDir, err)
	}
	return nil
}
