package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
)

// ErrUnreadable and ErrNewer say what is wrong with a record.
//
// ErrUnreadable is wrapped if the record is damaged, belongs to another
// attachment, or has a form that this version does not know. ErrNewer is wrapped
// if a newer version wrote it. With ErrNewer alone, the fields that this version
// knows have been read, which is sufficient to remove what they name.
var (
	ErrUnreadable = errors.New("unreadable record")
	ErrNewer      = errors.New("written by a newer patchbay")
)

// decodeRecord decodes a record. It returns nil without an error for an empty file,
// and a record together with ErrNewer if a newer version wrote it and the fields
// that are known here have the types that are expected.
func decodeRecord(data []byte) (*Record, error) {
	if len(data) == 0 {
		return nil, nil
	}
	// Decode the version first: a newer form may use other types for known fields.
	var form struct {
		Version int `json:"version"`
	}
	if err := json.Unmarshal(data, &form); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	if form.Version < 1 {
		return nil, fmt.Errorf("%w: no version", ErrUnreadable)
	}
	// Unknown fields are ignored, so a newer version may add some without a new
	// RecordVersion.
	r := &Record{}
	err := json.Unmarshal(data, r)
	if form.Version > RecordVersion() {
		future := fmt.Errorf("%w: it has version %d, this one knows versions up to %d", ErrNewer, form.Version, RecordVersion())
		if err != nil || r.Key() == (Key{}) {
			return nil, fmt.Errorf("%w: %w", ErrUnreadable, future)
		}
		return r, future
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	return r, nil
}

// decodeRecordOf decodes the record of an attachment. A record is unreadable if it
// has another key, a relative dataDir, or the alias of another attachment: with
// each of them DEL would delete what belongs to others.
func decodeRecordOf(key Key, data []byte) (*Record, error) {
	r, err := decodeRecord(data)
	if r != nil && r.Key() != key {
		return nil, fmt.Errorf("%w: it belongs to %s", ErrUnreadable, r.Key())
	}
	if r != nil && r.DataDir != "" && !filepath.IsAbs(r.DataDir) {
		return nil, fmt.Errorf("%w: dataDir %q is not an absolute path", ErrUnreadable, r.DataDir)
	}
	if r != nil && !r.aliasMatches() {
		return nil, fmt.Errorf("%w: alias %q belongs to another attachment", ErrUnreadable, r.Alias)
	}
	return r, err
}

// maxAlias is the largest length of an interface alias in bytes: IFALIASZ (256)
// of Linux, less the terminating zero.
const maxAlias = 255

// aliasMatches reports whether the alias in a record is that of its own
// attachment. DEL identifies the interface that it deletes by this alias.
func (r *Record) aliasMatches() bool {
	if r.Alias == "" {
		return true
	}
	return AliasNames(r.Alias, r.Key())
}

// AliasNames reports whether the alias of a host interface names an attachment,
// whichever owner created it. The alias is "MARK [OWNER:]KEY"; one of maxAlias
// bytes may have been cut.
func AliasNames(alias string, key Key) bool {
	_, words, _ := strings.Cut(alias, " ")
	if _, behind, found := strings.Cut(words, ":"); found { // the owner
		words = behind
	}
	return words == key.String() || len(alias) == maxAlias && words != "" && strings.HasPrefix(key.String(), words)
}
