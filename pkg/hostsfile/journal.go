package hostsfile

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/patchbay-cni/patchbay/pkg/safefile"
)

// maxJournal is the greatest size of a journal in bytes.
const maxJournal = 1 << 30

// note writes the journal: a hash, and the changes as JSON. A journal that is not complete has another hash; then no file has
// been changed yet.
func (w Writer) note(changes []Change) error {
	text, err := json.Marshal(changes)
	if err != nil {
		return err
	}
	if err := w.forget(); err != nil {
		return err
	}
	const mode = 0o600
	if err := safefile.New(w.Journal, mode, append([]byte(hashOf(text)+"\n"), text...)); err != nil {
		return fmt.Errorf("write journal: %w", err)
	}
	if !slices.ContainsFunc(changes, func(c Change) bool { return c.Sync }) {
		return nil
	}
	f, err := safefile.Open(w.Journal, safefile.Rules{MaxBytes: maxJournal})
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

func hashOf(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// forget deletes the journal.
func (w Writer) forget() error {
	if err := os.Remove(w.Journal); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("delete journal: %w", err)
	}
	return nil
}

// Recover completes the files that a killed process left half written, and deletes the journal. It returns nil if there is none.
// A file that has been changed otherwise is kept.
func (w Writer) Recover() error {
	text, err := safefile.Read(w.Journal, safefile.Rules{MaxBytes: maxJournal})
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read journal: %w", err)
	}
	hash, list, _ := strings.Cut(string(text), "\n")
	var changes []Change
	if hash != hashOf([]byte(list)) || json.Unmarshal([]byte(list), &changes) != nil {
		changes = nil
	}
	var failed error
	for _, c := range changes {
		if err := c.complete(); err != nil {
			failed = errors.Join(failed, fmt.Errorf("complete %s: %w", c.Path, err))
		}
	}
	return errors.Join(failed, w.forget())
}

// complete writes the new content if the file is half written.
func (c Change) complete() error {
	f, err := safefile.Open(c.Path, rules())
	if err != nil || c.Delete {
		return ignoreAbsent(err)
	}
	defer f.Close()
	text, err := f.Read()
	if err != nil || !c.isTorn(string(text)) {
		return err
	}
	if err := f.Rewrite([]byte(c.New)); err != nil {
		return err
	}
	return f.Sync()
}

func ignoreAbsent(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// isTorn reports whether a content is what a killed process can leave between Old and New: a beginning of New, filled to the
// length of Old, and the rest of Old.
func (c Change) isTorn(text string) bool {
	if text == c.New || text == c.Old && !c.Create {
		return false
	}
	filled := string(safefile.Filled([]byte(c.New), int64(len(c.Old))))
	same := 0
	for same < len(text) && same < len(filled) && text[same] == filled[same] {
		same++
	}
	if same == len(text) && len(text) >= len(c.Old) {
		return true
	}
	return len(text) == len(c.Old) && text[same:] == c.Old[same:]
}
