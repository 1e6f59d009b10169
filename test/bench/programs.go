package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// programs is the directory with the programs under test. They are copies, on the run's tmpfs: so
// all start from the same kind of file, and the tmpfs does not hide them.
type programs string

const (
	programsDir = "/run/bench/bin"
	cacheDir    = "/run/bench/cni" // libcni's, where a runtime has /var/lib/cni
	netnsDir    = "/run/bench/netns"
)

func (p programs) path(name string) string { return filepath.Join(string(p), name) }

// newPrograms gives this mount namespace its own /run and /var/lib, the places where plugins keep
// state, and puts the programs there.
func newPrograms() (programs, error) {
	files, err := openPrograms()
	if err != nil {
		return "", err
	}
	defer closeAll(files)
	if err := mountOwn(); err != nil {
		return "", err
	}
	for _, dir := range []string{programsDir, cacheDir, netnsDir} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return "", err
		}
	}
	p := programs(programsDir)
	for _, f := range files {
		if err := copyProgram(f, p.path(filepath.Base(f.Name()))); err != nil {
			return "", err
		}
	}
	return p, nil
}

func openPrograms() (files []*os.File, err error) {
	binary, cache := os.Getenv("PATCHBAY_BIN"), os.Getenv("PATCHBAY_CACHE_BIN")
	if binary == "" || cache == "" {
		return nil, errors.New("PATCHBAY_BIN and PATCHBAY_CACHE_BIN are not set: run make bench")
	}
	for _, path := range []string{binary, filepath.Join(cache, "bridge"), filepath.Join(cache, "host-local")} {
		f, err := os.Open(path)
		if err != nil {
			closeAll(files)
			return nil, fmt.Errorf("%w: run make bench, which builds it", err)
		}
		files = append(files, f)
	}
	return files, nil
}

func closeAll(files []*os.File) {
	for _, f := range files {
		f.Close()
	}
}

func mountOwn() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	for _, dir := range []string{"/run", "/var/lib"} {
		if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=755"); err != nil {
			return fmt.Errorf("mount tmpfs on %s: %w", dir, err)
		}
	}
	return nil
}

func copyProgram(from io.Reader, to string) error {
	f, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, from)
	return errors.Join(err, f.Close())
}
