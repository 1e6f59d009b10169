package nettest

import (
	"os"
	"path/filepath"
	"testing"
)

func TestNeed(t *testing.T) {
	rows := []struct {
		name, ci   string
		feature    Feature
		fail, skip bool
	}{
		{"there", "1", Tool("sh"), false, false},
		{"lacking on a laptop", "", Tool("no-such-program"), false, true},
		{"lacking with CI false", "false", Tool("no-such-program"), false, true},
		{"lacking in CI", "true", Tool("no-such-program"), true, false},
		{"unknown feature", "1", "no such feature", true, false},
		{"unknown link kind", "1", LinkKind("nosuch"), true, false},
		{"veth", "1", LinkKind("veth"), false, false},
		{"bridge", "1", LinkKind("bridge"), false, false},
		{"IPv6", "1", IPv6, false, false},
		{"user namespaces", "1", UserNamespaces, false, false},
	}
	Root(t)
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Setenv("CI", row.ci)
			r := record(t, func(t testing.TB) { Need(t, row.feature) })
			if r.Failed() != row.fail || r.Skipped() != row.skip {
				t.Errorf("failed with %q, skipped with %q", r.said(), r.skip)
			}
		})
	}
}

// TestAbsentFeatures: a feature known to be absent skips, in CI too.
func TestAbsentFeatures(t *testing.T) {
	Root(t)
	t.Setenv("CI", "1")
	for _, f := range absentHere() {
		if r := record(t, func(t testing.TB) { Need(t, f) }); r.Failed() {
			t.Errorf("%s: %s", f, r.said())
		}
	}
}

// TestPresentFeatures shows which probes succeed; on the project's machines all do.
func TestPresentFeatures(t *testing.T) {
	for _, f := range []Feature{NetnsCookie, NFTables, BrNetfilter, LinkKind("macvlan")} {
		t.Run(string(f), func(t *testing.T) { Need(t, f) })
	}
}

func TestProgram(t *testing.T) {
	dir := t.TempDir()
	t.Setenv(envPrograms, dir)
	t.Setenv("CI", "")
	if r := record(t, func(t testing.TB) { Program(t, "prog") }); !r.Skipped() {
		t.Errorf("a program that is not there: %q", r.said())
	}
	path := filepath.Join(dir, "prog")
	if err := os.WriteFile(path, nil, 0o755); err != nil {
		t.Fatal(err)
	}
	if got := Program(t, "prog"); got != path {
		t.Errorf("got %s, want %s", got, path)
	}
}

func TestPatchbay(t *testing.T) {
	t.Setenv(envBinary, "/opt/x/patchbay")
	if got := Patchbay(t); got != "/opt/x/patchbay" {
		t.Errorf("got %s", got)
	}
	root, err := repoRoot()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(root, "pkg", "nettest", "program.go")); err != nil {
		t.Error(err)
	}
}
