package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Claim: `make mutants` first checks that every patch of `test/repo/mutants` names the promise it breaks, applies, and names a test that
// exists
func TestMutantFaultsFinds(t *testing.T) {
	const file = "\n--- a/pkg/a/a.go\n+++ b/pkg/a/a.go\n@@ -1 +1 @@\n-a\n+b\n"
	const noRed = "x needs one line `Red: <directory> TestX` or `Red: <directory> TestX/subtest` before the first file"
	tests := []struct {
		name, text string
		want       []string
	}{
		{"valid", "Promise: p\nRed: pkg/a TestA\n" + file, nil},
		{"a subtest", "Promise: p\nRed: pkg/a TestA/b_c\n" + file, nil},
		{"no promise", "Red: pkg/a TestA\n" + file, []string{"x names no promise: add a line `Promise: ...` before the first file"}},
		{"no test", "Promise: p\n" + file, []string{noRed}},
		{"two tests", "Promise: p\nRed: pkg/a TestA\nRed: pkg/a TestA\n" + file, []string{noRed}},
		{"an unknown test", "Promise: p\nRed: pkg/a TestB\n" + file, []string{"x names pkg/a TestB; no such test exists"}},
		{"a test of another package", "Promise: p\nRed: test/a TestA\n" + file, []string{"x names test/a TestA; no such test exists"}},
		{"it changes a test", "Promise: p\nRed: pkg/a TestA\n" + strings.ReplaceAll(file, "a.go", "a_test.go"), []string{"x changes pkg/a/a_test.go, which is not code of the plugin"}},
		{"it changes a script", "Promise: p\nRed: pkg/a TestA\n" + strings.ReplaceAll(file, "pkg/a/a.go", "scripts/a.sh"), []string{"x changes scripts/a.sh, which is not code of the plugin"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := headFaults("x", tt.text, map[string]bool{"pkg/a TestA": true})
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("headFaults (-want +got):\n%s", diff)
			}
		})
	}
}

// TestPatchFaults reads a small repository with one patch that applies and one that does not.
//
// Claim: `make mutants` first checks that every patch of `test/repo/mutants` names the promise it breaks, applies, and names a test that
// exists
func TestPatchFaults(t *testing.T) {
	dir := t.TempDir()
	write := func(path, text string) string {
		path = filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	const head = "Promise: p\nRed: pkg/a TestA\n\n--- a/pkg/a/a.go\n+++ b/pkg/a/a.go\n@@ -1 +1 @@\n"
	write("pkg/a/a.go", "one\n")
	write("pkg/a/a_test.go", "package a\n\nfunc TestA(t *testing.T) {}\n")
	good := write("good.patch", head+"-one\n+two\n")
	old := write("old.patch", head+"-three\n+four\n")
	t.Setenv("GIT_CEILING_DIRECTORIES", filepath.Dir(dir))

	got, err := faults(dir, []string{good})
	if err != nil || got != nil {
		t.Errorf("a patch that applies: faults %q, error %v", got, err)
	}
	got, err = faults(dir, []string{good, old})
	if err != nil || len(got) != 1 || !strings.HasPrefix(got[0], "old.patch does not apply (exit status 1); make it again:\nerror: ") {
		t.Errorf("a patch that does not apply: faults %q, error %v", got, err)
	}
}
