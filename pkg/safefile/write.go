package safefile

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Write writes a file of the effective user, new or in the place of another one,
// completely or not at all: it creates a temporary file in the same directory and renames
// it. On the way no symbolic link is followed that another user could have created. A
// symbolic link in the place of the file is replaced, not followed; a directory is an
// error. Errors wrap ErrSymlink or ErrNotDir, or are the system's.
func Write(path string, mode uint32, text []byte) error {
	w, err := openDir(filepath.Dir(path))
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer w.close()
	temp := ".patchbay-" + rand.Text()
	err = Create(w.fd, temp, Attributes{UID: os.Geteuid(), GID: os.Getegid(), Mode: mode}, bytes.NewReader(text))
	if err == nil {
		err = unix.Renameat(w.fd, temp, w.fd, filepath.Base(path))
	}
	if err != nil {
		if failed := unix.Unlinkat(w.fd, temp, 0); !errors.Is(failed, unix.ENOENT) {
			err = errors.Join(err, failed)
		}
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}
