package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// lock takes an exclusive flock(2) on a file, or closes the file. It returns a
// *BusyError when the lock budget of ctx is used up, and ctx's error if ctx ends first.
func lock(ctx context.Context, f *os.File) error { return lockMode(ctx, f, unix.LOCK_EX) }

// lockMode is lock for LOCK_EX or LOCK_SH. Most locks are free, so it tries
// without waiting first, and needs neither a goroutine nor a timer then.
func lockMode(ctx context.Context, f *os.File, how int) error {
	err := flock(f, how|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) && ctx.Err() == nil {
		return waitForLock(ctx, f, how)
	}
	if errors.Is(err, unix.EWOULDBLOCK) {
		err = ctx.Err()
	}
	if err != nil {
		f.Close()
	}
	return err
}

// waitForLock waits for a lock that another process holds. flock(2) has no
// timeout, so a goroutine calls it. If the goroutine never returns, it ends with
// the process. If it gets the lock after the caller has given up, it closes the
// file. The caller must not close it earlier: flock(2) would then use a
// descriptor number that may belong to another file.
func waitForLock(ctx context.Context, f *os.File, how int) error {
	p, began := budgetOf(ctx), time.Now()
	left := p.remaining()
	// Do not start a goroutine that could outlive this call for a wait of 0.
	if left == 0 {
		defer f.Close()
		return busy(f, 0)
	}
	defer p.spend(began)
	// locked is unbuffered: the goroutine learns from given, if not from a
	// receiver, that nobody needs the lock any more.
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
	timer := time.NewTimer(left)
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
		return busy(f, time.Since(began))
	}
}

// flock calls flock(2) again after EINTR, which the Go runtime's signals cause.
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
