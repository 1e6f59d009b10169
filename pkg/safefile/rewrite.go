package safefile

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Rewrite replaces the content of the file in place, so that a program that has it open or
// mounted over another file sees the new content. It must not have been written since it
// was opened: then the error wraps ErrChanged, and nothing is changed.
//
// A process that is killed leaves a beginning of the new content, filled with newlines to
// the length of the old one, and the rest of the old content; in this order.
func (f *File) Rewrite(text []byte) error {
	fd, err := unix.Open(fmt.Sprintf("/proc/self/fd/%d", f.fd), unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: f.path, Err: err}
	}
	out := os.NewFile(uintptr(fd), f.path)
	var now unix.Stat_t
	if err = unix.Fstat(fd, &now); err == nil && (now.Mtim != f.stat.Mtim || now.Size != f.stat.Size) {
		err = refused(f.path, ErrChanged, "written since it was read")
	}
	if err == nil {
		err = overwrite(out, text, now.Size)
	}
	return errors.Join(err, out.Close())
}

// overwrite writes a text over a file of a size, and cuts the file to the length of the text.
func overwrite(out *os.File, text []byte, size int64) error {
	_, err := out.Write(Filled(text, size))
	if err == nil && int64(len(text)) < size {
		err = out.Truncate(int64(len(text)))
	}
	return err
}

// Filled returns a text with newlines up to a length in bytes.
func Filled(text []byte, length int64) []byte {
	missing := max(0, length-int64(len(text)))
	return append(bytes.Clone(text), bytes.Repeat([]byte("\n"), int(missing))...)
}

// Sync writes the content of the file to the disk.
func (f *File) Sync() error {
	if err := unix.Fsync(f.fd); err != nil {
		return &os.PathError{Op: "sync", Path: f.path, Err: err}
	}
	return nil
}

// New creates a file that does not exist yet, with its content. Nobody but root and the
// effective user may be able to change the directory. Errors wrap os.ErrExist, or are
// those of OpenDir.
func New(path string, mode uint32, text []byte) error {
	dir, err := OpenDir(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	fd, err := unix.Openat(dir, filepath.Base(path), unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, mode)
	if err != nil {
		return &os.PathError{Op: "create", Path: path, Err: err}
	}
	out := os.NewFile(uintptr(fd), path)
	if err = unix.Fchmod(fd, mode); err == nil { // whatever the umask is
		_, err = out.Write(text)
	}
	return errors.Join(err, out.Close())
}
