package safefile

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// OpenDir opens a directory for reading and returns its descriptor, which the caller
// closes. Nobody but root and the effective user may be able to change its entries: the
// directory and all above it must pass the checks of CheckDirs. Symbolic links on the
// way are followed only if nobody else could have created them. Errors wrap ErrOwner,
// ErrWritable, ErrSymlink or ErrNotDir, or are the system's.
func OpenDir(path string) (fd int, err error) {
	w, err := openDir(path)
	if err != nil {
		return -1, err
	}
	defer w.close()
	if w.unsafe != nil {
		return -1, w.unsafe
	}
	fd, err = unix.Openat(w.fd, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, &os.PathError{Op: "open", Path: path, Err: err}
	}
	return checkedDir(fd, path)
}

// OpenSubdir opens a directory below an open one as OpenDir does. A symbolic link in
// its place is an ErrNotDir.
func OpenSubdir(dir int, name, path string) (fd int, err error) {
	fd, err = unix.Openat(dir, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP) {
		return -1, refused(path, ErrNotDir, "not followed")
	}
	if err != nil {
		return -1, &os.PathError{Op: "open", Path: path, Err: err}
	}
	return checkedDir(fd, path)
}

// checkedDir returns the descriptor of an open directory, or closes it and returns why
// another user can change its entries.
func checkedDir(fd int, path string) (int, error) {
	var stat unix.Stat_t
	err := unix.Fstat(fd, &stat)
	if err == nil {
		err = checkOwn(path, &stat)
	}
	if err != nil {
		return -1, errors.Join(err, unix.Close(fd))
	}
	return fd, nil
}
