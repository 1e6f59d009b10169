package attach

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/config"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// state checks the directories of records and addresses. ADD creates missing ones.
func (p *preflight) state() error {
	if p.cfg.StateDir != config.DefaultStateDir { // it also has the lock of the ruleset and the notes of bridges
		if err := store.CheckSafe(config.DefaultStateDir); err != nil {
			return err
		}
	}
	for _, place := range p.places() {
		err := place.Check()
		if errors.Is(err, store.ErrIrregular) || errors.Is(err, store.ErrUnsafe) {
			return err // it names the directory
		}
		if err != nil {
			return fmt.Errorf("state directory %s: %w", place.Path, err)
		}
	}
	return nil
}

// stateHasSpace checks that the state directories are writable and their file systems not full. ADD calls it only after a write failed:
// see writeError.
func (p *preflight) stateHasSpace() error {
	for _, place := range p.places() {
		if err := writable(place.Path); err != nil {
			return fmt.Errorf("state directory %s: %w", place.Path, err)
		}
	}
	return nil
}

// writeError returns the error of stateHasSpace if that explains err, so that ADD and STATUS report the same, else err.
func (p *preflight) writeError(err error) error {
	for _, is := range []error{unix.EROFS, unix.EACCES, unix.EPERM, unix.ENOSPC, unix.EDQUOT} {
		if !errors.Is(err, is) {
			continue
		}
		if why := p.stateHasSpace(); why != nil {
			return why
		}
	}
	return err
}

// places returns the directories to which an ADD writes.
func (p *preflight) places() []store.Place {
	addresses := p.cfg.IPAM != nil
	return dirs(p.cfg.Ident).Places(p.cfg.Name, addresses, addresses && p.cfg.IPAM.Sticky)
}

// writable checks, without writing, that files can be created in a directory, or in its nearest existing parent.
func writable(wanted string) error {
	dir := wanted
	for {
		info, err := os.Stat(dir)
		if errors.Is(err, fs.ErrNotExist) && filepath.Dir(dir) != dir {
			symlink, missing := os.Lstat(dir)
			if missing == nil && symlink.Mode()&fs.ModeSymlink != 0 {
				return err // its target does not exist
			}
			if missing != nil { // else another process has made it since
				dir = filepath.Dir(dir)
			}
			continue
		}
		if err == nil && !info.IsDir() {
			err = unix.ENOTDIR
		}
		if err == nil {
			err = unix.Faccessat(unix.AT_FDCWD, dir, unix.W_OK|unix.X_OK, unix.AT_EACCESS)
		}
		if err == nil {
			if err = full(dir); errors.Is(err, unix.ENOSPC) {
				dir = wanted // an ADD that failed for that may have created the directory, and both report the same path
			}
		}
		if errors.Is(err, fs.ErrNotExist) {
			continue // another process has removed it since
		}
		if err != nil {
			err = &fs.PathError{Op: "write to", Path: dir, Err: err}
		}
		return err
	}
}

// full returns ENOSPC if a file system has no space for the files of one attachment. Root may use the blocks that ext4 reserves.
func full(dir string) error {
	const files = 16 // record and temporary record, and for each of two families address, mark, cursor and memory
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return err
	}
	free := fs.Bavail
	if os.Geteuid() == 0 {
		free = fs.Bfree
	}
	// A file system without such a limit says 0 of 0: a tmpfs without size, btrfs of inodes.
	if fs.Blocks > 0 && free < files || fs.Files > 0 && fs.Ffree < files {
		return unix.ENOSPC
	}
	return nil
}
