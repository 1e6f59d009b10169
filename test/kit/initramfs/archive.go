// Package initramfs writes the initial RAM file system of a virtual machine: an archive of files of this machine and of given contents.
// It starts nothing, and does not know what /init does.
package initramfs

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Archive writes an initramfs: a cpio archive in the form "newc" (Documentation/driver-api/early-userspace/buffer-format.rst), in
// which root owns every file. It is not compressed, because an emulated CPU decompresses slowly.
type Archive struct {
	to   io.Writer
	has  map[string]bool
	inos int
	err  error
}

// Write writes an archive to a file. add adds its files; an error of the archive ends in that of Write.
func Write(path string, add func(*Archive)) error {
	out, err := os.Create(path)
	if err != nil {
		return err
	}
	buffered := bufio.NewWriterSize(out, 1<<20)
	a := &Archive{to: buffered, has: map[string]bool{"/": true}}
	add(a)
	a.entry("TRAILER!!!", 0, nil)
	if err := errors.Join(a.err, buffered.Flush(), out.Close()); err != nil {
		return fmt.Errorf("write initramfs: %w", err)
	}
	return nil
}

// entry writes one entry. After an error it does nothing.
func (a *Archive) entry(name string, mode uint32, content []byte) {
	a.inos++
	name = strings.TrimPrefix(name, "/")
	head := fmt.Sprintf("070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X",
		a.inos, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name)+1, 0)
	for _, part := range [][]byte{pad4([]byte(head + name + "\x00")), pad4(content)} {
		if a.err == nil {
			_, a.err = a.to.Write(part)
		}
	}
}

func pad4(b []byte) []byte { return append(b, make([]byte, (4-len(b)%4)%4)...) }

// Has reports whether the archive has a path.
func (a *Archive) Has(path string) bool { return a.has[path] }

// Dir adds a directory and those above it.
func (a *Archive) Dir(path string) {
	if a.has[path] {
		return
	}
	a.has[path] = true
	a.Dir(filepath.Dir(path))
	a.entry(path, unix.S_IFDIR|0o755, nil)
}

// File adds a file with the given content.
func (a *Archive) File(path string, mode uint32, content []byte) {
	if a.has[path] {
		return
	}
	a.has[path] = true
	a.Dir(filepath.Dir(path))
	a.entry(path, unix.S_IFREG|mode, content)
}

// Symlink adds a symbolic link.
func (a *Archive) Symlink(path, target string) {
	if a.has[path] {
		return
	}
	a.has[path] = true
	a.Dir(filepath.Dir(path))
	a.entry(path, unix.S_IFLNK|0o777, []byte(target))
}

// Copy adds a file or a directory of this machine at its own path, with every symbolic link on the way.
func (a *Archive) Copy(path string) { a.CopyFrom("/", path) }

// CopyFrom adds a file or a directory of the file system below root at the path that it has there, with every symbolic link on the way.
func (a *Archive) CopyFrom(root, path string) {
	done := "/"
	parts := strings.Split(strings.Trim(filepath.Clean(path), "/"), "/")
	for i, part := range parts {
		here := filepath.Join(done, part)
		info, err := os.Lstat(filepath.Join(root, here))
		if err != nil {
			a.Fail(err)
			return
		}
		if info.Mode()&os.ModeSymlink != 0 {
			target, err := os.Readlink(filepath.Join(root, here))
			a.Fail(err)
			a.Symlink(here, target)
			if !filepath.IsAbs(target) {
				target = filepath.Join(done, target)
			}
			a.CopyFrom(root, filepath.Join(append([]string{target}, parts[i+1:]...)...))
			return
		}
		done = here
	}
	a.CopyAs(filepath.Join(root, done), done)
}

// CopyAs adds a file, or a directory with everything below it, at another path.
func (a *Archive) CopyAs(from, to string) {
	info, err := os.Stat(from)
	switch {
	case err != nil:
		a.Fail(err)
	case info.IsDir():
		entries, err := os.ReadDir(from)
		a.Fail(err)
		a.Dir(to)
		for _, e := range entries {
			a.below(e, filepath.Join(from, e.Name()), filepath.Join(to, e.Name()))
		}
	case !a.has[to]:
		content, err := os.ReadFile(from)
		a.Fail(err)
		a.File(to, uint32(info.Mode().Perm()), content)
	}
}

// below adds an entry of a directory. A symbolic link stays one: its target may be outside of what is wanted.
func (a *Archive) below(e os.DirEntry, from, to string) {
	if e.Type()&os.ModeSymlink == 0 {
		a.CopyAs(from, to)
		return
	}
	target, err := os.Readlink(from)
	a.Fail(err)
	a.Symlink(to, target)
}

// Fail keeps the first error, which Write returns.
func (a *Archive) Fail(err error) {
	if a.err == nil {
		a.err = err
	}
}
