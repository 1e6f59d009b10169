package install

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/safefile"
)

// session is one call of Install or Uninstall.
type session struct {
	Options
	bin, own, originals, conf *dir // nil where the directory does not exist
	m                         manifest
	had                       bool           // the manifest exists
	staging                   []func() error // write files under temporary names
	steps                     []step
	done                      []Change
}

// step is a change, and what makes it; do is nil where nothing is changed.
type step struct {
	Change
	do func() error
}

// ErrBusy is returned while another process installs into the directory.
var ErrBusy = errors.New("another install or uninstall is running")

// begin opens the directories that exist, locks BinDir and reads the manifest. It
// changes nothing.
func begin(o Options) (*session, error) {
	s := &session{Options: o}
	if err := s.open(); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *session) open() (err error) {
	dirs := []string{s.BinDir}
	if s.Conf != "" {
		dirs = append(dirs, s.ConfDir)
	}
	for _, path := range dirs {
		if !filepath.IsAbs(path) {
			return fmt.Errorf("%q is not an absolute path", path)
		}
		if err := safefile.CheckDir(path); err != nil { // also of the directories above one that does not exist
			return err
		}
	}
	if s.bin, err = optional(openDir(s.BinDir)); err != nil {
		return err
	}
	if s.Conf != "" {
		if s.conf, err = optional(openDir(s.ConfDir)); err != nil {
			return err
		}
	}
	s.m.Format = manifestFormat
	if s.bin == nil {
		return nil
	}
	if !s.DryRun {
		if err := s.lock(); err != nil {
			return err
		}
	}
	if s.own, err = optional(s.bin.sub(ownDir)); err != nil || s.own == nil {
		return err
	}
	if s.originals, err = optional(s.own.sub(originalsDir)); err != nil {
		return err
	}
	s.m, s.had, err = readManifest(s.own)
	return err
}

// optional returns nil for a directory that does not exist.
func optional(d *dir, err error) (*dir, error) {
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil //nolint:nilnil // methods accept nil
	}
	return d, err
}

// lock keeps other processes from installing until the session is closed.
func (s *session) lock() error {
	if err := unix.Flock(s.bin.fd, unix.LOCK_EX|unix.LOCK_NB); err != nil {
		if errors.Is(err, unix.EWOULDBLOCK) {
			return fmt.Errorf("%s: %w", s.BinDir, ErrBusy)
		}
		return &os.PathError{Op: "flock", Path: s.BinDir, Err: err}
	}
	return nil
}

func (s *session) close() {
	for _, d := range []*dir{s.originals, s.own, s.bin, s.conf} {
		d.close()
	}
}

// add plans a step.
func (s *session) add(c Change, do func() error) { s.steps = append(s.steps, step{c, do}) }

// planned returns the changes of all steps.
func (s *session) planned() []Change {
	changes := make([]Change, len(s.steps))
	for i, step := range s.steps {
		changes[i] = step.Change
	}
	return changes
}

// run makes the changes in their order, up to an error.
func (s *session) run() error {
	for _, step := range s.steps {
		if step.do != nil {
			if err := step.do(); err != nil {
				return err
			}
		}
		s.done = append(s.done, step.Change)
	}
	return errors.Join(s.bin.sync(), s.conf.syncIfOpen())
}

func (d *dir) syncIfOpen() error {
	if d == nil {
		return nil
	}
	return d.sync()
}

// removeTemporary removes files that a killed Install has left.
func (s *session) removeTemporary() error {
	for _, d := range []*dir{s.own, s.originals} {
		if d == nil {
			continue
		}
		names, err := d.names()
		if err != nil {
			return err
		}
		for _, name := range names {
			if strings.HasPrefix(name, tempPrefix) {
				if err := d.remove(name); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// removeOwnDir removes BinDir/.patchbay, in which nothing but the manifest is left. The
// manifest goes last: without it nothing else may be there.
func (s *session) removeOwnDir() error {
	err := s.removeTemporary()
	if err == nil {
		err = s.own.removeSub(originalsDir)
	}
	if err == nil {
		err = s.own.remove(manifestFile)
	}
	if err == nil {
		err = s.bin.removeSub(ownDir)
	}
	return err
}

// missingDirs returns a directory and those above it that do not exist, from the top.
func missingDirs(path string) (missing []string) {
	for ; path != "/"; path = filepath.Dir(path) {
		if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
			break
		}
		missing = append(missing, path)
	}
	slices.Reverse(missing)
	return missing
}

// makePath creates a directory and those above it with mode 0755, whatever the umask,
// and returns those that did not exist, from the top.
func makePath(path string) (created []string, err error) {
	for _, dir := range missingDirs(path) {
		err = unix.Mkdir(dir, 0o755)
		if err == nil {
			created = append(created, dir)
			err = unix.Chmod(dir, 0o755)
		}
		if err != nil && !errors.Is(err, unix.EEXIST) {
			return created, &os.PathError{Op: "mkdir", Path: dir, Err: err}
		}
	}
	return created, nil
}

// removeDir removes a directory if it is empty.
func removeDir(path string) error {
	err := unix.Rmdir(path)
	if err == nil || errors.Is(err, unix.ENOTEMPTY) || errors.Is(err, unix.EEXIST) || errors.Is(err, unix.ENOENT) {
		return nil
	}
	return &os.PathError{Op: "rmdir", Path: path, Err: err}
}
