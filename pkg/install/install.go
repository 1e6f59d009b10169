package install

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Install installs the running program as BinDir/patchbay and, with DropIn, under the
// names of the reference plugins, with Loopback as that one if no program has the name, and
// a network configuration. Names that an earlier
// Install has installed are replaced too. It returns the changes, also those before an
// error.
//
// A regular file of one of the names that Install has not written is kept aside. A
// directory, a device, or a link out of BinDir in its place is an error, and so is a
// configuration of that name that Install has not written (ErrUnknown). A link
// BinDir/patchbay to the running program stays, and is not recorded. Everything is
// checked, and all files are written to the disk, before a name changes.
func Install(o Options) (done []Change, err error) {
	s, err := begin(o)
	if err != nil {
		return nil, err
	}
	defer s.close()
	self, err := openSelf()
	if err != nil {
		return nil, err
	}
	defer self.Close()
	next, err := s.planInstall(self)
	if err != nil {
		return nil, err
	}
	if o.DryRun {
		return s.planned(), nil
	}
	if !Changes(s.planned()) && s.isRecorded(next) {
		return s.planned(), nil
	}
	if err := s.prepare(&next); err != nil {
		return nil, errors.Join(err, s.abandon(next))
	}
	if err := s.run(); err != nil {
		return s.done, fmt.Errorf("%w; run install again, or uninstall", err)
	}
	return s.done, s.finish(next)
}

// planInstall plans the steps, and returns the manifest of when they are done.
func (s *session) planInstall(self *program) (manifest, error) {
	next := s.m
	next.Version, next.Complete = s.Version, true
	next.Programs, next.Confs = slices.Clone(s.m.Programs), slices.Clone(s.m.Confs)
	s.planMissingDirs()
	names, err := s.programNames()
	if err != nil {
		return next, err
	}
	for _, name := range names {
		entry, err := s.planProgram(name, self)
		if err != nil {
			return next, err
		}
		if entry.Name == "" {
			next.Programs = slices.DeleteFunc(next.Programs, func(i installed) bool { return i.Name == name })
			continue
		}
		next.Programs = put(next.Programs, entry)
	}
	if s.Conf == "" {
		return next, nil
	}
	entry, err := s.planConf()
	if err != nil {
		return next, err
	}
	next.Confs = put(next.Confs, entry)
	return next, nil
}

// planMissingDirs notes the directories that prepare will create.
func (s *session) planMissingDirs() {
	missing := missingDirs(s.BinDir)
	if s.Conf != "" {
		missing = append(missing, missingDirs(s.ConfDir)...)
	}
	for _, dir := range missing {
		s.add(Change{Action: Created, Path: dir}, nil)
	}
}

// isRecorded reports whether the manifest has all that next has.
func (s *session) isRecorded(next manifest) bool {
	was, err1 := json.Marshal(s.m)
	is, err2 := json.Marshal(next)
	return err1 == nil && err2 == nil && bytes.Equal(was, is)
}

// prepare creates the directories, writes the manifest of what is about to be done, and
// writes every file under a temporary name. No name in BinDir changes.
func (s *session) prepare(next *manifest) error {
	if err := s.makeDirs(next); err != nil {
		return err
	}
	if err := s.removeTemporary(); err != nil {
		return err
	}
	next.Date, next.Complete = time.Now().UTC().Truncate(time.Second), false
	if err := writeManifest(s.own, *next); err != nil {
		return err
	}
	for _, stage := range s.staging {
		if err := stage(); err != nil {
			return err
		}
	}
	return s.own.sync()
}

// makeDirs creates the directories that do not exist. Those that are not below BinDir
// are noted in the manifest, so that Uninstall removes them.
func (s *session) makeDirs(next *manifest) (err error) {
	if err = s.makeDir(&s.bin, s.BinDir, next); err != nil {
		return err
	}
	if err := s.lock(); err != nil {
		return err
	}
	if s.Conf != "" {
		if err := s.makeDir(&s.conf, s.ConfDir, next); err != nil {
			return err
		}
	}
	if s.own, err = s.bin.makeSub(ownDir); err == nil {
		s.originals, err = s.own.makeSub(originalsDir)
	}
	return err
}

// makeDir creates and opens a directory, unless it is open.
func (s *session) makeDir(d **dir, path string, next *manifest) error {
	if *d != nil {
		return nil
	}
	created, err := makePath(path)
	next.CreatedDirs = append(next.CreatedDirs, created...)
	if err == nil {
		*d, err = openDir(path)
	}
	return err
}

// abandon removes what prepare has made, after an error.
func (s *session) abandon(next manifest) (err error) {
	if s.own != nil {
		err = errors.Join(s.removeTemporary(), s.removeConfTemp(next))
	}
	if s.had {
		return errors.Join(err, writeManifest(s.own, s.m))
	}
	if s.own != nil {
		err = errors.Join(err, s.removeOwnDir())
	}
	for _, dir := range slices.Backward(next.CreatedDirs) {
		err = errors.Join(err, removeDir(dir))
	}
	return err
}

// finish writes the manifest without the hashes of earlier versions.
func (s *session) finish(next manifest) error {
	next.Complete = true
	for i := range next.Programs {
		next.Programs[i].Replaces = nil
	}
	for i := range next.Confs {
		next.Confs[i].Replaces = nil
	}
	return writeManifest(s.own, next)
}
