package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"
)

// DirLock is a lock of one or more state directories. A verb holds it shared
// while it uses addresses of a bridge that its record names. A verb that removes
// addresses which no record names holds it exclusively, and lists the records
// under it: so no record can appear between the list and the removal.
type DirLock struct {
	files []*os.File
}

// LockDirs locks state directories, shared or exclusively. It skips directories
// that do not exist, and locks a directory once that is given by two names.
// Errors are those of Open.
func LockDirs(ctx context.Context, shared bool, dirs ...string) (*DirLock, error) {
	how := unix.LOCK_EX
	if shared {
		how = unix.LOCK_SH
	}
	l := &DirLock{}
	for _, dir := range dirs {
		f, err := openLockOf(dir)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		// flock(2) belongs to the open file description: a second one of the
		// same file would wait for the first for ever.
		if err == nil && l.has(f) {
			f.Close()
			continue
		}
		if err == nil {
			err = lockMode(ctx, f, how)
		}
		if err != nil {
			l.Unlock()
			return nil, fmt.Errorf("lock state directory %s: %w", dir, err)
		}
		l.files = append(l.files, f)
	}
	return l, nil
}

// has reports whether a file is locked already, by device and inode.
func (l *DirLock) has(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && slices.ContainsFunc(l.files, func(other *os.File) bool {
		held, err := other.Stat()
		return err == nil && os.SameFile(info, held)
	})
}

// openLockOf opens the file that is locked for a state directory. That is the
// directory itself, unless other users may open it: a user who can open a file can
// also lock it, and would block every ADD. In that case it is the file
// .ruleset, which has mode 0600.
func openLockOf(dir string) (*os.File, error) {
	f, err := os.OpenFile(dir, unix.O_DIRECTORY|unix.O_NONBLOCK|os.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	// Others need read permission to open a directory.
	info, err := f.Stat()
	if err == nil && info.Mode().Perm()&0o044 == 0 {
		return f, nil
	}
	f.Close()
	if err != nil {
		return nil, err
	}
	return openState(filepath.Join(dir, rulesetLock), os.O_RDWR|os.O_CREATE)
}

// Unlock releases the lock.
func (l *DirLock) Unlock() {
	for _, f := range l.files {
		f.Close()
	}
	l.files = nil
}
