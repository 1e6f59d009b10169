package install

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/patchbay-cni/patchbay/pkg/safefile"
)

// Names in BinDir/.patchbay.
const (
	ownDir       = ".patchbay"
	originalsDir = "originals"
	manifestFile = "manifest.json"
)

// manifestFormat is the version of the manifest's form.
const manifestFormat = 1

// manifest is what Install has done to a directory, or is about to do.
type manifest struct {
	Format      int         `json:"format"`
	Version     string      `json:"version"`  // of the installed program
	Date        time.Time   `json:"date"`     // of the last change
	Complete    bool        `json:"complete"` // false while Install runs, and after it was killed
	CreatedDirs []string    `json:"createdDirs,omitempty"`
	Programs    []installed `json:"programs"`
	Confs       []installed `json:"configurations,omitempty"`
}

// installed is a file that Install has written, or is about to write.
type installed struct {
	Name     string    `json:"name"` // of a program: in BinDir; of a configuration: the path
	SHA256   string    `json:"sha256"`
	Replaces []string  `json:"replacesSha256,omitempty"` // of earlier versions, one of which may still be in place; empty if complete
	Original *original `json:"original,omitempty"`       // what had the name before; kept aside
	Yields   bool      `json:"yields,omitempty"`         // to a file of another program, which Install then leaves
}

// original is a file that is kept aside.
type original struct {
	SHA256  string    `json:"sha256,omitempty"` // of a regular file
	Target  string    `json:"target,omitempty"` // of a symbolic link
	Mode    string    `json:"mode"`             // octal
	UID     uint32    `json:"uid"`
	GID     uint32    `json:"gid"`
	Size    int64     `json:"size"` // bytes
	ModTime time.Time `json:"modTime"`
}

func originalOf(f found) *original {
	return &original{
		SHA256: f.sha256, Target: f.target, Mode: fmt.Sprintf("%04o", f.stat.Mode&0o7777),
		UID: f.stat.Uid, GID: f.stat.Gid, Size: f.stat.Size, ModTime: f.modTime(),
	}
}

// is reports whether f has the recorded content. A nil original is never.
func (o *original) is(f found) bool {
	return o != nil && f.exists && o.SHA256 == f.sha256 && o.Target == f.target
}

// wrote reports whether Install wrote the file that was found.
func (i installed) wrote(f found) bool {
	return f.exists && f.sha256 != "" && (f.sha256 == i.SHA256 || slices.Contains(i.Replaces, f.sha256))
}

// next returns the entry of a name that gets other content. The contents that it had
// count as installed until that is done.
func (i installed) next(sha256 string) installed {
	replaces := slices.Clone(i.Replaces)
	if i.SHA256 != "" && i.SHA256 != sha256 && !slices.Contains(replaces, i.SHA256) {
		replaces = append(replaces, i.SHA256)
	}
	return installed{Name: i.Name, SHA256: sha256, Replaces: replaces, Original: i.Original, Yields: i.Yields}
}

// find returns the entry of a name; the zero value if there is none.
func find(list []installed, name string) installed {
	for _, i := range list {
		if i.Name == name {
			return i
		}
	}
	return installed{Name: name}
}

// put returns the list with an entry added or replaced.
func put(list []installed, entry installed) []installed {
	for i := range list {
		if list[i].Name == entry.Name {
			list = slices.Clone(list)
			list[i] = entry
			return list
		}
	}
	return append(list, entry)
}

// ErrManifest is returned for a manifest that this version cannot read.
var ErrManifest = errors.New("unreadable manifest")

// readManifest reads the manifest in d; exists is false without one.
func readManifest(d *dir) (m manifest, exists bool, err error) {
	path := d.join(manifestFile)
	text, err := safefile.Read(path, safefile.Rules{})
	if errors.Is(err, os.ErrNotExist) {
		return manifest{Format: manifestFormat}, false, nil
	}
	if err != nil {
		return manifest{}, false, err
	}
	if err := json.Unmarshal(text, &m); err != nil {
		return manifest{}, false, fmt.Errorf("%s: %w: %w", path, ErrManifest, err)
	}
	if m.Format != manifestFormat {
		return manifest{}, false, fmt.Errorf("%s: %w: format %d, want %d; use the version that wrote it: %s", path, ErrManifest, m.Format, manifestFormat, m.Version)
	}
	return m, true, nil
}

// writeManifest replaces the manifest in d, completely or not at all.
func writeManifest(d *dir, m manifest) error {
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	const temp = tempPrefix + manifestFile
	if err := d.remove(temp); err != nil {
		return err
	}
	if err := d.create(temp, 0o600, bytes.NewReader(append(text, '\n'))); err != nil {
		return err
	}
	if err := d.rename(temp, manifestFile); err != nil {
		return err
	}
	return d.sync()
}
