package install

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

// program is the running program.
type program struct {
	*os.File
	sha256 string
}

// openSelf opens the file of the running program, whatever its name leads to by now.
func openSelf() (*program, error) {
	file, err := os.Open("/proc/self/exe")
	if err != nil {
		return nil, fmt.Errorf("open the running program: %w", err)
	}
	sum, err := hashOf(file)
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("read the running program: %w", err)
	}
	return &program{file, sum}, nil
}

// content returns a reader of the whole program.
func (p *program) content() (io.Reader, error) {
	_, err := p.Seek(0, io.SeekStart)
	return p.File, err
}

// programNames returns the names to install, without duplicates.
func (s *session) programNames() ([]string, error) {
	names := []string{ownName}
	if s.DropIn {
		plain, buildKit := dropInNames()
		names = append(names, plain...)
		for _, name := range buildKit {
			seen, err := s.bin.look(name)
			if err != nil {
				return nil, err
			}
			if seen.exists || s.BuildKit {
				names = append(names, name)
			}
		}
	}
	for _, entry := range s.m.Programs {
		if !slices.Contains(names, entry.Name) {
			names = append(names, entry.Name)
		}
	}
	return names, nil
}

// isAt reports whether a path leads to the file of the running program.
func (p *program) isAt(path string) bool {
	at, err1 := os.Stat(path)
	own, err2 := p.Stat()
	return err1 == nil && err2 == nil && os.SameFile(at, own)
}

// planProgram plans the installation of one name, and returns its entry; one without a name for a link to the running program, such as a
// package has in the directory of a distribution's runtimes: it belongs to the package.
func (s *session) planProgram(name string, self *program) (installed, error) {
	seen, err := s.bin.look(name)
	if errors.Is(err, ErrLeadsAway) && name == ownName && find(s.m.Programs, name).Original == nil && self.isAt(s.bin.join(name)) {
		s.add(Change{Already, s.bin.join(name), "as a link to this program"}, nil)
		return installed{}, nil
	}
	if errors.Is(err, ErrUnsuitable) || errors.Is(err, ErrLeadsAway) {
		err = fmt.Errorf("%w; move it away first", err)
	}
	if err != nil {
		return installed{}, err
	}
	was := find(s.m.Programs, name)
	entry := was.next(self.sha256)
	path := s.BinDir + "/" + name
	switch {
	case seen.sha256 == self.sha256 && seen.stat.Mode&0o7777 == 0o755:
		s.add(Change{Action: Already, Path: path}, nil)
		return entry, nil
	case !seen.exists:
		s.add(Change{Action: Created, Path: path}, func() error { return s.bin.moveNew(s.own, tempPrefix+name, name) })
	case seen.sha256 == self.sha256, was.wrote(seen):
		s.add(Change{Action: Replaced, Path: path}, func() error { return s.bin.moveOver(s.own, tempPrefix+name, name, seen) })
	default:
		entry.Original = originalOf(seen)
		s.planAside(name, seen, was)
		s.add(Change{Action: Replaced, Path: path}, func() error { return s.bin.moveOver(s.own, tempPrefix+name, name, seen) })
	}
	s.staging = append(s.staging, func() error {
		content, err := self.content()
		if err != nil {
			return err
		}
		return s.own.create(tempPrefix+name, 0o755, content)
	})
	return entry, nil
}

// planAside plans to keep aside the file that has a name.
func (s *session) planAside(name string, seen found, was installed) {
	note := "as " + s.asidePath(name)
	if was.SHA256 != "" && s.m.Complete {
		note += ": it has replaced the installed one"
	}
	s.add(Change{Kept, s.BinDir + "/" + name, note}, func() error { return s.bin.linkAside(name, seen, s.originals) })
}

// asidePath returns where the original of a name is kept.
func (s *session) asidePath(name string) string {
	return s.BinDir + "/" + ownDir + "/" + originalsDir + "/" + name
}

// planRemoval plans the removal of one program, and what restores its original.
func (s *session) planRemoval(entry installed) error {
	name, path := entry.Name, s.BinDir+"/"+entry.Name
	seen, err := s.bin.look(name)
	if err != nil {
		return err
	}
	aside, err := s.originals.look(name)
	if err != nil {
		return err
	}
	restored := Change{Restored, path, "from " + s.asidePath(name)}
	dropAside := func() error { return s.originals.remove(name) }
	switch {
	case entry.wrote(seen) && aside.exists:
		s.add(restored, func() error { return s.bin.moveOver(s.originals, name, name, seen) })
	case entry.wrote(seen):
		s.add(Change{Action: Deleted, Path: path}, func() error { return s.bin.removeSeen(s.own, name, seen) })
	case !seen.exists && aside.exists:
		s.add(restored, func() error { return s.bin.moveNew(s.originals, name, name) })
	case entry.Original.is(seen):
		s.add(Change{Left, path, "which is the original"}, dropAsideIf(aside, dropAside))
	case seen.exists:
		s.add(Change{Left, path, "which has replaced the installed one"}, nil)
		if aside.exists {
			s.add(Change{Deleted, s.asidePath(name), "because its name has another file by now"}, dropAside)
		}
	}
	return nil
}

// dropAsideIf returns drop if there is a file aside.
func dropAsideIf(aside found, drop func() error) func() error {
	if !aside.exists {
		return nil
	}
	return drop
}

// removeSeen removes the file that was seen under a name in d. It is renamed into
// another directory of the file system and compared before.
func (d *dir) removeSeen(by *dir, name string, seen found) error {
	temp := tempPrefix + name
	if err := by.remove(temp); err != nil {
		return err
	}
	if err := unix.Renameat(d.fd, name, by.fd, temp); err != nil {
		return d.failed("remove", name, err)
	}
	if now, err := by.look(temp); err != nil || !now.is(seen) {
		return errors.Join(fmt.Errorf("%s: %w", d.join(name), ErrChanged), d.moveNew(by, temp, name))
	}
	return by.remove(temp)
}
