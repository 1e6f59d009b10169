package safefile

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// TestWrite: a file is created or replaced, with its mode, and a symbolic link in its place is not followed.
func TestWrite(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path, other := filepath.Join(dir, "f"), filepath.Join(dir, "other")
	for _, before := range []func() error{
		func() error { return nil },
		func() error { return os.WriteFile(path, []byte("longer than the new one"), 0o600) },
		func() error {
			return errors.Join(os.Remove(path), os.WriteFile(other, []byte("kept"), 0o600), os.Symlink(other, path))
		},
	} {
		if err := before(); err != nil {
			t.Fatal(err)
		}
		if err := Write(path, 0o644, []byte("new")); err != nil {
			t.Fatal(err)
		}
		info, err := os.Lstat(path)
		if err != nil || info.Mode() != 0o644 {
			t.Errorf("mode %v, %v", info.Mode(), err)
		}
		if text, err := os.ReadFile(path); string(text) != "new" {
			t.Errorf("got %q, %v", text, err)
		}
	}
	if text, err := os.ReadFile(other); string(text) != "kept" {
		t.Errorf("the file behind the link has %q, %v", text, err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 2 {
		t.Errorf("%v, %v: want no temporary file", entries, err)
	}
}

// TestWriteRefused: without a directory, and over a directory, nothing is left.
func TestWriteRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := Write(filepath.Join(dir, "none", "f"), 0o600, nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	if err := os.Mkdir(filepath.Join(dir, "d"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := Write(filepath.Join(dir, "d"), 0o600, nil); err == nil {
		t.Error("wrote over a directory")
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("%v, %v: want no temporary file", entries, err)
	}
}
