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
)

// ErrIrregular is wrapped where something else is in the place of a state file or directory: a
// symbolic link, a named pipe, a second name of another file. Who could write there once would
// have us write, truncate or wait elsewhere.
var ErrIrregular = errors.New("is no file or directory that Patchbay made")

func irregular(path, kind string) error {
	return fmt.Errorf("%s %w, but %s", path, ErrIrregular, kind)
}

// kindOf is what a file is in words; "" for a plain one.
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

// openOurs opens a state file, made with mode 0600. It follows no link, waits for no pipe, and
// truncates only a file that has no second name. The directory has been looked at (lookAtDirs).
func openOurs(path string, flags int) (*os.File, error) {
	f, err := os.OpenFile(path, flags&^os.O_TRUNC|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0o600)
	if err != nil {
		if info, look := os.Lstat(path); look == nil && kindOf(info.Mode()) != "" {
			return nil, irregular(path, kindOf(info.Mode()))
		}
		return nil, err
	}
	if err := emptied(f, flags&os.O_TRUNC != 0); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// emptied looks at what was opened and then truncates it, if asked.
func emptied(f *os.File, truncate bool) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if kind := kindOf(info.Mode()); kind != "" {
		return irregular(f.Name(), kind)
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if truncate && (!ok || stat.Nlink > 1) {
		return irregular(f.Name(), "a second name of another file (hard link)")
	}
	if !truncate || info.Size() == 0 {
		return nil
	}
	return f.Truncate(0)
}

// readOurs is os.ReadFile for state files.
func readOurs(path string) ([]byte, error) {
	f, err := openOurs(path, os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(f)
}

// makeDirs makes a directory and those above it. Only root and what is above it may be reached
// by symbolic links: an administrator may have put state elsewhere, and then says so there.
func makeDirs(root, path string, mode fs.FileMode) error {
	err := lookAtDirs(root, path)
	if err == nil || errors.Is(err, ErrIrregular) {
		return err
	}
	return os.MkdirAll(path, mode)
}

// lookAtDirs wants a real directory at every step from root, which is not looked at, to path.
// What is missing is os.ErrNotExist.
func lookAtDirs(root, path string) error {
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

// Place is a directory of state that is there or will be made.
type Place struct {
	Path string
	root string // what may be reached by symbolic links
}

// Places are those that an ADD to a network writes to: for records, and if it has any for addresses
// and for who had them.
func (d Dirs) Places(networkName string, addresses, sticky bool) []Place {
	places := []Place{{filepath.Join(d.State, networkName), d.State}}
	if addresses {
		places = append(places, Place{filepath.Join(d.Data, networkName), d.rootOfData()})
	}
	if sticky {
		places = append(places, Place{filepath.Join(StickyDir, networkName), filepath.Dir(StickyDir)})
	}
	return places
}

// InTheWay says what stands where the directory would be made; nil if nothing does. It changes
// nothing. Errors wrap ErrIrregular, or are the file system's.
func (p Place) InTheWay() error {
	err := lookAtDirs(p.root, p.Path)
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
