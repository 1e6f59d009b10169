package hostbridge

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/safefile"
)

// Dir is the directory of the lock and of bridges that are not decided on. Network names cannot begin with a dot, so
// that it is none of a network.
const Dir = "/run/patchbay/.bridge"

// ErrBusy reports that another process creates or deletes a bridge.
var ErrBusy = errors.New("another patchbay bridge create or delete is not finished")

// dir is the open directory.
type dir struct{ fd int }

// openDir opens the directory; with create it is created.
func openDir(create bool) (*dir, error) {
	for _, path := range []string{filepath.Dir(Dir), Dir} {
		if !create {
			break
		}
		if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
			return nil, err
		}
	}
	fd, err := safefile.OpenDir(Dir)
	if err != nil {
		return nil, err
	}
	return &dir{fd}, nil
}

func (d *dir) close() { unix.Close(d.fd) }

// lock takes the lock, which the returned file and the watchdog hold. It does not wait; an ErrBusy names the bridge of the other
// process.
func (d *dir) lock() (*os.File, error) {
	fd, err := unix.Openat(d.fd, "lock", unix.O_RDWR|unix.O_CREAT|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open %s/lock: %w", Dir, err)
	}
	file := os.NewFile(uintptr(fd), Dir+"/lock")
	if err := unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB); err != nil {
		file.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, d.busy()
		}
		return nil, fmt.Errorf("lock %s: %w", file.Name(), err)
	}
	return file, nil
}

// write writes a file, completely or not at all.
func (d *dir) write(name string, content []byte) error {
	const temp = ".new"
	_ = unix.Unlinkat(d.fd, temp, 0) // left by a process that was killed: the caller holds the lock
	err := safefile.Create(d.fd, temp, safefile.Attributes{UID: os.Geteuid(), GID: os.Getegid(), Mode: 0o600}, bytes.NewReader(content))
	if err != nil {
		return fmt.Errorf("create %s/%s: %w", Dir, name, err)
	}
	return d.rename(temp, name)
}

// rename renames a file and synchronizes the directory.
func (d *dir) rename(from, to string) error {
	if err := unix.Renameat(d.fd, from, d.fd, to); err != nil {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: err}
	}
	return unix.Fsync(d.fd)
}

// remove removes a file.
func (d *dir) remove(name string) error {
	if err := unix.Unlinkat(d.fd, name, 0); err != nil {
		return &os.PathError{Op: "remove", Path: filepath.Join(Dir, name), Err: err}
	}
	return nil
}

func (d *dir) exists(name string) bool {
	var stat unix.Stat_t
	return unix.Fstatat(d.fd, name, &stat, unix.AT_SYMLINK_NOFOLLOW) == nil
}
