package install

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/patchbay-cni/patchbay/pkg/config"
	"github.com/patchbay-cni/patchbay/pkg/safefile"
)

// Errors about a network configuration. Each is wrapped with the path.
var (
	ErrUnknown = errors.New("file that patchbay install has not written, or that was edited since")
	ErrNoConf  = errors.New("not a network configuration")
)

// confName returns the name of a configuration in the directory of networks: that of the
// file, after "10-" unless it begins with a digit. Runtimes take the first name.
func confName(path string) string {
	name := filepath.Base(path)
	if name[0] < '0' || name[0] > '9' {
		name = "10-" + name
	}
	return name
}

// readConf reads a configuration, and checks that a runtime would load it.
func readConf(path string) ([]byte, error) {
	if !slices.Contains(config.FileEndings(), filepath.Ext(path)) {
		return nil, fmt.Errorf("%s: %w: runtimes read files that end in .conflist, .conf or .json", path, ErrNoConf)
	}
	text, err := safefile.Read(path, safefile.Rules{AnyOwner: true, FollowLinks: true})
	if err != nil {
		return nil, err
	}
	var list struct {
		Name    string            `json:"name"`
		Type    string            `json:"type"`
		Plugins []json.RawMessage `json:"plugins"`
	}
	if err := json.Unmarshal(text, &list); err != nil {
		return nil, fmt.Errorf("%s: %w: %w", path, ErrNoConf, err)
	}
	if list.Name == "" || list.Type == "" && len(list.Plugins) == 0 {
		return nil, fmt.Errorf("%s: %w: it has no name, or no plugin", path, ErrNoConf)
	}
	return text, nil
}

// planConf plans the installation of the configuration, and returns its entry.
func (s *session) planConf() (installed, error) {
	text, err := readConf(s.Conf)
	if err != nil {
		return installed{}, err
	}
	name := confName(s.Conf)
	seen, err := s.conf.look(name)
	if err != nil {
		return installed{}, err
	}
	sum := sha256.Sum256(text)
	path, temp := filepath.Join(s.ConfDir, name), confTemp(name)
	was := find(s.m.Confs, path)
	entry := was.next(hex.EncodeToString(sum[:]))
	switch {
	case seen.sha256 == entry.SHA256:
		s.add(Change{Action: Already, Path: path}, nil)
		return entry, nil
	case !seen.exists:
		s.add(Change{Action: Created, Path: path}, func() error { return s.conf.moveNew(s.conf, temp, name) })
	case was.wrote(seen):
		s.add(Change{Action: Replaced, Path: path}, func() error { return s.conf.moveOver(s.conf, temp, name, seen) })
	default:
		return installed{}, fmt.Errorf("%s: %w; remove or rename it, or pass a file of another name", path, ErrUnknown)
	}
	s.staging = append(s.staging, func() error {
		if err := s.conf.remove(temp); err != nil {
			return err
		}
		return s.conf.create(temp, 0o644, bytes.NewReader(text))
	})
	return entry, nil
}

// confTemp returns the temporary name of a configuration. Runtimes do not read it.
func confTemp(name string) string { return "." + tempPrefix + name + ".tmp" }

// removeConfTemp removes what a killed Install has left beside configurations.
func (s *session) removeConfTemp(m manifest) (err error) {
	for _, entry := range m.Confs {
		d, failed := optional(openDir(filepath.Dir(entry.Name)))
		if failed == nil && d != nil {
			failed = d.remove(confTemp(filepath.Base(entry.Name)))
			d.close()
		}
		err = errors.Join(err, failed)
	}
	return err
}

// planConfRemoval plans the removal of one configuration.
func (s *session) planConfRemoval(entry installed) error {
	d, err := optional(openDir(filepath.Dir(entry.Name)))
	if err != nil || d == nil {
		return err
	}
	defer d.close()
	name := filepath.Base(entry.Name)
	seen, err := d.look(name)
	switch {
	case err != nil:
		return err
	case entry.wrote(seen):
		s.add(Change{Action: Deleted, Path: entry.Name}, func() error { return removeConf(entry.Name, seen) })
	case seen.exists:
		s.add(Change{Left, entry.Name, "which was edited since it was installed"}, nil)
	}
	return nil
}

// removeConf removes a configuration that is still what was seen.
func removeConf(path string, seen found) error {
	d, err := openDir(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer d.close()
	name := filepath.Base(path)
	if now, err := d.look(name); err != nil || !now.is(seen) {
		return errors.Join(fmt.Errorf("%s: %w", path, ErrChanged), err)
	}
	return errors.Join(d.remove(name), d.sync())
}
