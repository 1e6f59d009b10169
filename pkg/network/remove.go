package network

import (
	"fmt"
	"path/filepath"

	"github.com/patchbay-cni/patchbay/pkg/link"
)

// Remove deletes the file of a network that Create wrote, and its bridge if Patchbay created
// that, no interface is a port of it and no other network has it. The caller has made sure
// that the network has no attachments. It returns what was deleted. Errors wrap ErrUnknown, or
// ErrNotOurs for a file of another program.
func Remove(path, name string) (deleted []string, err error) {
	d, err := openDir(path)
	if err != nil {
		return nil, err
	}
	defer d.close()
	if err := d.lock(); err != nil {
		return nil, err
	}
	all, err := d.files()
	if err != nil {
		return nil, err
	}
	n, shared, err := named(all, name)
	if err != nil {
		return nil, err
	}
	if err := d.remove(filepath.Base(n.Path)); err != nil {
		return nil, err
	}
	deleted = append(deleted, n.Path)
	if shared {
		return deleted, nil
	}
	removed, err := removeBridge(n.Bridge)
	if removed {
		deleted = append(deleted, "bridge "+n.Bridge)
	}
	return deleted, err
}

// Removable returns the error of Remove for a name that it does not remove, whatever attachments there are; nil else.
func Removable(path, name string) error {
	all, err := List(path)
	if err == nil {
		_, _, err = named(all, name)
	}
	return err
}

// named returns the network that Create wrote, and whether another one has its bridge.
func named(all []Network, name string) (n Network, shared bool, err error) {
	for _, o := range all {
		if o.Name == name {
			n = o
		}
	}
	switch {
	case n.Name == "":
		return n, false, fmt.Errorf("%w %q", ErrUnknown, name)
	case !n.Created:
		return n, false, fmt.Errorf("network %s (%s): %w; delete the file if nothing needs it", name, n.Path, ErrNotOurs)
	}
	for _, o := range all {
		shared = shared || o.Name != name && o.Bridge == n.Bridge
	}
	return n, shared, nil
}

func removeBridge(name string) (bool, error) {
	host, err := link.OpenHost()
	if err != nil {
		return false, err
	}
	defer host.Close()
	return host.RemoveIdleBridge(name)
}
