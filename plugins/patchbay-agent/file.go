package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/agentstatus"
	"github.com/patchbay-cni/patchbay/pkg/safefile"
)

// writeFile writes a file completely or not at all, on the disk, if its bytes are others; it reports whether it did. The directory is
// created. The temporary file has one name, so that a process which was killed leaves one at most, which the next call replaces and clean
// removes. Runtimes do not read it: its name ends in .new.
func writeFile(path string, text []byte) (written bool, err error) {
	if old, err := safefile.Read(path, safefile.Rules{MaxBytes: agentstatus.MaxPeersBytes}); err == nil && bytes.Equal(old, text) {
		return false, nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return false, fmt.Errorf("write %s: %w", path, err)
	}
	dir, err := safefile.OpenDir(filepath.Dir(path))
	if err != nil {
		return false, fmt.Errorf("write %s: %w", path, err)
	}
	defer unix.Close(dir)
	temp := temporary(path)
	err = replace(dir, filepath.Base(path), filepath.Base(temp), text)
	if err != nil {
		_ = unix.Unlinkat(dir, filepath.Base(temp), 0)
		return false, fmt.Errorf("write %s: %w", path, err)
	}
	return true, nil
}

// temporary returns the path of the temporary file of writeFile.
func temporary(path string) string {
	return filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".new")
}

// replace creates the temporary file and renames it.
func replace(dir int, name, temp string, text []byte) error {
	if err := unix.Unlinkat(dir, temp, 0); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	own := safefile.Attributes{UID: os.Geteuid(), GID: os.Getegid(), Mode: 0o644}
	if err := safefile.Create(dir, temp, own, bytes.NewReader(text)); err != nil {
		return err
	}
	if err := unix.Renameat(dir, temp, dir, name); err != nil {
		return err
	}
	return unix.Fsync(dir)
}
