package link

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"golang.org/x/sys/unix"
)

// PinNetns creates a network namespace with a name, as "ip netns add" does: a file in a directory whose
// mounts are shared, onto which the namespace is bind-mounted, and sets lo up. It creates the directory
// if it does not exist. Errors wrap ErrExists if something is at the path, which is then left alone.
//
// Note is called with the identity of the namespace before it has the name: if the process is killed, no
// name is left without its note. An error of note ends PinNetns, which removes what it has created.
//
// With a path in /run/netns, ip netns exec, nsenter and other tools find it. It is held by
// the mount: without a process in it, it exists until UnpinNetns or a reboot.
func PinNetns(path string, note func(NetnsID) error) error {
	if err := shareDir(filepath.Dir(path)); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_RDONLY|os.O_CREATE|os.O_EXCL, 0o444)
	if errors.Is(err, os.ErrExist) {
		return fmt.Errorf("%s: %w", path, ErrExists)
	}
	if err != nil {
		return fmt.Errorf("create network namespace: %w", err)
	}
	f.Close()
	err = bindNewNetns(path, note)
	if err == nil {
		err = loopbackUp(path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("create network namespace %s: %w", path, err), UnpinNetns(path))
	}
	return nil
}

// bindNewNetns creates a namespace and binds it onto a file. It runs on a thread of its own that is never
// unlocked: the Go runtime ends such a thread, and nothing else runs in the new namespace.
//
// Returning the thread with setns(2) instead would be cheaper, and wrong if it failed: the
// runtime would run other goroutines of the host on it. "/proc/self" would be the first
// thread's namespace.
func bindNewNetns(path string, note func(NetnsID) error) error {
	const own = "/proc/thread-self/ns/net"
	made := make(chan error)
	go func() {
		runtime.LockOSThread()
		err := unix.Unshare(unix.CLONE_NEWNET)
		id := NetnsID{}
		if err == nil {
			id, err = identify(own)
		}
		if err == nil {
			err = note(id)
		}
		if err == nil {
			err = unix.Mount(own, path, "", unix.MS_BIND, "")
		}
		made <- err
	}()
	return <-made
}

// NetnsID identifies a network namespace among all of this boot. The inode alone is not sufficient: the
// kernel reuses the number after a namespace is destroyed.
type NetnsID struct {
	Cookie uint64 // 0 before Linux 5.14
	Inode  uint64
}

// String returns a text that is unique among the namespaces of this boot and contains no slash.
func (id NetnsID) String() string { return fmt.Sprintf("%x.%d", id.Cookie, id.Inode) }

// identify returns the identity of the namespace of the calling thread, whose file is at path.
//
// The cookie is read from a socket, which has that of the namespace in which it was opened:
// older kernels have no ioctl of the file for it.
func identify(path string) (NetnsID, error) {
	var stat unix.Stat_t
	if err := unix.Stat(path, &stat); err != nil {
		return NetnsID{}, err
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return NetnsID{}, err
	}
	defer unix.Close(fd)
	cookie, _ := unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_NETNS_COOKIE)
	return NetnsID{Cookie: cookie, Inode: stat.Ino}, nil
}

// IdentifyNetns returns the identity of the namespace at a path. Errors are those of OpenSandbox.
func IdentifyNetns(path string) (NetnsID, error) {
	s, err := OpenSandbox(path, false)
	if err != nil {
		return NetnsID{}, err
	}
	defer s.Close()
	var stat unix.Stat_t
	if err := unix.Fstat(int(s.file.Fd()), &stat); err != nil {
		return NetnsID{}, fmt.Errorf("identify network namespace %s: %w", path, err)
	}
	return NetnsID{Cookie: s.Cookie(), Inode: stat.Ino}, nil
}

// loopbackUp sets lo up in the namespace at a path.
func loopbackUp(path string) error {
	s, err := OpenSandbox(path, false)
	if err != nil {
		return err
	}
	defer s.Close()
	return s.setUp(loopback)
}

// shareDir creates a directory and makes the mounts below it shared, so that they appear in and, above
// all, disappear from mount namespaces that were copied from this one: otherwise a namespace that is
// unmounted here would stay mounted, and exist, there. "ip netns" does the same.
func shareDir(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("create directory of named namespaces: %w", err)
	}
	err := unix.Mount("", dir, "", unix.MS_SHARED|unix.MS_REC, "")
	if errors.Is(err, unix.EINVAL) { // it is not a mount point yet
		if err = unix.Mount(dir, dir, "", unix.MS_BIND|unix.MS_REC, ""); err == nil {
			err = unix.Mount("", dir, "", unix.MS_SHARED|unix.MS_REC, "")
		}
	}
	if err != nil {
		return fmt.Errorf("share mounts of %s: %w", dir, err)
	}
	return nil
}

// UnpinNetns removes a name, as "ip netns del" does: the kernel destroys the namespace when no process is
// in it either. A name that does not exist is no error.
//
// EINVAL: it is not a mount point, because PinNetns was interrupted or the file is one that
// a reboot left. MNT_DETACH unmounts it although a process may be using the file.
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

// NetnsCookie returns the cookie of the namespace at a path; 0 before Linux 5.14. Errors are those of
// OpenSandbox.
func NetnsCookie(path string) (uint64, error) {
	s, err := OpenSandbox(path, false)
	if err != nil {
		return 0, err
	}
	defer s.Close()
	return s.Cookie(), nil
}
