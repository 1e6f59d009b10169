package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Entry is a record file that List found.
type Entry struct {
	Path string
	Key  Key
	// Record is nil for an empty file, and if Err is set, unless Err is ErrNewer alone
	Record *Record
	Err    error
}

// List returns all records in a state directory, sorted by path. A record that
// cannot be read, or that users other than root could have written, is an entry
// with Err. Empty files are left out: they are locks of an ADD that is starting, or
// was killed. A state directory that does not exist has no records. If other users
// can change the state directory, the error wraps ErrUnsafe.
func List(stateDir string) ([]Entry, error) {
	entries, err := list(stateDir, "*", nil)
	return slices.DeleteFunc(entries, func(e Entry) bool { return e.Record == nil && e.Err == nil }), err
}

// ListNetwork returns the records of one network as List does, including empty files.
func ListNetwork(stateDir, network string) ([]Entry, error) { return list(stateDir, network, nil) }

// ListNetworkExcept returns the records of one network except those whose key
// pass selects. It does not read the files of these.
func ListNetworkExcept(stateDir, network string, pass func(Key) bool) ([]Entry, error) {
	return list(stateDir, network, pass)
}

// list returns the entries of the networks that match a pattern. A network's name
// can be used as a pattern: CNI allows none of the characters * ? [ \ in it.
func list(stateDir, network string, pass func(Key) bool) ([]Entry, error) {
	if err := CheckSafe(stateDir); err != nil {
		return nil, fmt.Errorf("read records: %w", err)
	}
	if _, err := os.ReadDir(stateDir); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("read state directory: %w", err)
	}
	// A pattern that contained stateDir would interpret a "[" in its path.
	names, err := fs.Glob(os.DirFS(stateDir), network+"/*@*.json")
	if err != nil {
		return nil, fmt.Errorf("list records of %s: %w", stateDir, err)
	}
	var entries []Entry
	// All records of a network have the same directory, so check it only once.
	unsafe := map[string]error{}
	for _, name := range names {
		path := filepath.Join(stateDir, name)
		e := Entry{Path: path, Key: keyFromPath(path)}
		if pass != nil && pass(e.Key) {
			continue
		}
		if errors.Is(checkDirs(stateDir, filepath.Dir(path)), ErrIrregular) {
			continue // no verb reads or writes a record there
		}
		dir := filepath.Dir(path)
		if _, known := unsafe[dir]; !known {
			unsafe[dir] = CheckSafe(dir)
		}
		if e.Err = unsafe[dir]; e.Err != nil {
			entries = append(entries, e)
			continue
		}
		if now, there := e.Reread(); there {
			entries = append(entries, now)
		}
	}
	return entries, nil
}

// Reread reads the file of an entry again, without a lock; false if it is gone.
func (e Entry) Reread() (Entry, bool) {
	now := Entry{Path: e.Path, Key: e.Key}
	data, err := readState(e.Path)
	if errors.Is(err, os.ErrNotExist) {
		return now, false
	}
	if now.Err = err; err == nil {
		now.Record, now.Err = decodeRecordOf(e.Key, data)
	}
	return now, true
}

// keyFromPath derives the key from a record's path. Network names and container
// IDs cannot contain an "@" (CNI SPEC section 1), interface names can.
func keyFromPath(path string) Key {
	id, ifname, _ := strings.Cut(strings.TrimSuffix(filepath.Base(path), ".json"), "@")
	return Key{Network: filepath.Base(filepath.Dir(path)), ContainerID: id, IfName: ifname}
}
