package agentstatus

import (
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/safefile"
)

// Lock is the lock of a running agent on the directory of its files. The zero Lock is ready.
type Lock struct {
	fd   int
	held bool
	on   unix.Stat_t

	pause func(time.Duration) // of tests; nil: time.Sleep
}

// How often Hold tries, and the time in between: longer than a reader has its lock (Held).
const (
	tries    = 10
	tryAgain = 10 * time.Millisecond
)

// Hold takes the lock on the directory of a file, or takes it again if another directory has that path by now. A process that looks whether
// the agent runs has the lock for a moment, so that Hold tries for 100 ms. While another process has it for longer, it changes nothing,
// and the next call tries again. The end of the process releases the lock.
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
	if err := l.take(fd); err != nil {
		_ = unix.Close(fd)
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil
		}
		return fmt.Errorf("lock %s: %w", dir, err)
	}
	l.Release()
	l.fd, l.held = fd, true
	return unix.Fstat(fd, &l.on)
}

// take locks an open directory, or returns EWOULDBLOCK if another process has the lock all the time.
func (l *Lock) take(fd int) (err error) {
	pause := l.pause
	if pause == nil {
		pause = time.Sleep
	}
	for i := range tries {
		if i > 0 {
			pause(tryAgain)
		}
		if err = unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB); !errors.Is(err, unix.EWOULDBLOCK) {
			return err
		}
	}
	return err
}

// Release releases the lock.
func (l *Lock) Release() {
	if l.held {
		_ = unix.Close(l.fd)
		l.held = false
	}
}

// Held reports whether a process has the lock on the directory of a file. It takes a shared lock for a moment, for which nothing waits, and which
// Hold outlasts.
func Held(path string) bool {
	fd, err := safefile.OpenDir(filepath.Dir(path))
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	return isHeld(fd)
}

// isHeld reports whether another open file has the lock of an open directory. An error other than that, such as ENOLCK of a file system
// without locks, says nothing about it.
func isHeld(fd int) bool {
	return errors.Is(unix.Flock(fd, unix.LOCK_SH|unix.LOCK_NB), unix.EWOULDBLOCK)
}
