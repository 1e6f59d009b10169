package install

import (
	"errors"
	"path/filepath"
)

// Lost is a program that Install has installed and that is not in place any more.
type Lost struct {
	Path     string // BinDir/NAME
	Replaced bool   // another file has the name, for example after an upgrade of a package; else none has
}

// Check returns the programs in binDir, an absolute path, that Install has installed and
// that another program has deleted or replaced since; none if Install has not run there.
// It changes nothing. ErrManifest is returned for a manifest that cannot be read.
func Check(binDir string) (lost []Lost, err error) {
	s := &session{Options: Options{BinDir: binDir, DryRun: true}}
	defer s.close()
	if err := s.open(); err != nil || s.bin == nil {
		return nil, err
	}
	for _, entry := range s.m.Programs {
		seen, err := s.bin.look(entry.Name)
		other := errors.Is(err, ErrUnsuitable) || errors.Is(err, ErrLeadsAway)
		if err != nil && !other {
			return lost, err
		}
		if !entry.wrote(seen) && !(entry.Yields && (other || seen.exists)) {
			lost = append(lost, Lost{Path: filepath.Join(binDir, entry.Name), Replaced: other || seen.exists})
		}
	}
	return lost, nil
}
