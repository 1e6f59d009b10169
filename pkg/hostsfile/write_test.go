package hostsfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/safefile"
)

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestWrite: files are created, rewritten in place and deleted; the journal is not left.
//
// Claim: Hosts files are rewritten in place: a program that has one mounted over /etc/hosts sees new names
func TestWrite(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	w := Writer{filepath.Join(dir, "journal")}
	path := filepath.Join(dir, "netns", "web", "hosts")
	if err := w.Write([]Change{{Path: path, New: two, Create: true}}); err != nil || read(t, path) != two {
		t.Fatalf("create: %v", err)
	}
	open, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	for _, step := range [][2]string{{two, one}, {one, two + two}} {
		if err := w.Write([]Change{{Path: path, Old: step[0], New: step[1], Sync: true}}); err != nil {
			t.Fatal(err)
		}
		seen := make([]byte, 1000)
		n, _ := open.ReadAt(seen, 0)
		if string(seen[:n]) != step[1] {
			t.Errorf("a program that has the file open sees %q, want %q", seen[:n], step[1])
		}
	}
	if err := w.Write([]Change{{Path: path, Old: two + two, Delete: true}}); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the file is left: %v", err)
	}
	if _, err := os.Stat(w.Journal); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the journal is left: %v", err)
	}
}

// TestWriteKeeps: a file that changed since it was read is kept, and so is what a symbolic link or a hard link leads to. The other
// changes are made.
//
// Claim: In a hosts file only the marked block is patchbay's: every line outside is kept byte for byte
func TestWriteKeeps(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	write(t, in("changed"), "by hand\n")
	write(t, in("precious"), one)
	write(t, in("other"), one)
	write(t, in("last"), one)
	if err := errors.Join(os.Symlink(in("precious"), in("link")), os.Link(in("other"), in("hard"))); err != nil {
		t.Fatal(err)
	}
	err := Writer{in("journal")}.Write([]Change{
		{Path: in("changed"), Old: one, New: two},
		{Path: in("changed"), New: two, Create: true},
		{Path: in("link"), Old: one, New: two},
		{Path: in("hard"), Old: one, New: two},
		{Path: in("changed"), Old: one, Delete: true},
		{Path: in("last"), Old: one, New: two},
	})
	for _, want := range []error{safefile.ErrChanged, safefile.ErrSymlink, safefile.ErrLinked, fs.ErrExist} {
		if !errors.Is(err, want) {
			t.Errorf("error %v does not report %v", err, want)
		}
	}
	if read(t, in("changed")) != "by hand\n" || read(t, in("precious")) != one || read(t, in("other")) != one || read(t, in("last")) != two {
		t.Error("a file that must be kept was changed, or the last was not")
	}
}

// TestRecover: whatever a killed process leaves of one write, in any length, is completed; a file with another content is kept.
//
// Claim: A hosts file that a killed process left half written is completed, and does not look like an edit by hand
func TestRecover(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	w := Writer{filepath.Join(dir, "journal")}
	path := filepath.Join(dir, "hosts")
	long, short := "127.0.0.1 localhost\n"+Parse("").With(two)+"192.0.2.1 mine\n", "127.0.0.1 localhost\n"+Parse("").With(one)+"192.0.2.1 mine\n"
	for _, c := range []Change{{Old: long, New: short}, {Old: short, New: long}, {New: long, Create: true}} {
		c.Path = path
		filled := c.New + strings.Repeat("\n", max(0, len(c.Old)-len(c.New)))
		for cut := range len(filled) + 1 {
			torn := filled[:cut] + c.Old[min(cut, len(c.Old)):]
			write(t, path, torn)
			if err := errors.Join(w.note([]Change{c}), w.Recover()); err != nil {
				t.Fatal(err)
			}
			if got := read(t, path); got != c.New && (got != c.Old || c.Create) {
				t.Fatalf("cut at %d of %d: %q, left as %q", cut, len(filled), torn, got)
			}
		}
		for _, edited := range []string{c.New + "192.0.2.9 mine\n", strings.Replace(c.New, "10.0.0", "10.0.9", 1), "x"} {
			write(t, path, edited)
			if err := errors.Join(w.note([]Change{c}), w.Recover()); err != nil || read(t, path) != edited {
				t.Errorf("edited file %q becomes %q (%v)", edited, read(t, path), err)
			}
		}
	}
}

// TestRecoverWithoutChange: a journal that is incomplete is only deleted, and a file that is gone is not created.
//
// Claim: A hosts file that a killed process left half written is completed, and does not look like an edit by hand
func TestRecoverWithoutChange(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	w := Writer{filepath.Join(dir, "journal")}
	path := filepath.Join(dir, "hosts")
	if err := errors.Join(w.note([]Change{{Path: path, New: one, Create: true}}), w.Recover()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file that was deleted is created again: %v", err)
	}
	write(t, path, one[:5])
	if err := w.note([]Change{{Path: path, Old: two, New: one}}); err != nil {
		t.Fatal(err)
	}
	whole := read(t, w.Journal)
	for _, cut := range []int{0, 10, 64, 65, len(whole) - 1} {
		write(t, w.Journal, whole[:cut])
		if err := w.Recover(); err != nil || read(t, path) != one[:5] {
			t.Errorf("journal of %d bytes: %v, %q", cut, err, read(t, path))
		}
		if _, err := os.Stat(w.Journal); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the journal is left: %v", err)
		}
	}
}
