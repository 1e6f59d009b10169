package store_test

import (
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/store"
)

// The last note of a bridge is what is read, and notes are all that is there.
func TestNoteIsolating(t *testing.T) {
	known := filepath.Join(t.TempDir(), "state")
	noted(t, known, "cni0", "")
	for _, note := range [][2]string{{"cni0", "web"}, {"cni0", "web"}, {"cni1", "db"}, {"cni0", "mail"}} {
		if err := store.NoteIsolating(known, note[0], note[1]); err != nil {
			t.Fatal(err)
		}
		noted(t, known, note[0], note[1])
	}
	noted(t, known, "cni1", "db")
	if all := names(t, filepath.Join(known, ".isolating")); len(all) != 2 {
		t.Errorf("beside the notes there is something: %q", all)
	}
}

// Many who note one bridge at once do not hinder each other, and one of them is read.
func TestNoteIsolatingAtOnce(t *testing.T) {
	known := t.TempDir()
	var all sync.WaitGroup
	for _, network := range []string{"web", "web", "web", "web", "db", "db", "db", "db"} {
		all.Go(func() {
			if err := store.NoteIsolating(known, "cni0", network); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if network, err := store.Isolating(known, "cni0"); network != "web" && network != "db" {
		t.Errorf("noted is %q (%v)", network, err)
	}
}

func noted(t *testing.T, known, bridge, want string) {
	t.Helper()
	if network, err := store.Isolating(known, bridge); err != nil || network != want {
		t.Errorf("of bridge %s is noted %q (%v), want %q", bridge, network, err, want)
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
