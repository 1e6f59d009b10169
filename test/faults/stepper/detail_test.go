package stepper

import (
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// TestDetails: paths, data and offsets of calls on files, and fsync.
//
// Claim: The crash and fault harnesses stop a program at the calls they name
func TestDetails(t *testing.T) {
	nettest.Root(t)
	dir := t.TempDir()
	var got []Detail
	for _, line := range []string{
		"sh -c cd;printf.one>a;printf.two>>a;(exec.>b)", "ln a c", "ln -s a l", "mv a d", "mkdir m", "sync d m", "rmdir m", "rm l",
	} {
		got = append(got, details(t, dir, strings.Split(line, " "))...)
	}
	expect.Equal(t, "details", got, []Detail{
		{Op: "open", Path: "a", Flags: unix.O_WRONLY | unix.O_CREAT | unix.O_TRUNC},
		{Op: "write", Path: "a", Data: []byte("one")},
		{Op: "open", Path: "a", Flags: unix.O_WRONLY | unix.O_CREAT | unix.O_APPEND},
		{Op: "write", Path: "a", Data: []byte("two"), Offset: 3},
		{Op: "link", Path: "a", To: "c"},
		{Op: "symlink", Path: "l", To: "a"},
		{Op: "rename", Path: "a", To: "d"},
		{Op: "mkdir", Path: "m"},
		{Op: "fsync", Path: "d"},
		{Op: "fsync", Path: "m"},
		{Op: "rmdir", Path: "m"},
		{Op: "unlink", Path: "l"},
	})
}

// details runs a program in a directory and returns the details of its calls on files there, with relative paths. In an argument of sh a dot
// is a blank.
func details(t *testing.T, dir string, words []string) (out []Detail) {
	t.Helper()
	path, err := exec.LookPath(words[0])
	if err != nil {
		t.Fatal(err)
	}
	args := words[1:]
	if words[0] == "sh" {
		args = []string{"-c", strings.ReplaceAll(strings.ReplaceAll(args[1], ".", " "), "cd;", "cd "+dir+";")}
	} else {
		args = append([]string{"-C", dir, path}, args...)
		path = "/usr/bin/env"
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	e, err := Run(Program{Path: path, Args: args, Details: true}, goOnAlways)
	if err != nil || e.Exit != 0 {
		t.Fatalf("%q: %v, %s", words, err, e.Stderr)
	}
	for _, c := range e.Calls {
		d := c.Detail
		d.Path, d.To = strings.TrimPrefix(d.Path, dir+"/"), strings.TrimPrefix(d.To, dir+"/")
		d.Flags &^= unix.O_LARGEFILE | 0o100000
		if d.Op != "" {
			out = append(out, d)
		}
	}
	return out
}
