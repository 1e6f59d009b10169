package hostsfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/patchbay-cni/patchbay/pkg/safefile"
)

// MaxBytes is the greatest size in bytes of a file that is read: lists of blocked names have megabytes.
const MaxBytes = 16 << 20

// Change is a change of one file.
type Change struct {
	Path   string `json:"path"`
	Old    string `json:"old"` // the content that was read
	New    string `json:"new"`
	Create bool   `json:"create,omitempty"` // the file did not exist
	Delete bool   `json:"delete,omitempty"` // New is ""
	Sync   bool   `json:"sync,omitempty"`   // write it to the disk: the file is used after a reboot
}

// Read reads a hosts file. It must belong to root or the effective user, and is not followed if it is a symbolic link.
// Errors are those of package safefile, and os.ErrNotExist.
func Read(path string) (string, error) {
	text, err := safefile.Read(path, rules())
	return string(text), err
}

func rules() safefile.Rules { return safefile.Rules{MaxBytes: MaxBytes, SharedGroup: true} }

// Writer writes files. The caller makes sure that no other process uses the same journal.
type Writer struct {
	Journal string // path of the journal; its directory exists
}

// Write makes all changes, and continues after errors. A file that another process has changed since it was read is kept; the
// error then wraps safefile.ErrChanged.
func (w Writer) Write(changes []Change) error {
	if len(changes) == 0 {
		return nil
	}
	if err := w.note(changes); err != nil {
		return err
	}
	var failed error
	for _, c := range changes {
		if err := c.apply(); err != nil {
			failed = errors.Join(failed, fmt.Errorf("write %s: %w", c.Path, err))
		}
	}
	return errors.Join(failed, w.forget())
}

// apply makes one change.
func (c Change) apply() error {
	if c.Create {
		return c.create()
	}
	f, err := safefile.Open(c.Path, rules())
	if err != nil {
		return err
	}
	defer f.Close()
	text, err := f.Read()
	if err != nil {
		return err
	}
	if string(text) != c.Old {
		return safefile.ErrChanged
	}
	if c.Delete {
		return os.Remove(c.Path)
	}
	if err := f.Rewrite([]byte(c.New)); err != nil || !c.Sync {
		return err
	}
	return f.Sync()
}

// create creates the file, and its directory if that does not exist.
func (c Change) create() error {
	const mode = 0o644
	err := safefile.New(c.Path, mode, []byte(c.New))
	if errors.Is(err, fs.ErrNotExist) {
		if err = os.MkdirAll(filepath.Dir(c.Path), 0o755); err == nil {
			err = safefile.New(c.Path, mode, []byte(c.New))
		}
	}
	return err
}

// Create creates a hosts file. The error wraps os.ErrExist if it exists.
func Create(path, content string) error {
	return Change{Path: path, New: content, Create: true}.apply()
}
