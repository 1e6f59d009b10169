package safefile_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/safefile"
)

// Claim: An edit replaces the file that was read, or nothing, whatever its owner does meanwhile
func TestReplace(t *testing.T) {
	dir := t.TempDir()
	path := write(t, filepath.Join(dir, "config"), "old\n")
	must(t, os.Chmod(path, 0o640))
	if os.Geteuid() == 0 {
		must(t, os.Chown(path, 0, user))
	}
	f, err := safefile.Open(path, safefile.Rules{})
	must(t, err)
	defer f.Close()
	must(t, f.Replace([]byte("new\n")))
	text, err := os.ReadFile(path)
	must(t, err)
	info, err := os.Stat(path)
	must(t, err)
	if string(text) != "new\n" || info.Mode() != 0o640 {
		t.Errorf("%q with mode %v", text, info.Mode())
	}
	if stat, _ := info.Sys().(*syscall.Stat_t); os.Geteuid() == 0 && stat.Gid != user {
		t.Errorf("the new file has group %d", stat.Gid)
	}
	if err := f.Replace([]byte("again\n")); !errors.Is(err, safefile.ErrChanged) {
		t.Errorf("a file that was replaced already: %v", err)
	}
	onlyNames(t, dir, "config")
}

func onlyNames(t *testing.T, dir string, want ...string) {
	t.Helper()
	got, err := safefile.Names(dir, 100)
	must(t, err)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("%s has %q, want %q", dir, got, want)
	}
}

// TestReplaceSwapped: the owner of the directory replaces the file between Read and Replace.
//
// Claim: An edit replaces the file that was read, or nothing, whatever its owner does meanwhile
func TestReplaceSwapped(t *testing.T) {
	secret := write(t, filepath.Join(t.TempDir(), "secret"), "root's")
	tests := []struct {
		name string
		swap func(path string) error
		want string // content of the file at the name afterwards
	}{
		{"other file", func(path string) error {
			return errors.Join(os.WriteFile(path+".new", []byte("theirs"), 0o600), os.Rename(path+".new", path))
		}, "theirs"},
		{"link", func(path string) error { return errors.Join(os.Remove(path), os.Symlink(secret, path)) }, "root's"},
		{"hard link", func(path string) error { return errors.Join(os.Remove(path), os.Link(secret, path)) }, "root's"},
		{"file modified", func(path string) error { return os.WriteFile(path, []byte("longer than before"), 0o600) }, "longer than before"},
		{"deleted", os.Remove, ""},
		{"directory", func(path string) error { return errors.Join(os.Remove(path), os.Mkdir(path, 0o700)) }, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := write(t, filepath.Join(t.TempDir(), "config"), "old")
			f, err := safefile.Open(path, safefile.Rules{})
			must(t, err)
			defer f.Close()
			must(t, tt.swap(path))
			if err := f.Replace([]byte("new")); !errors.Is(err, safefile.ErrChanged) {
				t.Errorf("Replace: %v", err)
			}
			if got, _ := os.ReadFile(path); string(got) != tt.want {
				t.Errorf("the file has %q, want %q", got, tt.want)
			}
			if got, err := os.ReadFile(secret); err != nil || string(got) != "root's" {
				t.Errorf("root's file is %q, %v", got, err)
			}
			if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".patchbay-*")); left != nil {
				t.Errorf("left: %q", left)
			}
		})
	}
}

// TestReplaceRace: a file that another process creates at any moment of Replace is still there afterwards, or was read.
//
// Claim: An edit replaces the file that was read, or nothing, whatever its owner does meanwhile
func TestReplaceRace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config")
	for i := range 300 {
		write(t, path, "old")
		f, err := safefile.Open(path, safefile.Rules{})
		must(t, err)
		write(t, path+".new", "theirs")
		done := make(chan error)
		go func() {
			for range i { // vary the moment
				runtime.Gosched()
			}
			done <- os.Rename(path+".new", path)
		}()
		failed := f.Replace([]byte("new"))
		must(t, <-done)
		must(t, f.Close())
		got, err := os.ReadFile(path)
		must(t, err)
		if !bytes.Equal(got, []byte("theirs")) {
			t.Fatalf("round %d: the other process's file is lost, found %q; Replace: %v", i, got, failed)
		}
	}
}

// Claim: An edit replaces the file that was read, or nothing, whatever its owner does meanwhile
func TestReplaceOfALink(t *testing.T) {
	dir := t.TempDir()
	must(t, os.Symlink(write(t, filepath.Join(dir, "file"), "text"), filepath.Join(dir, "link")))
	f, err := safefile.Open(filepath.Join(dir, "link"), safefile.Rules{FollowLinks: true})
	must(t, err)
	defer f.Close()
	if err := f.Replace([]byte("new")); !errors.Is(err, safefile.ErrSymlink) {
		t.Errorf("Replace of a file opened through a link: %v", err)
	}
}

// TestCreate: a new file has content, owner and mode, and nothing is in its place before.
func TestCreate(t *testing.T) {
	path := t.TempDir()
	must(t, os.Chmod(path, 0o2755)) // set-group-ID
	dir, err := safefile.OpenDir(path)
	must(t, err)
	defer syscall.Close(dir)
	owned := safefile.Attributes{UID: os.Geteuid(), GID: os.Getegid(), Mode: 0o644}
	must(t, safefile.Create(dir, "new", owned, bytes.NewReader([]byte("text\n"))))
	text, err := os.ReadFile(filepath.Join(path, "new"))
	must(t, err)
	info, err := os.Stat(filepath.Join(path, "new"))
	must(t, err)
	if stat, _ := info.Sys().(*syscall.Stat_t); string(text) != "text\n" || info.Mode() != 0o644 || int(stat.Gid) != os.Getegid() {
		t.Errorf("%q with mode %v, %+v", text, info.Mode(), stat)
	}
	must(t, os.Symlink("elsewhere", filepath.Join(path, "link")))
	for _, name := range []string{"new", "link"} {
		if err := safefile.Create(dir, name, owned, bytes.NewReader(nil)); !errors.Is(err, os.ErrExist) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := os.Lstat(filepath.Join(path, "elsewhere")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a link in the place of the file was followed: %v", err)
	}
}
