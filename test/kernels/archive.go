package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// archive writes an initramfs: a cpio archive in the form "newc" (Documentation/driver-api/early-userspace/buffer-format.rst), in
// which root owns every file. It is not compressed, because an emulated CPU decompresses slowly.
type archive struct {
	to   io.Writer
	has  map[string]bool
	inos int
	err  error
}

func newArchive(to io.Writer) *archive { return &archive{to: to, has: map[string]bool{"/": true}} }

// entry writes one entry. After an error it does nothing; close returns the error.
func (a *archive) entry(name string, mode uint32, content []byte) {
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

func (a *archive) close() error {
	a.entry("TRAILER!!!", 0, nil)
	return a.err
}

// dir adds a directory and those above it.
func (a *archive) dir(path string) {
	if a.has[path] {
		return
	}
	a.has[path] = true
	a.dir(filepath.Dir(path))
	a.entry(path, unix.S_IFDIR|0o755, nil)
}

// file adds a file with the given content.
func (a *archive) file(path string, mode uint32, content []byte) {
	if a.has[path] {
		return
	}
	a.has[path] = true
	a.dir(filepath.Dir(path))
	a.entry(path, unix.S_IFREG|mode, content)
}

// symlink adds a symbolic link.
func (a *archive) symlink(path, target string) {
	if a.has[path] {
		return
	}
	a.has[path] = true
	a.dir(filepath.Dir(path))
	a.entry(path, unix.S_IFLNK|0o777, []byte(target))
}

// copy adds a file or a directory of this machine at its own path, with every symbolic link on the way.
func (a *archive) copy(path string) {
	done := "/"
	parts := strings.Split(strings.Trim(filepath.Clean(path), "/"), "/")
	for i, part := range parts {
		here := filepath.Join(done, part)
		info, err := os.Lstat(here)
		if err != nil {
			a.fail(err)
			return
		}
		if info.Mode()&os.ModeSymlink != 0 {
			target, err := os.Readlink(here)
			a.fail(err)
			a.symlink(here, target)
			if !filepath.IsAbs(target) {
				target = filepath.Join(done, target)
			}
			a.copy(filepath.Join(append([]string{target}, parts[i+1:]...)...))
			return
		}
		done = here
	}
	a.copyAsIs(done, done)
}

// copyAsIs adds a file, or a directory with everything below it, at another path.
func (a *archive) copyAsIs(from, to string) {
	info, err := os.Stat(from)
	switch {
	case err != nil:
		a.fail(err)
	case info.IsDir():
		entries, err := os.ReadDir(from)
		a.fail(err)
		a.dir(to)
		for _, e := range entries {
			a.below(e, filepath.Join(from, e.Name()), filepath.Join(to, e.Name()))
		}
	case !a.has[to]:
		content, err := os.ReadFile(from)
		a.fail(err)
		a.file(to, uint32(info.Mode().Perm()), content)
	}
}

// below adds an entry of a directory. A symbolic link stays one: its target may be outside of what is wanted.
func (a *archive) below(e os.DirEntry, from, to string) {
	if e.Type()&os.ModeSymlink == 0 {
		a.copyAsIs(from, to)
		return
	}
	target, err := os.Readlink(from)
	a.fail(err)
	a.symlink(to, target)
}

func (a *archive) fail(err error) {
	if a.err == nil {
		a.err = err
	}
}

// lines returns the lines of a text that are not empty.
func lines(text []byte) (found []string) {
	for line := range bytes.Lines(text) {
		if s := string(bytes.TrimSpace(line)); s != "" {
			found = append(found, s)
		}
	}
	return found
}
