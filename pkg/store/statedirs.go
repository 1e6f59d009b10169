package store

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// stateDirLinks is a directory in the default state directory. It holds one
// symbolic link for each other state directory that a network is configured with.
const stateDirLinks = ".elsewhere"

// NoteStateDir records in the default state directory, known, that there is
// another one, so that commands about the whole host find its attachments.
func NoteStateDir(known, other string) error {
	other = filepath.Clean(other)
	if other == filepath.Clean(known) {
		return nil
	}
	sum := sha256.Sum256([]byte(other))
	link := filepath.Join(known, stateDirLinks, hex.EncodeToString(sum[:6]))
	if at, err := os.Readlink(link); err == nil && at == other {
		return nil
	}
	if err := makeDirs(known, filepath.Dir(link), 0o700); err != nil {
		return fmt.Errorf("record state directory %s: %w", other, err)
	}
	// EEXIST: another process has just recorded the same directory.
	if err := os.Symlink(other, link); err != nil && !errors.Is(err, os.ErrExist) {
		return fmt.Errorf("record state directory: %w", err)
	}
	return nil
}

// StateDirs returns the default state directory and those that NoteStateDir recorded.
func StateDirs(known string) []string {
	dirs := []string{known}
	entries, _ := os.ReadDir(filepath.Join(known, stateDirLinks))
	for _, e := range entries {
		if other, err := os.Readlink(filepath.Join(known, stateDirLinks, e.Name())); err == nil {
			dirs = append(dirs, other)
		}
	}
	return dirs
}
