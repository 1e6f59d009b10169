package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// HostLock is a lock that all attachments of a host share, whatever network they are of.
type HostLock struct {
	file *os.File
}

// LockHost locks what belongs to no single network: exclusively for who builds it anew, shared for
// those who must not be at work meanwhile. The file is in a state directory, and stays. Errors are
// as Open's.
func LockHost(ctx context.Context, stateDir string, shared bool) (*HostLock, error) {
	path := filepath.Join(stateDir, ".ruleset")
	f, err := openOurs(path, os.O_RDWR|os.O_CREATE)
	if errors.Is(err, os.ErrNotExist) {
		if _, err = makeMissing(stateDir); err == nil {
			f, err = openOurs(path, os.O_RDWR|os.O_CREATE)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("open lock of the ruleset: %w", err)
	}
	how := unix.LOCK_EX
	if shared {
		how = unix.LOCK_SH
	}
	if err := lockAs(ctx, f, how); err != nil {
		return nil, fmt.Errorf("lock the ruleset: %w", err)
	}
	return &HostLock{f}, nil
}

// Unlock lets the next one in.
func (l *HostLock) Unlock() { l.file.Close() }

// elsewhere is the directory, in the state directory that every Patchbay knows, with one link for
// each other state directory that a network was given.
const elsewhere = ".elsewhere"

// NoteStateDir remembers in a state directory that there is another one, so that who must find all
// attachments of the host does.
func NoteStateDir(known, other string) error {
	other = filepath.Clean(other)
	if other == filepath.Clean(known) {
		return nil
	}
	sum := sha256.Sum256([]byte(other))
	link := filepath.Join(known, elsewhere, hex.EncodeToString(sum[:6]))
	if at, err := os.Readlink(link); err == nil && at == other {
		return nil
	}
	if err := makeDirs(known, filepath.Dir(link), 0o700); err != nil {
		return fmt.Errorf("remember state directory %s: %w", other, err)
	}
	if err := os.Symlink(other, link); err != nil && !errors.Is(err, os.ErrExist) {
		return fmt.Errorf("remember state directory: %w", err)
	}
	return nil
}

// StateDirs are the given directory and those that were noted in it.
func StateDirs(known string) []string {
	dirs := []string{known}
	entries, _ := os.ReadDir(filepath.Join(known, elsewhere))
	for _, e := range entries {
		if other, err := os.Readlink(filepath.Join(known, elsewhere, e.Name())); err == nil {
			dirs = append(dirs, other)
		}
	}
	return dirs
}
