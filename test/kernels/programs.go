package main

import (
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/patchbay-cni/patchbay/test/kit/initramfs"
)

// system is a file system with programs: of this machine, or of unpacked packages of another architecture.
type system struct{ root, triplet string }

// system returns where the programs of the machine come from.
func (j *job) system() system {
	if j.programs == "" {
		return system{"/", j.arch().triplet}
	}
	return system{j.programs, j.arch().triplet}
}

// find returns the path of a program on this machine, "" without one.
func (s system) find(name string) string {
	for _, dir := range []string{"usr/sbin", "usr/bin", "sbin", "bin"} {
		if path := filepath.Join(s.root, dir, name); readable(path) {
			return path
		}
	}
	return ""
}

// add adds programs that are there, with their libraries and the extensions of iptables; a test that needs another one says so.
func (s system) add(a *initramfs.Archive, names []string) error {
	wanted := []string{}
	for _, name := range names {
		if path := s.find(name); path != "" {
			wanted = append(wanted, s.inside(path))
		}
	}
	for _, dir := range []string{"/usr/lib/" + s.triplet + "/xtables", "/usr/lib/tc"} {
		if readable(filepath.Join(s.root, dir)) {
			a.CopyFrom(s.root, dir)
		}
	}
	had := map[string]bool{}
	for i := 0; i < len(wanted); i++ { // it grows by libraries
		if had[wanted[i]] {
			continue
		}
		had[wanted[i]] = true
		a.CopyFrom(s.root, wanted[i])
		libraries, err := s.libraries(wanted[i])
		if err != nil {
			return err
		}
		wanted = append(wanted, libraries...)
	}
	return nil
}

// inside returns a path as the machine has it.
func (s system) inside(path string) string {
	return "/" + strings.TrimPrefix(strings.TrimPrefix(path, s.root), "/")
}

// followed returns the path to which a symbolic link leads: an absolute target is one of this file system.
func (s system) followed(path string) string {
	for {
		target, err := os.Readlink(filepath.Join(s.root, path))
		if err != nil {
			return path // no link
		}
		if !filepath.IsAbs(target) {
			target = filepath.Join(filepath.Dir(path), target)
		}
		path = target
	}
}

// libraries returns the shared libraries that a program or a library names, with its loader; none of a script.
func (s system) libraries(path string) (found []string, err error) {
	f, err := elf.Open(filepath.Join(s.root, s.followed(path)))
	if format := (*elf.FormatError)(nil); errors.As(err, &format) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("libraries of %s: %w", path, err)
	}
	defer func() { _ = f.Close() }()
	names, err := f.ImportedLibraries()
	if err != nil {
		return nil, fmt.Errorf("libraries of %s: %w", path, err)
	}
	for _, name := range names {
		library := s.library(name)
		if library == "" {
			return nil, fmt.Errorf("libraries of %s: %s is not there", path, name)
		}
		found = append(found, library)
	}
	if loader := f.Section(".interp"); loader != nil {
		name, err := loader.Data()
		if err != nil {
			return nil, fmt.Errorf("loader of %s: %w", path, err)
		}
		found = append(found, strings.TrimRight(string(name), "\x00"))
	}
	return found, nil
}

// library returns the path of a library, "" without it.
func (s system) library(name string) string {
	for _, dir := range []string{"usr/lib/" + s.triplet, "lib/" + s.triplet, "usr/lib", "lib", "usr/lib64", "lib64", "usr/local/lib"} {
		if path := filepath.Join(s.root, dir, name); readable(path) {
			return s.inside(path)
		}
	}
	return ""
}
