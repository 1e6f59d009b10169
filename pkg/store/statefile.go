package store

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/safefile"
)

// ErrIrregular is wrapped if a state file or directory is not what this program
// creates: a symbolic link, a named pipe, a hard link, a file of another user.
// Following it would let the user who created it choose which file root reads,
// writes, truncates or waits for.
var ErrIrregular = errors.New("file not created by Patchbay")

// irregular returns an ErrIrregular that names the path and what was found there.
func irregular(path, kind string) error {
	return fmt.Errorf("%s: %w: %s", path, ErrIrregular, kind)
}

// kindOf names the type of a file; "" for a regular file.
func kindOf(mode fs.FileMode) string {
	switch mode.Type() {
	case 0:
		return ""
	case fs.ModeSymlink:
		return "a symbolic link"
	case fs.ModeDir:
		return "a directory"
	case fs.ModeNamedPipe:
		return "a named pipe"
	}
	return "a device or socket"
}

// openState opens a state file; with O_CREATE it is created with mode 0600.
// O_NOFOLLOW rejects a symbolic link, and O_NONBLOCK avoids waiting for the
// writer of a named pipe. Owner and mode are checked on the open descriptor, so
// they cannot change in between. The caller has checked the directory (checkDirs).
func openState(path string, flags int) (*os.File, error) {
	f, err := os.OpenFile(path, flags&^os.O_TRUNC|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0o600)
	if err != nil {
		// O_NOFOLLOW makes a link ELOOP, and a pipe without a reader is ENXIO: name
		// what is there instead.
		if info, look := os.Lstat(path); look == nil && kindOf(info.Mode()) != "" {
			return nil, irregular(path, kindOf(info.Mode()))
		}
		return nil, err
	}
	if err := checkOpened(f, flags&os.O_TRUNC != 0); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// checkOpened checks type, owner and mode of an open file, and truncates it only
// after that: O_TRUNC in open(2) would truncate a hard link to any file.
func checkOpened(f *os.File, truncate bool) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if kind := kindOf(info.Mode()); kind != "" {
		return irregular(f.Name(), kind)
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if ok && !safefile.Trusted(stat.Uid) {
		return irregular(f.Name(), fmt.Sprintf("a file of user %d", stat.Uid))
	}
	if ok && stat.Mode&0o002 != 0 {
		return irregular(f.Name(), "a file that every user may write")
	}
	// Truncating a hard link would destroy the other file. Reading one is harmless:
	// only root can have created it in a directory that only root may write to.
	if truncate && (!ok || stat.Nlink > 1) {
		return irregular(f.Name(), "a second name of another file (hard link)")
	}
	if !truncate || info.Size() == 0 {
		return nil
	}
	return f.Truncate(0)
}

// readState reads a state file.
func readState(path string) ([]byte, error) {
	f, err := openState(path, os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readAll(f)
}

// maxFileSize limits how much of a state file is read, in bytes. The record of an
// attachment with 4096 published ports has less than 1 MB.
const maxFileSize = 16 << 20

// readAll reads a file of at most maxFileSize bytes.
func readAll(f *os.File) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(f, maxFileSize+1))
	if err == nil && len(text) > maxFileSize {
		err = irregular(f.Name(), fmt.Sprintf("a file of more than %d bytes", maxFileSize))
	}
	return text, err
}

// makeDirs creates a directory and its parents. root and the directories above it
// may be symbolic links, because an administrator may store state elsewhere;
// below root only real directories are accepted.
func makeDirs(root, path string, mode fs.FileMode) error {
	err := checkDirs(root, path)
	if err == nil || errors.Is(err, ErrIrregular) {
		return err
	}
	return os.MkdirAll(path, mode)
}

// checkDirs checks that every step from root, which is not checked itself, to
// path is a directory and not a symbolic link. It returns os.ErrNotExist at the
// first one that is missing.
func checkDirs(root, path string) error {
	below, err := filepath.Rel(root, path)
	if err != nil {
		return err
	}
	for step := range strings.SplitSeq(below, "/") {
		root = filepath.Join(root, step)
		info, err := os.Lstat(root)
		if err != nil {
			return err
		}
		if kind := kindOf(info.Mode()); !info.IsDir() && kind != "" {
			return irregular(root, kind)
		}
	}
	return nil
}

// Place is a state directory that exists or that ADD will create.
type Place struct {
	Path string
	// this directory and those above it may be symbolic links
	root string
}

// Places returns the directories that ADD writes for a network: the records and,
// if requested, the address files and the sticky memory.
func (d Dirs) Places(networkName string, addresses, sticky bool) []Place {
	places := []Place{{filepath.Join(d.State, networkName), d.State}}
	if addresses {
		data := d.places(networkName)[0]
		places = append(places, Place{filepath.Join(data.Data, networkName), data.dataRoot()})
	}
	if sticky {
		places = append(places, Place{filepath.Join(StickyDir, networkName), filepath.Dir(StickyDir)})
	}
	return places
}

// Check reports why ADD could not use the directory: there is a file or a
// symbolic link in its place, or other users can change it. It changes nothing.
// Errors wrap ErrIrregular or ErrUnsafe, or are the file system's.
func (p Place) Check() error {
	if err := checkSafe(p.root, p.Path); err != nil {
		return err
	}
	err := checkDirs(p.root, p.Path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info, err := os.Lstat(p.Path); err == nil && !info.IsDir() {
		return irregular(p.Path, "a file")
	}
	return nil
}
