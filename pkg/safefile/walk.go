package safefile

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

const maxLinks = 40 // MAXSYMLINKS of Linux

// walker resolves the directories of a path one by one with openat(2), each relative to
// the descriptor of its parent.
type walker struct {
	fd     int
	path   string // path of fd
	owner  uint32 // owner of fd
	links  int
	unsafe error // first directory in which another user can replace entries; nil if there is none
}

// openDir opens a directory with O_PATH. A link that another user could have created is
// an ErrSymlink.
func openDir(path string) (*walker, error) {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	w := &walker{fd: -1}
	if err := w.restart(); err != nil {
		return nil, err
	}
	if err := w.walk(absolute); err != nil {
		w.close()
		return nil, err
	}
	return w, nil
}

// close closes the current directory.
func (w *walker) close() {
	if w.fd >= 0 {
		_ = unix.Close(w.fd)
	}
}

// restart makes "/" the current directory.
func (w *walker) restart() error {
	fd, err := unix.Open("/", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: "/", Err: err}
	}
	return w.enter(fd, "/")
}

// enter makes a directory the current one.
func (w *walker) enter(fd int, path string) error {
	old := w.fd
	w.fd, w.path = fd, path
	if old >= 0 {
		_ = unix.Close(old)
	}
	var stat unix.Stat_t
	if err := unix.Fstat(fd, &stat); err != nil {
		return &os.PathError{Op: "stat", Path: path, Err: err}
	}
	w.owner = stat.Uid
	if w.unsafe == nil {
		w.unsafe = unsafeDir(path, &stat)
	}
	return nil
}

// unsafeDir returns why another user can replace entries of a directory. In a sticky
// directory only the owner of an entry can, which is checked when it is entered.
func unsafeDir(path string, stat *unix.Stat_t) error {
	switch {
	case !Trusted(stat.Uid):
		return refused(path, ErrOwner, fmt.Sprintf("uid %d", stat.Uid))
	case stat.Mode&unix.S_ISVTX != 0:
		return nil
	case stat.Mode&0o002 != 0 || stat.Mode&0o020 != 0 && stat.Gid != 0:
		return refused(path, ErrWritable, fmt.Sprintf("mode %04o, group %d", stat.Mode&0o7777, stat.Gid))
	}
	return nil
}

// walk enters the directories of a path, from the current one or from "/".
func (w *walker) walk(path string) error {
	if filepath.IsAbs(path) {
		if err := w.restart(); err != nil {
			return err
		}
	}
	for name := range strings.SplitSeq(path, "/") {
		if name == "" || name == "." {
			continue
		}
		if err := w.step(name); err != nil {
			return err
		}
	}
	return nil
}

// step enters a directory, or follows a link.
func (w *walker) step(name string) error {
	path := filepath.Join(w.path, name)
	fd, err := unix.Openat(w.fd, name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: path, Err: err}
	}
	var stat unix.Stat_t
	if err := unix.Fstat(fd, &stat); err != nil {
		return errors.Join(&os.PathError{Op: "stat", Path: path, Err: err}, unix.Close(fd))
	}
	switch stat.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		return w.enter(fd, path)
	case unix.S_IFLNK:
		defer unix.Close(fd)
		return w.follow(fd, path, stat.Uid)
	}
	return errors.Join(refused(path, ErrNotDir, kindOf(stat.Mode)), unix.Close(fd))
}

// follow walks to the target of a link that root or the effective user created, in a
// directory in which nobody else could have.
func (w *walker) follow(link int, path string, uid uint32) error {
	if w.unsafe != nil || !Trusted(uid) {
		return refused(path, ErrSymlink, "another user may have made it")
	}
	if w.links++; w.links > maxLinks {
		return &os.PathError{Op: "open", Path: path, Err: unix.ELOOP}
	}
	target := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(link, "", target)
	if err != nil {
		return &os.PathError{Op: "readlink", Path: path, Err: err}
	}
	return w.walk(string(target[:n]))
}
