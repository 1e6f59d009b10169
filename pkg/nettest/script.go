package nettest

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Script writes an executable shell script called patchbay, which is removed when the test ends, and
// returns its path. Another process writes it: a descriptor of this one could be inherited by a
// child that another test forks, and execve(2) would fail with ETXTBSY.
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
