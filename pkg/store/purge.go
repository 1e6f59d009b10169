package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Purge removes what a host without attachments and marks keeps: the state directory and
// sticky memory. It returns the paths that it removed, and those of other state
// directories, which it keeps: their paths come from configurations. With keepMemory it
// keeps the directory of sticky memory and of other files that survive a reboot; with
// dryRun it removes nothing.
func Purge(state string, keepMemory, dryRun bool) (removed, kept []string, err error) {
	kept = StateDirs(state)[1:]
	paths := []string{filepath.Dir(StickyDir), state}
	if keepMemory {
		paths = paths[1:]
	}
	for _, path := range paths {
		if _, failed := os.Lstat(path); errors.Is(failed, os.ErrNotExist) {
			continue
		}
		failed := CheckSafe(filepath.Dir(path))
		if failed == nil && !dryRun {
			failed = os.RemoveAll(path)
		}
		if failed != nil {
			err = errors.Join(err, fmt.Errorf("remove %s: %w", path, failed))
			continue
		}
		removed = append(removed, path)
	}
	return removed, kept, err
}
