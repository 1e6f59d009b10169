package store_test

import (
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/store"
)

// The last note of a bridge is returned, and no other file is left.
func TestNoteIsolated(t *testing.T) {
	known := filepath.Join(t.TempDir(), "state")
	noted(t, known, "cni0", "")
	for _, note := range [][2]string{{"cni0", "web"}, {"cni0", "web"}, {"cni1", "db"}, {"cni0", "mail"}} {
		if err := store.NoteIsolated(known, note[0], note[1]); err != nil {
			t.Fatal(err)
		}
		noted(t, known, note[0], note[1])
	}
	noted(t, known, "cni1", "db")
	if all := names(t, filepath.Join(known, ".isolating")); len(all) != 2 {
		t.Errorf("files beside the notes: %q", all)
	}
}

// Simultaneous notes of one bridge all succeed, and one of them is returned.
func TestNoteIsolatedAtOnce(t *testing.T) {
	known := t.TempDir()
	var all sync.WaitGroup
	for _, network := range []string{"web", "web", "web", "web", "db", "db", "db", "db"} {
		all.Go(func() {
			if err := store.NoteIsolated(known, "cni0", network); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if network, err := store.IsolatedNetwork(known, "cni0"); network != "web" && network != "db" {
		t.Errorf("got %q (%v)", network, err)
	}
}

func noted(t *testing.T, known, bridge, want string) {
	t.Helper()
	if network, err := store.IsolatedNetwork(known, bridge); err != nil || network != want {
		t.Errorf("bridge %s: got %q (%v), want %q", bridge, network, err, want)
	}
}

func names(t *testing.T, dir string) (all []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}
