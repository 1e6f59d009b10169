package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// programs are the directories of the programs under test: the CNI_PATH.
type programs []string

const (
	programsDir = "/run/bench/bin"
	cacheDir    = "/run/bench/cni" // libcni's, where a runtime has /var/lib/cni
	netnsDir    = "/run/bench/netns"
)

// newPrograms mounts a tmpfs on /run and /var/lib, where plugins keep state. The programs stay on the file system they were built on, as
// installed ones are: their directories are bind-mounted below the tmpfs.
func newPrograms() (programs, error) {
	built, err := openBuilt()
	if err != nil {
		return nil, err
	}
	defer closeAll(built)
	if err := mountOwn(); err != nil {
		return nil, err
	}
	for _, dir := range []string{programsDir, cacheDir, netnsDir} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, err
		}
	}
	var p programs
	for i, dir := range built {
		place := filepath.Join(programsDir, fmt.Sprint(i))
		if err := bind(dir, place); err != nil {
			return nil, err
		}
		p = append(p, place)
	}
	return p, p.complete()
}

// openBuilt opens the directories of the built programs.
func openBuilt() ([]*os.File, error) {
	binary, cache := os.Getenv("PATCHBAY_BIN"), os.Getenv("PATCHBAY_CACHE_BIN")
	if binary == "" || cache == "" {
		return nil, errors.New("PATCHBAY_BIN and PATCHBAY_CACHE_BIN are not set: run make bench")
	}
	var dirs []*os.File
	for _, path := range []string{filepath.Dir(binary), cache} {
		dir, err := os.Open(path)
		if err != nil {
			closeAll(dirs)
			return nil, err
		}
		dirs = append(dirs, dir)
	}
	return dirs, nil
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

func bind(dir *os.File, place string) error {
	if err := os.Mkdir(place, 0o755); err != nil {
		return err
	}
	if err := unix.Mount(fmt.Sprintf("/proc/self/fd/%d", dir.Fd()), place, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("bind %s to %s: %w", dir.Name(), place, err)
	}
	return nil
}

// complete returns an error that names the first missing program.
func (p programs) complete() error {
	for _, name := range []string{"patchbay", "bridge", "host-local", "portmap", "firewall", "tuning", "bandwidth", "nothing", dropInDir + "/bridge"} {
		if _, err := os.Stat(p.path(name)); err != nil {
			return fmt.Errorf("%s is not built: run make bench", name)
		}
	}
	return nil
}

// path returns the path of a program, as libcni does: in the first directory that has it.
func (p programs) path(name string) string {
	for _, dir := range p {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			return filepath.Join(dir, name)
		}
	}
	return name
}
