package safefile

import (
	"errors"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Appender is a file opened for appending, and its directory.
type Appender struct {
	*os.File
	name string
	dir  int
}

// OpenAppend opens a file for appending, and creates it with mode 0600 if it does not
// exist. The file must be regular, belong to root or the effective user, and have one
// name; a symbolic link in its place is not followed. Errors are those of Open.
func OpenAppend(path string) (*Appender, error) {
	w, err := openDir(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	a := &Appender{name: filepath.Base(path), dir: w.fd}
	fd, err := unix.Openat(a.dir, a.name, unix.O_WRONLY|unix.O_APPEND|unix.O_CREAT|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, errors.Join(notAppended(path, err), unix.Close(a.dir))
	}
	a.File = os.NewFile(uintptr(fd), path)
	var stat unix.Stat_t
	if err = unix.Fstat(fd, &stat); err == nil {
		err = Rules{SharedGroup: true, MaxBytes: stat.Size}.check(path, &stat, 0)
	}
	if err != nil {
		return nil, errors.Join(err, a.Close())
	}
	return a, nil
}

// notAppended returns the error about a symbolic link, or a FIFO without a reader
// (ENXIO), in the place of the file.
func notAppended(path string, err error) error {
	switch {
	case errors.Is(err, unix.ELOOP):
		return refused(path, ErrSymlink, "not followed")
	case errors.Is(err, unix.ENXIO), errors.Is(err, unix.EISDIR):
		return refused(path, ErrNotRegular, "")
	}
	return &os.PathError{Op: "open", Path: path, Err: err}
}

// Is reports whether the name still leads to the open file.
func (a *Appender) Is() bool {
	var at, is unix.Stat_t
	err := errors.Join(unix.Fstatat(a.dir, a.name, &at, unix.AT_SYMLINK_NOFOLLOW), unix.Fstat(int(a.Fd()), &is))
	return err == nil && at.Dev == is.Dev && at.Ino == is.Ino
}

// Rename renames whatever is at the file's name, within the same directory.
func (a *Appender) Rename(name string) error {
	if err := unix.Renameat(a.dir, a.name, a.dir, name); err != nil {
		return &os.LinkError{Op: "rename", Old: a.File.Name(), New: name, Err: err}
	}
	return nil
}

// Close closes the file and its directory.
func (a *Appender) Close() error { return errors.Join(a.File.Close(), unix.Close(a.dir)) }
