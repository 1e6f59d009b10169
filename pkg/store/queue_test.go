package store

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"
)

// TestQueueThatMoves: the last of a queue waits longer than its budget, because other processes get the lock one after the other.
//
// Claim: A verb waits for a lock while it passes from process to process, up to its deadline, and fails when one process holds it for 10 s without running
func TestQueueThatMoves(t *testing.T) {
	t.Parallel()
	const stuck, held = 4 * time.Second, 2500 * time.Millisecond
	dirs := newDirs(t)
	first := startOther(t, dirs)
	first.does("open")
	first.does("save")
	before := []*other{first}
	for range 2 {
		next := startOther(t, dirs)
		fmt.Fprintln(next.words, "open")
		awaitWaiters(t, recordPath(dirs, "c1"), len(before))
		before = append(before, next)
	}
	began, got := time.Now(), make(chan opened, 1)
	go func() {
		a, err := Open(WithLockBudget(context.Background(), stuck, began.Add(time.Minute)), dirs, keyFor("c1"))
		got <- opened{a, err}
	}()
	awaitWaiters(t, recordPath(dirs, "c1"), len(before))
	for i, o := range before {
		if i > 0 && !o.done.Scan() {
			t.Fatalf("process %d of the queue did not get the lock", i)
		}
		time.Sleep(held) // what is tested is a time
		o.does("close")
	}
	o := <-got
	if o.err != nil {
		t.Fatalf("after %v: %v", time.Since(began), o.err)
	}
	if waited := time.Since(began); waited < stuck {
		t.Errorf("it waited for %v only, so that it does not matter whether the queue moves", waited)
	}
	closeIt(t, o.a)
}

// TestQueueThatDoesNotMove: a process that holds the lock for longer than the budget is named, and so is the holder at the deadline.
//
// Claim: A verb waits for a lock while it passes from process to process, up to its deadline, and fails when one process holds it for 10 s without running
func TestQueueThatDoesNotMove(t *testing.T) {
	t.Parallel()
	for name, budget := range map[string]struct{ stuck, all time.Duration }{
		"one process holds it":     {300 * time.Millisecond, time.Hour},
		"the deadline of the verb": {time.Hour, 300 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dirs := newDirs(t)
			first := startOther(t, dirs)
			first.does("open")
			_, err := Open(WithLockBudget(context.Background(), budget.stuck, time.Now().Add(budget.all)), dirs, keyFor("c1"))
			var held *BusyError
			if !errors.As(err, &held) || held.PID != first.pid() || held.Waited < 300*time.Millisecond {
				t.Errorf("got %+v, want process %d", err, first.pid())
			}
		})
	}
}

// TestQueueThatStarves: a holder that would run, but has no CPU, is not at fault: it is waited for until the deadline.
func TestQueueThatStarves(t *testing.T) {
	t.Parallel()
	dirs := newDirs(t)
	closeLater := open(t, dirs, keyFor("c1"))
	var done atomic.Bool
	spinning := make(chan struct{})
	go func() {
		close(spinning)
		for !done.Load() { // a thread of the holder, this process, that always wants to run
			continue
		}
	}()
	<-spinning
	const stuck, all = 300 * time.Millisecond, 1500 * time.Millisecond
	_, err := Open(WithLockBudget(context.Background(), stuck, time.Now().Add(all)), dirs, keyFor("c1"))
	done.Store(true)
	var held *BusyError
	if !errors.As(err, &held) || held.Waited < all-stuck {
		t.Errorf("got %v, want a wait of %v", err, all)
	}
	closeIt(t, closeLater)
}
