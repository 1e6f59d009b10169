package store

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

func freshDirs(t *testing.T) (Dirs, Key) {
	t.Helper()
	state := filepath.Join(t.TempDir(), "run", "patchbay")
	return Dirs{State: state, Data: filepath.Join(state, "ipam")}, Key{"net", "c1", "eth0"}
}

// TestRemovalLocksWhereNothingWas: DEL of an unknown attachment holds its lock, and leaves no directory.
//
// Claim: A DEL before the first ADD of a network, or at the same time, does no harm
func TestRemovalLocksWhereNothingWas(t *testing.T) {
	dirs, key := freshDirs(t)
	a, err := OpenToRemove(t.Context(), dirs, key)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := TryOpen(dirs, key); !errors.Is(err, ErrBusy) {
		t.Errorf("another verb meanwhile: got %v, want ErrBusy", err)
	}
	if err := errors.Join(a.Release(t.Context()), a.Remove(), a.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(filepath.Dir(dirs.State)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a directory is left: %v", err)
	}
}

// TestRemovalLeavesDirectoriesOfOthers: DEL keeps a directory that another attachment uses by now.
func TestRemovalLeavesDirectoriesOfOthers(t *testing.T) {
	dirs, key := freshDirs(t)
	a, err := OpenToRemove(t.Context(), dirs, key)
	if err != nil {
		t.Fatal(err)
	}
	other, err := Open(t.Context(), dirs, Key{"net", "c2", "eth0"})
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	record := &Record{Version: RecordVersion(), Network: "net", ContainerID: "c2", IfName: "eth0"}
	if err := other.Save(record); err != nil {
		t.Errorf("record of the other attachment: %v", err)
	}
	other.Close()
}

// TestFirstAddSurvivesRemovals: simultaneous DELs of this and other attachments do not delete
// the record of the first ADD of a network.
//
// Claim: A DEL before the first ADD of a network, or at the same time, does no harm
func TestFirstAddSurvivesRemovals(t *testing.T) {
	for range 50 {
		dirs, key := freshDirs(t)
		var others sync.WaitGroup
		for _, id := range []string{"c2", "c3", "c4"} {
			others.Go(func() {
				a, err := OpenToRemove(t.Context(), dirs, Key{"net", id, "eth0"})
				if err == nil {
					err = errors.Join(a.Remove(), a.Close())
				}
				if err != nil {
					t.Errorf("DEL of %s: %v", id, err)
				}
			})
		}
		a, err := Open(t.Context(), dirs, key)
		if err != nil {
			t.Fatal(err)
		}
		if err := a.Save(&Record{Version: RecordVersion(), Network: "net", ContainerID: "c1", IfName: "eth0"}); err != nil {
			t.Fatal(err)
		}
		a.Close()
		others.Wait()
		if entries, err := List(dirs.State); len(entries) != 1 {
			t.Fatalf("records: %v, %v", entries, err)
		}
	}
}
