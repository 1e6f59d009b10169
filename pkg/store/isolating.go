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

// NoteIsolating notes that a network is isolated on its bridge.
func NoteIsolating(known, bridge, network string) error {
	path := filepath.Join(known, isolating, bridge)
	if err := makeDirs(known, filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("note that bridge %s is isolated: %w", bridge, err)
	}
	next := filepath.Join(filepath.Dir(path), fmt.Sprintf(".new%d", os.Getpid())) // no bridge is called so
	_ = os.Remove(next)
	err := os.Symlink(network, next)
	if err == nil {
		err = os.Rename(next, path)
	}
	if err != nil {
		return fmt.Errorf("note that bridge %s is isolated: %w", bridge, err)
	}
	return nil
}
