package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// isolatedBridges is a directory in the default state directory. It holds one
// symbolic link for each bridge on which a network was isolated. The link's name
// is that of the bridge, its target the name of the network.
const isolatedBridges = ".isolating"

// IsolatedNetwork returns the network that was last isolated on a bridge; "" if
// there is none. The network may have no attachments any more. known is the
// default state directory.
func IsolatedNetwork(known, bridge string) (network string, err error) {
	// EACCES: a rootless runtime cannot read the directory of the host's root, and has
	// other bridges.
	network, err = os.Readlink(filepath.Join(known, isolatedBridges, bridge))
	if err != nil && !errors.Is(err, os.ErrNotExist) && !errors.Is(err, os.ErrPermission) {
		return "", fmt.Errorf("read isolated network of bridge %s: %w", bridge, err)
	}
	return network, nil
}

// NoteIsolated records that a network is isolated on its bridge. known is the
// default state directory.
func NoteIsolated(known, bridge, network string) error {
	path := filepath.Join(known, isolatedBridges, bridge)
	err := makeDirs(known, filepath.Dir(path), 0o700)
	if err == nil {
		err = replaceLink(path, network)
	}
	if err != nil {
		return fmt.Errorf("record isolated network of bridge %s: %w", bridge, err)
	}
	return nil
}

// replaceLink makes path a symbolic link to target. A rename would be atomic, but
// would leave a temporary file if the process is killed. Here a kill may leave no
// link at all, which is harmless: only notes of things that no longer exist are
// replaced.
func replaceLink(path, network string) (err error) {
	for range 10 { // another process may replace the same link
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
