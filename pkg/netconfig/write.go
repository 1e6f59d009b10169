package netconfig

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/safefile"
)

// CheckNew returns an error unless every file can be created: none of them exists, and its directory does, and is root's alone.
func CheckNew(files []File) error {
	for _, f := range files {
		dir := filepath.Dir(f.Path)
		if _, err := os.Stat(dir); err != nil {
			return fmt.Errorf("write %s: %w; is that the program that configures this host?", f.Path, err)
		}
		if err := safefile.CheckDir(dir); err != nil {
			return fmt.Errorf("write %s: %w", f.Path, err)
		}
		if _, err := os.Lstat(f.Path); err == nil {
			return fmt.Errorf("write %s: %w; %s", f.Path, os.ErrExist, remedy(f.Path))
		}
	}
	return nil
}

// remedy says what to do about a file that exists.
func remedy(path string) string {
	if isOurs(path) {
		return "an earlier patchbay bridge create wrote it: remove it, or leave out --write"
	}
	return "move it away first"
}

// Write creates files, and replaces none. After an error it removes those that it has created.
func Write(files []File) (err error) {
	if err := CheckNew(files); err != nil {
		return err
	}
	var created []string
	for _, f := range files {
		if err = write(f); err != nil {
			break
		}
		created = append(created, f.Path)
	}
	if err != nil {
		for _, path := range created {
			err = errors.Join(err, os.Remove(path))
		}
	}
	return err
}

// write creates one file, completely or not at all.
func write(f File) error {
	dir, err := safefile.OpenDir(filepath.Dir(f.Path))
	if err != nil {
		return fmt.Errorf("write %s: %w", f.Path, err)
	}
	defer unix.Close(dir)
	name := filepath.Base(f.Path)
	temp := "." + name + ".patchbay"
	_ = unix.Unlinkat(dir, temp, 0) // left by a call that was killed
	err = safefile.Create(dir, temp, safefile.Attributes{UID: os.Geteuid(), GID: os.Getegid(), Mode: f.Mode}, strings.NewReader(f.Content))
	if err == nil {
		err = unix.Linkat(dir, temp, dir, name, 0) // unlike a rename it replaces nothing
	}
	_ = unix.Unlinkat(dir, temp, 0)
	if err == nil {
		err = unix.Fsync(dir)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", f.Path, err)
	}
	return nil
}
