package link

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"golang.org/x/sys/unix"
)

// PinNetns makes a network namespace with a name, as `ip netns add` does: a file in a directory
// whose mounts are shared, with the namespace bound over it, and loopback up. It makes the directory
// if there is none. Errors wrap ErrExists if something is at the path, which is then left as it is.
func PinNetns(path string) error {
	if err := shareDir(filepath.Dir(path)); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_RDONLY|os.O_CREATE|os.O_EXCL, 0o444)
	if errors.Is(err, os.ErrExist) {
		return fmt.Errorf("%s %w", path, ErrExists)
	}
	if err != nil {
		return fmt.Errorf("make network namespace: %w", err)
	}
	f.Close()
	err = pinAnew(path)
	if err == nil {
		err = loopbackUp(path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("make network namespace %s: %w", path, err), UnpinNetns(path))
	}
	return nil
}

// pinAnew leaves the namespace to the thread that made it, which ends: nothing else runs on it.
func pinAnew(path string) error {
	made := make(chan error)
	go func() {
		runtime.LockOSThread()
		err := unix.Unshare(unix.CLONE_NEWNET)
		if err == nil {
			err = unix.Mount("/proc/thread-self/ns/net", path, "", unix.MS_BIND, "")
		}
		made <- err
	}()
	return <-made
}

func loopbackUp(path string) error {
	s, err := OpenSandbox(path, false)
	if err != nil {
		return err
	}
	defer s.Close()
	const loopback = 1 // the kernel makes it first
	return s.setUp(loopback)
}

// shareDir lets mounts below a directory appear in, and above all go from, the mount namespaces that
// were copied from this one: else a pin that is removed here would live on there.
func shareDir(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make directory of named namespaces: %w", err)
	}
	err := unix.Mount("", dir, "", unix.MS_SHARED|unix.MS_REC, "")
	if errors.Is(err, unix.EINVAL) { // it is no mount yet
		if err = unix.Mount(dir, dir, "", unix.MS_BIND|unix.MS_REC, ""); err == nil {
			err = unix.Mount("", dir, "", unix.MS_SHARED|unix.MS_REC, "")
		}
	}
	if err != nil {
		return fmt.Errorf("share mounts of %s: %w", dir, err)
	}
	return nil
}

// UnpinNetns takes a name away, as `ip netns del` does: the kernel destroys the namespace when no
// process is in it either. One that is gone is no error.
func UnpinNetns(path string) error {
	err := unix.Unmount(path, unix.MNT_DETACH)
	if err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("remove network namespace %s: %w", path, err)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove network namespace: %w", err)
	}
	return nil
}

// NetnsCookie is the cookie of the namespace at a path; 0 before Linux 5.14. Errors are
// OpenSandbox's.
func NetnsCookie(path string) (uint64, error) {
	s, err := OpenSandbox(path, false)
	if err != nil {
		return 0, err
	}
	defer s.Close()
	return s.Cookie(), nil
}
