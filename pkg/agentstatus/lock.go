package agentstatus

import (
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/safefile"
)

// Lock is the lock of a running agent on the directory of its files. The zero Lock is ready.
type Lock struct {
	fd   int
	held bool
	on   unix.Stat_t
}

// Hold takes the lock on the directory of a file, or takes it again if another directory has that path by now. It does not wait: while
// another process has the lock it changes nothing, and the next call tries again. The end of the process gives the lock back.
func (l *Lock) Hold(path string) error {
	dir := filepath.Dir(path)
	var now unix.Stat_t
	if err := unix.Stat(dir, &now); err != nil {
		return err
	}
	if l.held && now.Dev == l.on.Dev && now.Ino == l.on.Ino {
		return nil
	}
	fd, err := safefile.OpenDir(dir)
	if err != nil {
		return err
	}
	if err := unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = unix.Close(fd)
		return nil //nolint:nilerr // see above
	}
	l.Release()
	l.fd, l.held = fd, true
	return unix.Fstat(fd, &l.on)
}

// Release gives the lock back.
func (l *Lock) Release() {
	if l.held {
		_ = unix.Close(l.fd)
		l.held = false
	}
}

// Held reports whether a process has the lock on the directory of a file. It takes a shared lock for a moment, for which nothing waits.
func Held(path string) bool {
	fd, err := safefile.OpenDir(filepath.Dir(path))
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	return unix.Flock(fd, unix.LOCK_SH|unix.LOCK_NB) != nil
}
