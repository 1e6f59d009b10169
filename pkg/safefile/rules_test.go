package safefile_test

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/safefile"
)

// Claim: State that a user other than root could write or replace (`stateDir`, `ipam.dataDir`, their parent directories, single files) is
// refused by ADD and STATUS with the same message; DEL, GC and reload work without it
func TestCheckDir(t *testing.T) {
	dir := directories(t)
	tests := []struct {
		path      string
		want      error
		needsRoot bool
	}{
		{"safe", nil, false},
		{"safe/not/there", nil, false},
		{"world", safefile.ErrWritable, false},
		{"world/below", safefile.ErrWritable, false},
		{"world/not/there", safefile.ErrWritable, false},
		{"sticky", safefile.ErrWritable, false},
		{"sticky/below", nil, false},
		{"sticky/theirs", safefile.ErrOwner, true},
		{"group", safefile.ErrWritable, false},
		{"group/below", nil, true},
		{"users/below", safefile.ErrWritable, true},
		{"theirs", safefile.ErrOwner, true},
		{"theirs/below", safefile.ErrOwner, true},
		{"theirs/not/there", safefile.ErrOwner, true},
		{"to-safe", nil, false},
		{"to-theirs", safefile.ErrOwner, true},
		{"loop", syscall.ELOOP, false},
		{"file", safefile.ErrNotDir, false},
	}
	for _, tt := range tests {
		t.Run(tt.path, func(t *testing.T) {
			if tt.needsRoot && os.Geteuid() != 0 {
				t.Skip("needs root to give directories away")
			}
			if err := safefile.CheckDir(filepath.Join(dir, tt.path)); !errors.Is(err, tt.want) {
				t.Errorf("CheckDir: %v, want %v", err, tt.want)
			}
		})
	}
}

// directories makes directories of other owners and modes, and links to them, and returns the one that they are in.
func directories(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	mk := func(name string, mode os.FileMode, uid, gid int) string {
		path := filepath.Join(dir, name)
		must(t, os.MkdirAll(path, 0o755))
		if os.Geteuid() == 0 {
			must(t, os.Chown(path, uid, gid))
		}
		must(t, os.Chmod(path, mode))
		return path
	}
	mk("safe", 0o755, 0, 0)
	mk("world", 0o777, 0, 0)
	mk("world/below", 0o700, 0, 0)
	mk("sticky", 0o777|os.ModeSticky, 0, 0)
	mk("sticky/below", 0o700, 0, 0)
	mk("group", 0o770, 0, 0)
	mk("group/below", 0o700, 0, 0)
	mk("users", 0o770, 0, user)
	mk("users/below", 0o700, 0, 0)
	mk("theirs", 0o755, user, user)
	mk("theirs/below", 0o700, 0, 0)
	mk("sticky/theirs", 0o700, user, user)
	must(t, os.Symlink("safe", filepath.Join(dir, "to-safe")))
	must(t, os.Symlink("theirs/below", filepath.Join(dir, "to-theirs")))
	must(t, os.Symlink("loop", filepath.Join(dir, "loop")))
	write(t, filepath.Join(dir, "file"), "")
	return dir
}

// Claim: A file chosen by another user or by a configuration is opened without following links and without blocking, and only if type,
// size, owner and names are correct; every other place that opens such a file is listed with its reason
func TestNames(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a"), "")
	write(t, filepath.Join(dir, "b"), "")
	onlyNames(t, dir, "a", "b")
	if _, err := safefile.Names(dir, 1); !errors.Is(err, safefile.ErrTooMany) {
		t.Errorf("two names, one allowed: %v", err)
	}
	fifo := filepath.Join(dir, "fifo")
	must(t, syscall.Mkfifo(fifo, 0o600))
	within(t, func() {
		if _, err := safefile.Names(fifo, 1); !errors.Is(err, syscall.ENOTDIR) {
			t.Errorf("a FIFO instead of a directory: %v", err)
		}
	})
}

// Claim: A log that cannot be written is one line on stderr and fails nothing; symbolic links, pipes, hard links and files of other users
// are not written to
func TestAppend(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "log")
	for _, line := range []string{"one\n", "two\n"} {
		a, err := safefile.OpenAppend(path)
		must(t, err)
		if _, err := a.WriteString(line); err != nil || !a.Is() {
			t.Errorf("%v; is at its name: %v", err, a.Is())
		}
		must(t, a.Close())
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != "one\ntwo\n" {
		t.Errorf("%q, %v", text, err)
	}
	a, err := safefile.OpenAppend(path)
	must(t, err)
	defer a.Close()
	must(t, a.Rename("log.1"))
	if a.Is() {
		t.Error("Is returned true for a deleted file")
	}
	onlyNames(t, dir, "log.1")
}

// Claim: A log that cannot be written is one line on stderr and fails nothing; symbolic links, pipes, hard links and files of other users
// are not written to
func TestAppendRefuses(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	write(t, at("file"), "x")
	must(t, os.Link(at("file"), at("second")))
	must(t, os.Symlink("file", at("link")))
	must(t, os.Symlink("nowhere", at("dangling")))
	must(t, syscall.Mkfifo(at("fifo"), 0o600))
	must(t, os.Chmod(write(t, at("world"), ""), 0o602))
	for name, want := range map[string]error{
		"second": safefile.ErrLinked, "link": safefile.ErrSymlink, "dangling": safefile.ErrSymlink, "fifo": safefile.ErrNotRegular,
		"world": safefile.ErrWritable, ".": safefile.ErrNotRegular, "none/log": os.ErrNotExist,
	} {
		within(t, func() {
			if a, err := safefile.OpenAppend(dir + "/" + name); !errors.Is(err, want) {
				t.Errorf("%s: %v, %v, want %v", name, a, err, want)
			}
		})
	}
	onlyNames(t, dir, "dangling", "fifo", "file", "link", "second", "world")
}

// Claim: A log that cannot be written is one line on stderr and fails nothing; symbolic links, pipes, hard links and files of other users
// are not written to
func TestAppendToAnotherUsers(t *testing.T) {
	dir, roots := theirs(t), t.TempDir()
	must(t, os.Symlink(roots, filepath.Join(dir, "logs")))
	if _, err := safefile.OpenAppend(filepath.Join(dir, "logs", "log")); !errors.Is(err, safefile.ErrSymlink) {
		t.Errorf("a link in the directory of another user: %v", err)
	}
	onlyNames(t, roots)
	must(t, os.Chown(write(t, filepath.Join(dir, "log"), ""), user, user))
	if _, err := safefile.OpenAppend(filepath.Join(dir, "log")); !errors.Is(err, safefile.ErrOwner) {
		t.Errorf("a file of another user: %v", err)
	}
}
