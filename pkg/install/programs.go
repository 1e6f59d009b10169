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
	if s.Loopback && !s.DropIn {
		names = append(names, loopbackName)
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

// entryOf returns the entry of a name in the manifest. What was installed because there was no such program yields to one of another program; a
// drop-in does not.
func (s *session) entryOf(name string) installed {
	entry := find(s.m.Programs, name)
	plain, _ := dropInNames()
	switch {
	case s.DropIn && slices.Contains(plain, name):
		entry.Yields = false
	case s.Loopback && name == loopbackName && entry.SHA256 == "":
		entry.Yields = true
	}
	return entry
}

// stays returns the change of a file that belongs to another program and is left as it is: a link to the running program, such as a package has
// in the directory of a distribution's runtimes, or one to which the entry of the name yields. It has no path for every other file.
func (s *session) stays(was installed, seen found, unsuitable error, self *program) Change {
	path := s.BinDir + "/" + was.Name
	switch {
	case errors.Is(unsuitable, ErrLeadsAway) && was.Name == ownName && was.Original == nil && self.isAt(path):
		return Change{Already, path, "as a link to this program"}
	case was.Yields && (unsuitable != nil || seen.exists && !was.wrote(seen)):
		return Change{Left, path, "of another program"}
	}
	return Change{}
}

// planProgram plans the installation of one name, and returns its entry; one without a name for a file of another program that stays.
func (s *session) planProgram(name string, self *program) (installed, error) {
	seen, err := s.bin.look(name)
	unsuitable := errors.Is(err, ErrUnsuitable) || errors.Is(err, ErrLeadsAway)
	if err != nil && !unsuitable {
		return installed{}, err
	}
	was := s.entryOf(name)
	if change := s.stays(was, seen, err, self); change.Path != "" {
		s.add(change, nil)
		return installed{}, nil
	}
	if unsuitable {
		return installed{}, fmt.Errorf("%w; move it away first", err)
	}
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
