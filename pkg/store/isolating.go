package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// isolating is the directory, in the state directory that every Patchbay knows, with one link for
// each bridge that an isolated network has had: named as the bridge, it leads to the network's name.
const isolating = ".isolating"

// Isolating is the network that was noted for a bridge last, "" for none. That it was noted does not
// mean that it still has attachments.
func Isolating(known, bridge string) (network string, err error) {
	network, err = os.Readlink(filepath.Join(known, isolating, bridge))
	if err != nil && !errors.Is(err, os.ErrNotExist) && !errors.Is(err, os.ErrPermission) {
		return "", fmt.Errorf("look whether bridge %s is isolated: %w", bridge, err)
	}
	return network, nil
}

// NoteIsolating notes that a network is isolated on its bridge. It needs no temporary file, which a
// process that dies would leave: what is replaced is the note of a network without attachments, and
// one that is not there says the same.
func NoteIsolating(known, bridge, network string) error {
	path := filepath.Join(known, isolating, bridge)
	err := makeDirs(known, filepath.Dir(path), 0o700)
	if err == nil {
		err = note(path, network)
	}
	if err != nil {
		return fmt.Errorf("note that bridge %s is isolated: %w", bridge, err)
	}
	return nil
}

func note(path, network string) (err error) {
	for range 10 { // somebody else may note the same bridge
		if err = os.Symlink(network, path); !errors.Is(err, os.ErrExist) {
			return err
		}
		if noted, _ := os.Readlink(path); noted == network {
			return nil
		}
		if e := os.Remove(path); e != nil && !errors.Is(e, os.ErrNotExist) {
			return e
		}
	}
	return err
}
