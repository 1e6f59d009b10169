package watch

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// await waits for a change; the test fails if there is none.
func await(t *testing.T, w *Watcher, cause string) {
	t.Helper()
	select {
	case _, open := <-w.Changes():
		if !open {
			t.Fatalf("%s: %v", cause, w.Err())
		}
	case <-time.After(10 * time.Second):
		t.Fatalf("%s: not noticed", cause)
	}
}

// TestWatcher: records that are written and removed are noticed, also in directories that did not exist when the watching began.
//
// Claim: `show --watch` draws again after each change of interfaces, addresses, routes and records, highlights what is new, and draws at most
// five times a second
func TestWatcher(t *testing.T) {
	top := t.TempDir()
	state, netns := filepath.Join(top, "state"), filepath.Join(top, "netns")
	w, err := Start(state, netns)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	record := filepath.Join(state, "lan", "c1@eth0.json")
	for _, step := range []struct {
		cause string
		do    func() error
	}{
		{"the state directory is created", func() error { return os.Mkdir(state, 0o700) }},
		{"the directory of a network is created", func() error { return os.Mkdir(filepath.Join(state, "lan"), 0o700) }},
		{"a record is written", func() error { return os.WriteFile(record+".tmp", nil, 0o600) }},
		{"a record is renamed", func() error { return os.Rename(record+".tmp", record) }},
		{"a record is removed", func() error { return os.Remove(record) }},
		{"the directory of namespaces is created", func() error { return os.Mkdir(netns, 0o700) }},
		{"a namespace gets a name", func() error { return os.WriteFile(filepath.Join(netns, "web"), nil, 0o600) }},
	} {
		w.Follow()
		for len(w.Changes()) > 0 { // of the step before
			<-w.Changes()
		}
		if err := step.do(); err != nil {
			t.Fatal(err)
		}
		await(t, w, step.cause)
	}
}
