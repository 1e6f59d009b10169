package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// LockTimeout is how long a verb waits for another one: well inside every runtime's deadline
// (kubelet's is two minutes).
const LockTimeout = 10 * time.Second

// ErrBusy is wrapped when a lock could not be had in LockTimeout.
var ErrBusy = errors.New("in use by another process")

// lock takes an exclusive flock, or closes the file. It ends with ErrBusy after LockTimeout
// and with ctx's error when that is done first.
func lock(ctx context.Context, f *os.File) error { return lockAs(ctx, f, unix.LOCK_EX) }

func lockAs(ctx context.Context, f *os.File, how int) error {
	err := flock(f, how|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) && ctx.Err() == nil {
		return wait(ctx, f, how)
	}
	if errors.Is(err, unix.EWOULDBLOCK) {
		err = ctx.Err()
	}
	if err != nil {
		f.Close()
	}
	return err
}

// wait is for a lock that somebody has. flock(2) knows no deadline, so a goroutine waits; if it
// never returns it ends with the process, and if it gets what nobody wants any more, it closes
// the file: not before, because the number would be another file's while flock still uses it.
func wait(ctx context.Context, f *os.File, how int) error {
	locked := make(chan error)
	given := make(chan struct{})
	defer close(given)
	go func() {
		err := flock(f, how)
		select {
		case locked <- err:
		case <-given:
			f.Close()
		}
	}()
	timer := time.NewTimer(LockTimeout)
	defer timer.Stop()
	select {
	case err := <-locked:
		if err != nil {
			f.Close()
		}
		return err
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return fmt.Errorf("%w%s for %s: %s", ErrBusy, holder(f), LockTimeout, f.Name())
	}
}

func flock(f *os.File, how int) error {
	for {
		err := unix.Flock(int(f.Fd()), how)
		if err == nil || errors.Is(err, unix.EWOULDBLOCK) {
			return err
		}
		if !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("lock %s: %w", f.Name(), err)
		}
	}
}

// holder is " (process 4711)", or nothing if /proc/locks does not tell.
func holder(f *os.File) string {
	var stat unix.Stat_t
	if unix.Fstat(int(f.Fd()), &stat) != nil {
		return ""
	}
	inode := fmt.Sprintf("%02x:%02x:%d", unix.Major(stat.Dev), unix.Minor(stat.Dev), stat.Ino)
	table, _ := os.ReadFile("/proc/locks")
	for line := range strings.Lines(string(table)) {
		// 1: FLOCK  ADVISORY  WRITE 4711 00:19:1234 0 EOF
		fields := strings.Fields(line)
		if len(fields) > 5 && fields[1] == "FLOCK" && fields[5] == inode {
			return " (process " + fields[4] + ")"
		}
	}
	return ""
}
