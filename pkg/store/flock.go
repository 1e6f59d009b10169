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
	q := &queue{budget: budgetOf(ctx), file: f, began: time.Now(), changed: modified(f)}
	q.since = q.began
	// Do not start a goroutine that could outlive this call for a wait of 0.
	if q.left() == 0 {
		defer f.Close()
		return busy(f, 0)
	}
	defer func() { q.budget.spend(q.since) }()
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
	return q.wait(ctx, locked)
}

// queue is one wait for a lock.
type queue struct {
	budget       *lockBudget
	file         *os.File
	began, since time.Time     // of the wait; when the lock is known to have changed hands last
	changed      unix.Timespec // mtime of the file when look was called last; see touch
}

// left returns how long the wait may still take.
func (q *queue) left() time.Duration { return q.budget.remaining(q.since) }

// looks is how often within the budget a wait looks whether the lock has changed hands.
const looks = 4

// wait returns when the lock was taken, ctx ended, or the budget is used up.
func (q *queue) wait(ctx context.Context, locked <-chan error) error {
	step := max(q.left()/looks, time.Millisecond)
	timer := time.NewTimer(step)
	defer timer.Stop()
	for {
		select {
		case err := <-locked:
			if err != nil {
				q.file.Close()
				return err
			}
			touch(q.file)
			return nil
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
		}
		q.look()
		left := q.left()
		if left == 0 && !q.starves(step) {
			return busy(q.file, time.Since(q.began))
		}
		timer.Reset(min(step, max(left, time.Millisecond)))
	}
}

// look notes that another process has got the lock.
func (q *queue) look() {
	if now := modified(q.file); now != q.changed {
		q.changed, q.since = now, time.Now()
	}
}

// starves reports whether the lock stays where it is only because processes wait for a CPU: nobody has it at this moment, so that the next one
// of the queue is about to get it, or a thread of the holder runs or would run. It then gives the wait another step of time.
func (q *queue) starves(step time.Duration) bool {
	if !q.budget.lasts() {
		return false
	}
	holder := lockHolder(q.file)
	if holder == 0 && !isFree(q.file) || holder != 0 && !runs(holder) {
		return false
	}
	q.since = q.since.Add(step)
	return true
}

// isFree reports whether nobody holds the lock of a file, by taking it for a moment through a descriptor of its own.
func isFree(f *os.File) bool {
	fd, err := unix.Open(fmt.Sprintf("/proc/self/fd/%d", f.Fd()), unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	return unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB) == nil
}

// touch sets the mtime of a lock file, by which the others that wait see that the queue moves. It is called only after a wait: nobody waits for
// a lock that was free. /proc/locks has the holder too, but a hundred processes that read it take as much CPU time as their verbs. A program
// that does not touch the file, or a file system that is read-only, looks like a queue that does not move.
func touch(f *os.File) { _ = unix.UtimesNanoAt(int(f.Fd()), "", nil, unix.AT_EMPTY_PATH) }

// modified returns the mtime of a file, 0 if it cannot be read.
func modified(f *os.File) unix.Timespec {
	var stat unix.Stat_t
	_ = unix.Fstat(int(f.Fd()), &stat)
	return stat.Mtim
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
