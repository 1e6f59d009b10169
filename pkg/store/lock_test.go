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

// opened is how an Open that may have waited came out.
type opened struct {
	a   *Attachment
	err error
}

// openLater begins an Open in the background. It is given up with the test.
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

// A verb waits for the one before it, in another process, and then sees what that one left:
// the record may have been replaced or removed while it waited, or its owner killed.
func TestSecondVerbWaits(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		first  []string // before the second verb comes
		then   []string // while it waits
		record bool     // whether it finds one
	}{
		{"nothing done", nil, []string{"close"}, false},
		{"record made", nil, []string{"save", "close"}, true},
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
					t.Fatalf("before the first verb did %s, the second one was let in: %+v", word, o)
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
			// What it has is the lock of what is there now.
			third := startOther(t, dirs)
			fmt.Fprintln(third.words, "open")
			awaitWaiter(t, recordPath(dirs, "c1"))
			closeIt(t, got.a)
			if !third.done.Scan() {
				t.Error("the third verb was not let in")
			}
		})
	}
}

// A wait ends with its context, and leaves no lock behind that comes to it later.
func TestWaitEndsWithContext(t *testing.T) {
	// A file that was forgotten is closed when the garbage is collected: not before we looked.
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	dirs, key := newDirs(t), keyFor("c1")
	written(t, dirs, newRecord(key)) // so that the lock they wait for stays
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
	for range 10_000 { // until the one who waits for nobody has got it
		if runtime.NumGoroutine() <= before {
			closeIt(t, open(t, dirs, key)) // ErrBusy if it was not given up
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Error("somebody waits still")
}

// A context that is done already waits for nothing.
func TestOpenWithContextDone(t *testing.T) {
	dirs, key := newDirs(t), keyFor("c1")
	open(t, dirs, key)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Open(ctx, dirs, key); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the context's error", err)
	}
	closeIt(t, open(t, dirs, keyFor("c2"))) // another attachment is not concerned
}

func TestTryOpen(t *testing.T) {
	t.Parallel()
	dirs, key := newDirs(t), keyFor("c1")
	if _, err := TryOpen(dirs, key); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("without a record: got %v, want os.ErrNotExist", err)
	}
	if _, err := os.Stat(dirs.State); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it made the state directory: %v", err)
	}
	first := startOther(t, dirs)
	first.does("open")
	first.does("save")
	_, err := TryOpen(dirs, key)
	if !errors.Is(err, ErrBusy) || errors.Is(err, context.Canceled) {
		t.Errorf("while another verb works on it: got %v, want ErrBusy", err)
	}
	saysOf(t, err, "in use by another process: net/c1/eth0")
	first.kill()
	a, err := TryOpen(dirs, key)
	if err != nil || a.Record == nil {
		t.Fatalf("afterwards: got %+v, %v", a, err)
	}
	closeIt(t, a)
}

// Who waits in vain is told for whom.
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
	if got, want := holder(f), fmt.Sprintf(" (process %d)", first.pid()); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	first.kill()
	if got := holder(f); got != "" {
		t.Errorf("nobody holds it: got %q", got)
	}
	f.Close()
	if got := holder(f); got != "" {
		t.Errorf("the file is closed: got %q", got)
	}
}

// What cannot be locked is an error at once, with the file's name.
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

// Addresses of a network are given out by one process at a time; the record is not written
// before it is our turn.
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

// However many come at once, no two get the same address, and those who are too many are told.
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
				t.Errorf("%s: got %q, %v; it belongs to %v", key, got, err, before)
			}
			owners[got] = key
		})
	}
	all.Wait()
	if len(owners) != free || refused != many-free {
		t.Errorf("%d have an address, %d were refused; want %d and %d", len(owners), refused, free, many-free)
	}
}

// A DEL that met nothing and could make no lock has none: this is what OpenToRemove then gives.
// An ADD that begins behind it keeps what it makes.
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
	if err := errors.Join(del.Forget(), del.Close()); err != nil {
		t.Error(err)
	}
	sameFiles(t, dirs.State, records)
	sameFiles(t, dirs.Data, addresses)
	closeIt(t, a)
}
