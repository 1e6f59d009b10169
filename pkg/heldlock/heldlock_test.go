package heldlock

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// TestHas: the lock is seen while it is held, and a reader does not take it.
func TestHas(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, want := range []bool{false, true, false} {
		how := unix.LOCK_UN
		if want {
			how = unix.LOCK_EX | unix.LOCK_NB
		}
		if err := unix.Flock(int(file.Fd()), how); err != nil {
			t.Fatal(err)
		}
		held, err := Read()
		if err != nil {
			t.Fatal(err)
		}
		if got := held.Has(path); got != want {
			t.Errorf("held: %t, want %t", got, want)
		}
		var info unix.Stat_t
		if err := unix.Stat(path, &info); err != nil {
			t.Fatal(err)
		}
		if got := held.Holder(&info); (got == os.Getpid()) != want {
			t.Errorf("held by process %d, this one is %d; want %t", got, os.Getpid(), want)
		}
		if held.Has(path + ".missing") {
			t.Error("a file that does not exist is locked")
		}
	}
}
