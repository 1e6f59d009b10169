package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// opened is the result of an Open that may have waited.
type opened struct {
	a   *Attachment
	err error
}

// openLater calls Open in the background. The end of the test cancels it.
func openLater(t *testing.T, dirs Dirs, key Key) <-chan opened {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	done := make(chan opened, 1)
	go func() {
		a, err := Open(ctx, dirs, key)
		done <- opened{a, err}
	}()
	return done
}

// A verb waits for an earlier one in another process and then sees its result: the record may
// have been replaced or removed meanwhile, or the process killed.
//
// Claim: Verbs of one attachment run one at a time, between processes too: the second waits, sees a record that was replaced or removed
// meanwhile, and continues after `kill -9` of the first
func TestSecondVerbWaits(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		first  []string // steps before the second verb starts
		then   []string // steps while it waits
		record bool     // whether it finds a record
	}{
		{"no change", nil, []string{"close"}, false},
		{"record created", nil, []string{"save", "close"}, true},
		{"record replaced", []string{"save"}, []string{"save", "save", "close"}, true},
		{"record removed", []string{"save"}, []string{"forget"}, false},
		{"record replaced, then removed", []string{"save"}, []string{"save", "forget"}, false},
		{"killed without record", nil, []string{"kill"}, false},
		{"killed with record", nil, []string{"save", "kill"}, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			dirs := newDirs(t)
			first := startOther(t, dirs)
			for _, word := range append([]string{"open"}, tc.first...) {
				first.does(word)
			}
			second := openLater(t, dirs, keyFor("c1"))
			for _, word := range tc.then {
				awaitWaiter(t, recordPath(dirs, "c1"))
				select {
				case o := <-second:
					t.Fatalf("before the first verb did %s, the second one got the lock: %+v", word, o)
				default:
				}
				if word == "kill" {
					first.kill()
				} else {
					first.does(word)
				}
			}
			got := <-second
			if got.err != nil {
				t.Fatal(got.err)
			}
			if found := got.a.Record != nil; found != tc.record {
				t.Errorf("the second verb found a record: %t, want %t", found, tc.record)
			}
			// Its lock is that of the current file.
			third := startOther(t, dirs)
			fmt.Fprintln(third.words, "open")
			awaitWaiter(t, recordPath(dirs, "c1"))
			closeIt(t, got.a)
			if !third.done.Scan() {
				t.Error("the third verb did not get the lock")
			}
		})
	}
}

// A wait ends with its context, and a lock that is granted later is released.
//
// Claim: Verbs of one attachment run one at a time, between processes too: the second waits, sees a record that was replaced or removed
// meanwhile, and continues after `kill -9` of the first
func TestWaitEndsWithContext(t *testing.T) {
	// The garbage collector closes a file without references; keep it from doing so here.
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	dirs, key := newDirs(t), keyFor("c1")
	written(t, dirs, newRecord(key)) // so that the lock file stays
	first := open(t, dirs, key)
	before := runtime.NumGoroutine()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() {
		_, err := Open(ctx, dirs, key)
		ended <- err
	}()
	awaitWaiter(t, recordPath(dirs, "c1"))
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the context's error", err)
	}
	closeIt(t, first)
	for range 10_000 { // until the abandoned wait has got the lock
		if runtime.NumGoroutine() <= before {
			closeIt(t, open(t, dirs, key)) // ErrBusy if the lock was not released
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Error("a process is still waiting")
}

// A context that has ended already waits for nothing.
func TestOpenWithContextDone(t *testing.T) {
	dirs, key := newDirs(t), keyFor("c1")
	open(t, dirs, key)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Open(ctx, dirs, key); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the context's error", err)
	}
	closeIt(t, open(t, dirs, keyFor("c2"))) // another attachment is not affected
}

// Claim: Verbs of one attachment run one at a time, between processes too: the second waits, sees a record that was replaced or removed
// meanwhile, and continues after `kill -9` of the first
func TestTryOpen(t *testing.T) {
	t.Parallel()
	dirs, key := newDirs(t), keyFor("c1")
	if _, err := TryOpen(dirs, key); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("without a record: got %v, want os.ErrNotExist", err)
	}
	if _, err := os.Stat(dirs.State); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the state directory was created: %v", err)
	}
	first := startOther(t, dirs)
	first.does("open")
	first.does("save")
	_, err := TryOpen(dirs, key)
	if !errors.Is(err, ErrBusy) || errors.Is(err, context.Canceled) {
		t.Errorf("while another verb holds it: got %v, want ErrBusy", err)
	}
	saysOf(t, err, fmt.Sprintf("lock record: in use by another process (process %d): %s", first.pid(), recordPath(dirs, "c1")))
	first.kill()
	a, err := TryOpen(dirs, key)
	if err != nil || a.Record == nil {
		t.Fatalf("afterwards: got %+v, %v", a, err)
	}
	closeIt(t, a)
}

