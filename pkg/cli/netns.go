package cli

import (
	"errors"
	"os"
	"path/filepath"

	"github.com/patchbay-cni/patchbay/pkg/config"
	"github.com/patchbay-cni/patchbay/pkg/inventory"
	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// MakeNetns creates a named network namespace as `ip netns add` does, and notes it in the state directory.
// Errors wrap link.ErrExists if the name is in use.
func MakeNetns(name string) error {
	path := filepath.Join(NetnsDir, name)
	err := link.PinNetns(path, func(id link.NetnsID) error {
		return store.NoteNetns(config.DefaultStateDir, name, id.String())
	})
	if err != nil && !errors.Is(err, link.ErrExists) {
		err = errors.Join(err, store.RemoveNetnsNote(config.DefaultStateDir, name))
	}
	return err
}

// DeleteNetns deletes a named network namespace, and the files that MakeNetns and WriteResolver created for it.
// The caller has asked MadeNetns.
func DeleteNetns(name string) error {
	err := link.UnpinNetns(filepath.Join(NetnsDir, name))
	if err != nil {
		return err
	}
	return ForgetNetns(name)
}

// ForgetNetns deletes the note of MakeNetns and the files that were created for the namespace, which no longer
// exists or was not created by patchbay.
func ForgetNetns(name string) error {
	if !config.ValidName(name) {
		return nil
	}
	return errors.Join(RemoveResolver(name), store.RemoveNetnsNote(config.DefaultStateDir, name))
}

// MadeNetns reports whether MakeNetns created the namespace that has a name now, or one that no longer exists
// and left its mount point. The note of MakeNetns decides, or the record of an attachment, where versions
// before 0.1 kept it; ours are the attachments in the namespace.
func MadeNetns(name string, ours []inventory.Attachment) (bool, error) {
	if !config.ValidName(name) {
		return false, nil
	}
	path := filepath.Join(NetnsDir, name)
	noted, inThisBoot, err := store.NotedNetns(config.DefaultStateDir, name)
	if err != nil {
		return false, err
	}
	id, err := link.IdentifyNetns(path)
	switch {
	case errors.Is(err, link.ErrNotNetns) && isEmptyFile(path):
		return noted != "" || recorded(path, ours, nil), nil
	case errors.Is(err, link.ErrNoNetns), errors.Is(err, link.ErrNotNetns), errors.Is(err, link.ErrHostNetns):
		return false, nil
	case err != nil:
		return false, err
	}
	return inThisBoot && noted == id.String() || recorded(path, ours, &id), nil
}

// recorded reports whether a record says that the namespace was created for its attachment; id is nil for a
// namespace that no longer exists.
func recorded(path string, ours []inventory.Attachment, id *link.NetnsID) bool {
	for _, a := range ours {
		r := a.Record
		if r != nil && r.NetnsMade && r.Netns == path && (id == nil || r.NetnsCookie != 0 && r.NetnsCookie == id.Cookie) {
			return true
		}
	}
	return false
}

// isEmptyFile reports whether a path is the file that a namespace was mounted on, which stays without the mount
// after a reboot.
func isEmptyFile(path string) bool {
	info, err := os.Lstat(path)
	return err == nil && info.Mode().IsRegular() && info.Size() == 0
}

// ForgetDeletedNetns calls ForgetNetns for the namespaces that MakeNetns created and that no longer exist.
func ForgetDeletedNetns() error {
	names, err := store.NetnsNames(config.DefaultStateDir)
	for _, name := range names {
		if _, failed := os.Lstat(filepath.Join(NetnsDir, name)); errors.Is(failed, os.ErrNotExist) {
			err = errors.Join(err, ForgetNetns(name))
		}
	}
	return err
}
