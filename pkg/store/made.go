package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// mostTries is how often a directory can be taken away between its making and its use before
// something else must be wrong.
const mostTries = 100

// lockAnew locks the record, made if need be with its directory. A DEL that finds no directory
// must lock too: the ADD that makes it may come next, and would lose its record to the DEL.
func (a *Attachment) lockAnew(ctx context.Context) error {
	err := a.lock(ctx, os.O_RDWR|os.O_CREATE)
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ENOTDIR) {
		err = a.makeAndLock(ctx)
	}
	for try := 1; errors.Is(err, os.ErrNotExist) && try < mostTries; try++ {
		// Whoever made a directory before us was a DEL, and has taken it away again.
		err = a.makeAndLock(ctx)
	}
	if err != nil {
		a.removeMade()
	}
	return err
}

func (a *Attachment) makeAndLock(ctx context.Context) error {
	made, err := makeMissing(filepath.Dir(a.path()))
	a.made = append(made, a.made...)
	if err != nil {
		return fmt.Errorf("make state directory: %w", err)
	}
	return a.lock(ctx, os.O_RDWR|os.O_CREATE)
}

// makeMissing is os.MkdirAll that tells which directories it made, the deepest first.
func makeMissing(dir string) (made []string, err error) {
	info, err := os.Stat(dir)
	if err == nil && !info.IsDir() {
		return nil, &os.PathError{Op: "mkdir", Path: dir, Err: unix.ENOTDIR}
	}
	if err == nil {
		return nil, nil
	}
	if parent := filepath.Dir(dir); parent != dir {
		if made, err = makeMissing(parent); err != nil {
			return made, err
		}
	}
	err = os.Mkdir(dir, 0o700)
	if err == nil {
		return append([]string{dir}, made...), nil
	}
	if errors.Is(err, os.ErrExist) {
		_, err = os.Stat(dir) // somebody else made it, and may have removed it again
	}
	return made, err
}

// removeMade goes up until a directory is somebody else's by now: there is something in it.
func (a *Attachment) removeMade() {
	for _, dir := range a.made {
		if err := os.Remove(dir); err != nil && !errors.Is(err, os.ErrNotExist) {
			return
		}
	}
	a.made = nil
}
