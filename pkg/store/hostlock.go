package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// HostLock is a lock that all attachments of a host share, of whatever network.
type HostLock struct {
	file *os.File
}

// The names of the lock files in the state directory.
const (
	rulesetLock = ".ruleset"
	namesLock   = ".names"
)

// LockHost locks what belongs to no single network, that is the ruleset: shared to
// change elements of one attachment, exclusively to build the table again. The
// lock file in stateDir is created if needed and is never deleted, because a
// process may be waiting for it. Errors are those of Open.
func LockHost(ctx context.Context, stateDir string, shared bool) (*HostLock, error) {
	how := unix.LOCK_EX
	if shared {
		how = unix.LOCK_SH
	}
	l, err := lockFile(ctx, stateDir, rulesetLock, how)
	if err != nil {
		return nil, fmt.Errorf("lock the ruleset: %w", err)
	}
	return l, nil
}

// LockNames locks the hosts files of a host exclusively, as LockHost locks the ruleset.
func LockNames(ctx context.Context, stateDir string) (*HostLock, error) {
	return lockFile(ctx, stateDir, namesLock, unix.LOCK_EX)
}

// lockFile locks a file in the state directory, and creates it if needed.
func lockFile(ctx context.Context, stateDir, name string, how int) (*HostLock, error) {
	path := filepath.Join(stateDir, name)
	// The directory nearly always exists; creating it first would cost a call per ADD.
	f, err := openState(path, os.O_RDWR|os.O_CREATE)
	if errors.Is(err, os.ErrNotExist) {
		if _, err = mkdirAll(stateDir); err == nil {
			f, err = openState(path, os.O_RDWR|os.O_CREATE)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("open lock file: %w", err)
	}
	if err := lockMode(ctx, f, how); err != nil {
		return nil, err
	}
	return &HostLock{f}, nil
}

// Unlock releases the lock.
func (l *HostLock) Unlock() { l.file.Close() }
