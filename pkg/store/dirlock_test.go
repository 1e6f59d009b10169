package store

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// lockedAtOnce reports whether a lock is taken without waiting.
func lockedAtOnce(t *testing.T, shared bool, dirs ...string) bool {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	l, err := LockDirs(ctx, shared, dirs...)
	if err != nil && !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if l != nil {
		l.Unlock()
	}
	return l != nil
}

// TestLockDirs: several hold it shared or one exclusively; a missing directory is skipped.
func TestLockDirs(t *testing.T) {
	for name, mode := range map[string]os.FileMode{"private": 0o700, "readable by others": 0o755} {
		t.Run(name, func(t *testing.T) {
			dir, missing := filepath.Join(t.TempDir(), "state"), filepath.Join(t.TempDir(), "missing")
			if err := os.Mkdir(dir, mode); err != nil {
				t.Fatal(err)
			}
			shared, err := LockDirs(context.Background(), true, missing, dir)
			if err != nil {
				t.Fatal(err)
			}
			if !lockedAtOnce(t, true, dir) || lockedAtOnce(t, false, missing, dir) {
				t.Error("held shared: want a second shared lock and no exclusive one")
			}
			shared.Unlock()
			alone, err := LockDirs(context.Background(), false, dir, missing)
			if err != nil {
				t.Fatal(err)
			}
			if lockedAtOnce(t, true, dir) || lockedAtOnce(t, false, dir) {
				t.Error("held exclusively: want no other lock")
			}
			alone.Unlock()
			if !lockedAtOnce(t, false, dir) {
				t.Error("unlocked: want an exclusive lock")
			}
			if _, err := os.Lstat(filepath.Join(dir, rulesetLock)); (err == nil) != (mode == 0o755) {
				t.Errorf("lock file: %v", err)
			}
		})
	}
}

// TestLockDirsNeedsNoFileOfOthers: a directory that other users can open is not locked itself.
func TestLockDirsNeedsNoFileOfOthers(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	l, err := LockDirs(context.Background(), true, dir)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Unlock()
	info, err := os.Stat(filepath.Join(dir, rulesetLock))
	if err != nil || info.Mode().Perm()&0o077 != 0 {
		t.Errorf("mode of the lock: %v, %v", info, err)
	}
}
