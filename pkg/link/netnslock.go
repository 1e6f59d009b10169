package link

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// lockTimeout is how long a process waits for the lock of a network namespace at most, unless
// Sandbox.Until is earlier.
const lockTimeout = 10 * time.Second

// lock takes an exclusive flock(2) on the namespace, and returns the function that releases it. Errors
// wrap ErrLocked if another process holds the lock for too long.
//
// The lock is on the inode of the namespace in nsfs, whatever path leads to it, and ends with the process.
// The file is the one that is open already: opening the path with O_CREAT, as the reference plugin does,
// would create a file where the namespace is gone.
func (s *Sandbox) lock() (unlock func(), err error) {
	unlock = func() { _ = unix.Flock(int(s.file.Fd()), unix.LOCK_UN) }
	err = unix.Flock(int(s.file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		err = s.awaitLock()
	}
	if err != nil {
		return nil, fmt.Errorf("lock network namespace %s: %w", s.Path, err)
	}
	return unlock, nil
}

// awaitLock waits for the lock in a goroutine, because flock(2) has no timeout. The goroutine has a
// descriptor of its own: if it gets the lock after the caller has given up, closing both releases it.
func (s *Sandbox) awaitLock() error {
	fd, err := unix.FcntlInt(s.file.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return err
	}
	locked := make(chan error, 1)
	go func() {
		defer unix.Close(fd)
		for {
			err := unix.Flock(fd, unix.LOCK_EX)
			if !errors.Is(err, unix.EINTR) {
				locked <- err
				return
			}
		}
	}()
	wait := lockTimeout
	if !s.Until.IsZero() {
		wait = min(wait, time.Until(s.Until))
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case err := <-locked:
		return err
	case <-timer.C:
		return ErrLocked
	}
}
