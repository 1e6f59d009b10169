package nettest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"
)

// etcDir is a directory of which every host has its own copy: what a test changes in it stays in the host.
const etcDir = "/etc"

// The files of name resolution that a host has instead of the machine's.
const (
	hostsText    = "127.0.0.1 localhost\n::1 localhost\n"
	resolverText = "nameserver 192.0.2.53\n"
)

// ownEtc gives the calling thread's mount namespace a directory /etc of its own, with the files of the machine, but
// without its networks and the files of its named namespaces, and with other name servers and host names.
func ownEtc() error {
	err := overlayEtc()
	if errors.Is(err, unix.ENODEV) || errors.Is(err, unix.EINVAL) { // no overlayfs, or too many of them one over the other
		err = bindEtc()
	}
	if err != nil {
		return fmt.Errorf("make a directory %s: %w", etcDir, err)
	}
	return errors.Join(replaceFile("/etc/hosts", hostsText), replaceFile("/etc/resolv.conf", resolverText))
}

// overlayEtc mounts an overlay on /etc. Its upper layer is a tmpfs that no path leads to afterwards.
func overlayEtc() error {
	const layers = "/run/nettest-etc"
	if err := mountTmpfs(layers); err != nil {
		return err
	}
	defer func() {
		_ = unix.Unmount(layers, unix.MNT_DETACH)
		_ = os.Remove(layers)
	}()
	options := "lowerdir=" + etcDir
	for _, layer := range []string{"upperdir", "workdir"} {
		path := filepath.Join(layers, layer)
		if err := os.Mkdir(path, 0o755); err != nil {
			return err
		}
		options += "," + layer + "=" + path
	}
	if err := unix.Mount("overlay", etcDir, "overlay", 0, options); err != nil {
		return err
	}
	return removeUnder(etcDir, unix.OVERLAYFS_SUPER_MAGIC, notCopied()...)
}

// notCopied returns the directories of the machine's /etc that a host does not have.
func notCopied() []string { return []string{"/etc/cni", "/etc/netns"} }

// removeUnder deletes directories if the one above is of the file system that was mounted: never the machine's.
func removeUnder(top string, magic int64, dirs ...string) error {
	var fs unix.Statfs_t
	if err := unix.Statfs(top, &fs); err != nil {
		return err
	}
	if fs.Type != magic {
		return fmt.Errorf("%s is not what was mounted there: type %#x", top, fs.Type)
	}
	for _, dir := range dirs {
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
	}
	return nil
}

// bindEtc mounts a tmpfs on /etc, with a bind mount for each entry of the machine's that is a directory, a copy of each
// small file, and its symbolic links. The directories are read-only: only a kernel without overlayfs needs this.
func bindEtc() error {
	machine, err := unix.Open(etcDir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(machine)
	entries, err := os.ReadDir(etcDir)
	if err != nil {
		return err
	}
	if err := mountTmpfs(etcDir); err != nil {
		return err
	}
	for _, e := range entries {
		from := fmt.Sprintf("/proc/thread-self/fd/%d/%s", machine, e.Name())
		if err := bringEntry(from, filepath.Join(etcDir, e.Name()), e); err != nil {
			return err
		}
	}
	return nil
}

// bringEntry makes an entry of the machine's /etc visible at another path.
func bringEntry(from, to string, e fs.DirEntry) error {
	switch {
	case e.Type()&fs.ModeSymlink != 0:
		target, err := os.Readlink(from)
		if err != nil {
			return err
		}
		return os.Symlink(target, to)
	case slices.Contains(notCopied(), to):
		return nil
	case e.IsDir():
		if err := os.Mkdir(to, 0o755); err != nil {
			return err
		}
		if err := unix.Mount(from, to, "", unix.MS_BIND, ""); err != nil {
			return err
		}
		return unix.Mount("", to, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, "")
	case e.Type().IsRegular():
		return copyEntry(from, to)
	}
	return nil
}

func copyEntry(from, to string) error {
	info, err := os.Stat(from)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, text, info.Mode().Perm())
}

// replaceFile replaces a file of the host's own /etc: a container may have the machine's as a mount, and another program
// may have made it a link into /run, which is empty.
func replaceFile(path, text string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("replace %s: %w", path, err)
	}
	return os.WriteFile(path, []byte(text), 0o644)
}

func mountTmpfs(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make %s: %w", dir, err)
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=755"); err != nil {
		return fmt.Errorf("mount tmpfs on %s: %w", dir, err)
	}
	return nil
}
