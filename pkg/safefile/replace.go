package safefile

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Replace replaces the file by one with another content, and the same mode and owner,
// completely or not at all. If the name leads to another file by now, or the file was
// written since it was opened, nothing is changed and the error wraps ErrChanged. A
// file opened with Rules.FollowLinks cannot be replaced.
func (f *File) Replace(text []byte) error {
	if f.dir < 0 {
		return fmt.Errorf("replace %s: %w followed", f.path, ErrSymlink)
	}
	temp := ".patchbay-" + rand.Text()
	owned := Attributes{int(f.stat.Uid), int(f.stat.Gid), f.stat.Mode & 0o777}
	if err := Create(f.dir, temp, owned, bytes.NewReader(text)); err != nil {
		return fmt.Errorf("replace %s: %w", f.path, errors.Join(err, f.removeTemp(temp)))
	}
	if err := f.swap(temp); err != nil {
		return fmt.Errorf("replace %s: %w", f.path, errors.Join(err, f.removeTemp(temp)))
	}
	return f.syncDir()
}

// removeTemp deletes the temporary file.
func (f *File) removeTemp(temp string) error {
	if err := unix.Unlinkat(f.dir, temp, 0); err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("remove %s: %w", temp, err)
	}
	return nil
}

// swap exchanges the two names with renameat2(RENAME_EXCHANGE, Linux 3.15), checks that
// the old name led to the file that was read, and deletes that. A file that another
// process created meanwhile gets its name back.
func (f *File) swap(temp string) error {
	if err := f.unchanged(f.name); err != nil {
		return err
	}
	err := unix.Renameat2(f.dir, temp, f.dir, f.name, unix.RENAME_EXCHANGE)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) { // not supported by this file system or kernel
		return unix.Renameat(f.dir, temp, f.dir, f.name)
	}
	if err != nil {
		return err
	}
	if err := f.unchanged(temp); err != nil {
		return errors.Join(err, unix.Renameat2(f.dir, temp, f.dir, f.name, unix.RENAME_EXCHANGE))
	}
	return f.removeTemp(temp)
}

// unchanged reports whether a name leads to the file that was opened, unmodified since.
// It asks the open file for its inode again: overlayfs changes it by copying the file up.
func (f *File) unchanged(name string) error {
	var now, opened unix.Stat_t
	if err := unix.Fstatat(f.dir, name, &now, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return fmt.Errorf("%w: %w", ErrChanged, err)
	}
	if err := unix.Fstat(f.fd, &opened); err != nil {
		return err
	}
	if now.Dev != opened.Dev || now.Ino != opened.Ino || now.Size != f.stat.Size || now.Mtim != f.stat.Mtim {
		return ErrChanged
	}
	return nil
}

// syncDir synchronizes the directory, so that the new name survives a power failure.
// fsync(2) fails with EBADF on O_PATH, so it opens the directory for reading.
func (f *File) syncDir() error {
	fd, err := unix.Openat(f.dir, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil //nolint:nilerr // writable but not readable directory: the file itself is synchronized
	}
	defer unix.Close(fd)
	if err := unix.Fsync(fd); err != nil && !errors.Is(err, unix.EINVAL) {
		return &os.PathError{Op: "fsync", Path: f.path, Err: err}
	}
	return nil
}
