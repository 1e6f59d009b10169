package install

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
)

// Uninstall removes what Install has installed, and restores the originals. A file that
// has replaced an installed one is left, and so is a configuration that was edited. It
// returns the changes, also those before an error; none if nothing is installed.
func Uninstall(o Options) (done []Change, err error) {
	s, err := begin(o)
	if err != nil {
		return nil, err
	}
	defer s.close()
	if s.own == nil {
		return nil, nil
	}
	if err := s.planUninstall(); err != nil {
		return nil, err
	}
	if o.DryRun {
		return s.planned(), nil
	}
	if err := s.run(); err != nil {
		return s.done, fmt.Errorf("%w; run uninstall again", err)
	}
	return s.done, nil
}

// planUninstall plans all steps; the last ones remove the manifest and directories.
func (s *session) planUninstall() error {
	if !s.had {
		if err := s.orphans(); err != nil {
			return err
		}
	}
	for _, entry := range s.m.Confs { // first: no configuration names a program that is gone
		if err := s.planConfRemoval(entry); err != nil {
			return err
		}
	}
	for _, entry := range slices.Backward(s.m.Programs) {
		if err := s.planRemoval(entry); err != nil {
			return err
		}
	}
	s.add(Change{Action: Deleted, Path: s.BinDir + "/" + ownDir}, func() error {
		return errors.Join(s.bin.sync(), s.removeConfTemp(s.m), s.removeOwnDir())
	})
	return s.planDirs()
}

// orphans returns an error for files that are kept aside although there is no manifest.
func (s *session) orphans() error {
	if s.originals == nil {
		return nil
	}
	names, err := s.originals.names()
	if err == nil && len(names) > 0 {
		err = fmt.Errorf("%s: %w: it does not exist, and %s has files; move them back by hand", s.own.join(manifestFile), ErrManifest, s.originals.path)
	}
	return err
}

// planDirs plans to remove the directories that Install created and that will be empty.
func (s *session) planDirs() error {
	gone := map[string]bool{}
	for _, step := range s.steps {
		gone[step.Path] = gone[step.Path] || step.Action == Deleted
	}
	for _, path := range slices.Backward(s.m.CreatedDirs) {
		d, err := optional(openDir(path))
		if err != nil {
			return err
		}
		if d == nil {
			continue
		}
		names, err := d.names()
		d.close()
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(names, func(name string) bool { return !gone[filepath.Join(path, name)] }) {
			gone[path] = true
			s.add(Change{Action: Deleted, Path: path}, func() error { return removeDir(path) })
		}
	}
	return nil
}
