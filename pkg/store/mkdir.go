package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// maxTries limits how often a directory that another process deletes is created
// again. More than a few repetitions have another cause.
const maxTries = 100

// openOrCreate locks a record, and creates the file and its directory if needed.
// DEL creates them too: without a lock, a simultaneous ADD could create the
// directory and the record just before DEL deletes what it finds.
func (a *Attachment) openOrCreate(ctx context.Context) error {
	err := a.lock(ctx, os.O_RDWR|os.O_CREATE)
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ENOTDIR) {
		err = a.createAndLock(ctx)
	}
	for try := 1; errors.Is(err, os.ErrNotExist) && try < maxTries; try++ {
		// Between mkdir and open, a DEL has deleted its empty directory.
		err = a.createAndLock(ctx)
	}
	if err != nil {
		a.removeCreated()
	}
	return err
}

// createAndLock creates the network's directory and locks the record in it.
func (a *Attachment) createAndLock(ctx context.Context) error {
	made, err := mkdirAll(filepath.Dir(a.path()))
	a.created = append(made, a.created...)
	if err != nil {
		return fmt.Errorf("create state directory: %w", err)
	}
	return a.lock(ctx, os.O_RDWR|os.O_CREATE)
}

// mkdirAll creates a directory and its parents like os.MkdirAll, and returns those
// that it created, the deepest first.
func mkdirAll(dir string) (made []string, err error) {
	info, err := os.Stat(dir)
	if err == nil && !info.IsDir() {
		return nil, &os.PathError{Op: "mkdir", Path: dir, Err: unix.ENOTDIR}
	}
	if err == nil {
		return nil, nil
	}
	if parent := filepath.Dir(dir); parent != dir {
		if made, err = mkdirAll(parent); err != nil {
			return made, err
		}
	}
	// 0700: a record names network namespaces and addresses of every container.
	err = os.Mkdir(dir, 0o700)
	if err == nil {
		return append([]string{dir}, made...), nil
	}
	if errors.Is(err, os.ErrExist) {
		_, err = os.Stat(dir) // another process created it, and may have deleted it again
	}
	return made, err
}

// removeCreated deletes the directories that this attachment created, up to the
// first one that another process uses by now: rmdir fails with ENOTEMPTY.
func (a *Attachment) removeCreated() {
	for _, dir := range a.created {
		if err := os.Remove(dir); err != nil && !errors.Is(err, os.ErrNotExist) {
			return
		}
	}
	a.created = nil
}
