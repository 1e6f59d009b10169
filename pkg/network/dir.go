package network

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/safefile"
)

// dir is a directory of network configurations; file is nil if it does not exist.
type dir struct {
	path string
	file *os.File
}

// openDir opens a directory for reading.
func openDir(path string) (*dir, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	fd, err := safefile.OpenDir(path)
	if errors.Is(err, os.ErrNotExist) {
		return &dir{path: path}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("open directory of networks: %w", err)
	}
	return &dir{path, os.NewFile(uintptr(fd), path)}, nil
}

// makeDir opens a directory, and creates it and those above it if they do not exist.
func makeDir(path string) (*dir, error) {
	d, err := openDir(path)
	if err != nil || d.file != nil {
		return d, err
	}
	if err := os.MkdirAll(d.path, 0o755); err != nil {
		return nil, fmt.Errorf("create directory of networks: %w", err)
	}
	return openDir(d.path)
}

func (d *dir) close() {
	if d.file != nil {
		d.file.Close()
	}
}

// lock waits for other calls of Create and Remove.
func (d *dir) lock() error {
	if d.file == nil {
		return nil
	}
	if err := unix.Flock(int(d.file.Fd()), unix.LOCK_EX); err != nil {
		return &os.PathError{Op: "flock", Path: d.path, Err: err}
	}
	return nil
}

// write writes a file that must not exist, completely or not at all. The caller has the lock,
// so a file of the temporary name is what a killed call has left.
func (d *dir) write(name string, text []byte) error {
	temp := "." + name + ".tmp"
	fd, path := int(d.file.Fd()), filepath.Join(d.path, name)
	if err := unix.Unlinkat(fd, temp, 0); err != nil && !errors.Is(err, unix.ENOENT) {
		return &os.PathError{Op: "remove", Path: filepath.Join(d.path, temp), Err: err}
	}
	err := safefile.Create(fd, temp, safefile.Attributes{UID: os.Geteuid(), GID: os.Getegid(), Mode: 0o644}, bytes.NewReader(text))
	if err == nil {
		err = unix.Linkat(fd, temp, fd, name, 0)
	}
	if errors.Is(err, unix.EEXIST) {
		err = fmt.Errorf("%w: a file of another network has this name; choose another name", ErrTaken)
	}
	if failed := unix.Unlinkat(fd, temp, 0); !errors.Is(failed, unix.ENOENT) { // Create may have made none
		err = errors.Join(err, failed)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return d.file.Sync()
}

// remove deletes a file.
func (d *dir) remove(name string) error {
	if err := unix.Unlinkat(int(d.file.Fd()), name, 0); err != nil {
		return &os.PathError{Op: "remove", Path: filepath.Join(d.path, name), Err: err}
	}
	return d.file.Sync()
}
