package nettest

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Script is a program of shell commands, for root, called patchbay and removed when the test ends.
// Another process writes it: a program that this one has open for writing while a test beside it
// forks is busy, and cannot be started.
func Script(t testing.TB, commands string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "patchbay")
	write := exec.Command("sh", "-c", `cat >"$0" && chmod 0700 "$0"`, path)
	write.Stdin = strings.NewReader("#!/bin/sh\n" + commands + "\n")
	if out, err := write.CombinedOutput(); err != nil {
		t.Fatalf("write a script: %v\n%s", err, out)
	}
	return path
}