// An error after a wait names the process that holds the lock.
//
// Claim: Details follow from the object of an error; a verb has one deadline for all locks, and code 11 names the process that holds the
// lock
// Claim: Verbs of one attachment run one at a time, between processes too: the second waits, sees a record that was replaced or removed
// meanwhile, and continues after `kill -9` of the first
func TestHolderIsNamed(t *testing.T) {
	t.Parallel()
	dirs := newDirs(t)
	first := startOther(t, dirs)
	first.does("open")
	f, err := os.Open(recordPath(dirs, "c1"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if got := busy(f, 0); got.PID != first.pid() || got.Command == "" || got.Stopped {
		t.Errorf("got %+v, want process %d", got, first.pid())
	}
	first.kill()
	if got := lockHolder(f); got != 0 {
		t.Errorf("no holder: got %d", got)
	}
	f.Close()
	if got := lockHolder(f); got != 0 {
		t.Errorf("closed file: got %d", got)
	}
}

// A file that cannot be locked is an error with its name, without waiting.
func TestLockFails(t *testing.T) {
	name := filepath.Join(t.TempDir(), "f")
	fd, err := unix.Open(filepath.Dir(name), unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(fd), name)
	err = lock(t.Context(), f)
	saysOf(t, err, "lock "+name+": bad file descriptor")
	if f.Close() == nil {
		t.Error("the file was left open")
	}
}

// One process at a time reserves addresses of a network, and writes its record only then.
//
// Claim: The record is written before the first address file; of several addresses all are reserved or none; concurrent ADDs never get the
// same address
func TestReserveWaitsForTheNetwork(t *testing.T) {
	t.Parallel()
	dirs := newDirs(t)
	req := Request{Pool: pool(t, "10.1.2.0/24")}
	first := startOther(t, dirs)
	first.does("lock addresses")

	done := make(chan string)
	go func() {
		got, err := reserve(t, dirs, keyFor("c1"), req)
		done <- fmt.Sprint(got, err)
	}()
	awaitWaiter(t, addrPath(dirs, "lock"))
	sameFiles(t, dirs.State, map[string]string{"net/c1@eth0.json": ""})
	sameFiles(t, dirs.Data, map[string]string{"net/lock": ""})

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	a := open(t, dirs, keyFor("c2"))
	if err := a.Reserve(ctx, newRecord(a.Key), req); !errors.Is(err, context.Canceled) {
		t.Errorf("reserve: got %v, want the context's error", err)
	}
	if err := a.Release(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("release: got %v, want the context's error", err)
	}
	closeIt(t, a)

	first.does("unlock addresses")
	if got := <-done; got != "10.1.2.2<nil>" {
		t.Errorf("got %s", got)
	}
}

// No two simultaneous ADDs get the same address, and those beyond the pool get ErrExhausted.
//
// Claim: The record is written before the first address file; of several addresses all are reserved or none; concurrent ADDs never get the
// same address
func TestReserveAtOnce(t *testing.T) {
	t.Parallel()
	dirs, free, many := newDirs(t), 13, 20 // a /28 without network, broadcast and gateway
	req := Request{Pool: pool(t, "10.1.2.0/28")}
	var mu sync.Mutex
	var all sync.WaitGroup
	owners, refused := map[string]Key{}, 0
	for i := range many {
		all.Go(func() {
			key := keyFor(fmt.Sprint("c", i))
			got, err := reserve(t, dirs, key, req)
			mu.Lock()
			defer mu.Unlock()
			if errors.Is(err, ErrExhausted) {
				refused++
				return
			}
			if before, taken := owners[got]; taken || err != nil {
				t.Errorf("%s: got %q, %v; it is held by %v", key, got, err, before)
			}
			owners[got] = key
		})
	}
	all.Wait()
	if len(owners) != free || refused != many-free {
		t.Errorf("%d have an address, %d were refused; want %d and %d", len(owners), refused, free, many-free)
	}
}

// A DEL that found nothing and could create no lock, as OpenToRemove returns it then, deletes
// nothing that an ADD creates after it.
//
// Claim: Verbs of one attachment run one at a time, between processes too: the second waits, sees a record that was replaced or removed
// meanwhile, and continues after `kill -9` of the first
func TestRemoveWithoutLock(t *testing.T) {
	dirs, key := newDirs(t), keyFor("c1")
	del, err := OpenExisting(t.Context(), dirs, key)
	if err != nil || del.file != nil {
		t.Fatalf("got %+v, %v, want no lock", del, err)
	}
	a, err := reserveOnce(t, dirs)
	if err != nil {
		t.Fatal(err)
	}
	records, addresses := files(t, dirs.State), files(t, dirs.Data)
	err = del.Release(t.Context())
	if !errors.Is(err, ErrBusy) {
		t.Errorf("release: got %v, want ErrBusy", err)
	}
	saysOf(t, err, "in use by another process: net/c1/eth0")
	if err := errors.Join(del.Remove(), del.Close()); err != nil {
		t.Error(err)
	}
	sameFiles(t, dirs.State, records)
	sameFiles(t, dirs.Data, addresses)
	closeIt(t, a)
}
