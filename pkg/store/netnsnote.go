package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// netnsNotes is a directory in the default state directory. It holds one symbolic
// link for each named network namespace that `patchbay up` created. The link's
// name is that of the namespace, its target "BOOTID.IDENTITY". It exists as long as
// the namespace, which may have attachments to several networks.
const netnsNotes = ".netns"

// NoteNetns records that a named namespace was created, and its identity: a text
// without a slash, as link.NetnsID.String returns it. known is the default state
// directory. Errors wrap ErrUnsafe, or are the file system's.
func NoteNetns(known, name, identity string) error {
	path := filepath.Join(known, netnsNotes, name)
	if err := CheckSafe(filepath.Dir(path)); err != nil {
		return err
	}
	err := makeDirs(known, filepath.Dir(path), 0o700)
	if err == nil {
		err = replaceLink(path, BootID()+"."+identity)
	}
	if err != nil {
		return fmt.Errorf("record creation of namespace %s: %w", name, err)
	}
	return nil
}

// NotedNetns returns the identity of the namespace that was created under a name;
// "" if there is none. inThisBoot reports whether that was after the last reboot,
// because no namespace survives one. Errors wrap ErrUnsafe, or are the file system's.
func NotedNetns(known, name string) (identity string, inThisBoot bool, err error) {
	if err := CheckSafe(filepath.Join(known, netnsNotes)); err != nil {
		return "", false, err // any user could have created the note
	}
	text, err := os.Readlink(filepath.Join(known, netnsNotes, name))
	if errors.Is(err, os.ErrNotExist) {
		return "", false, nil
	}
	if err != nil {
		return "", false, fmt.Errorf("read creation record of namespace %s: %w", name, err)
	}
	boot, identity, _ := strings.Cut(text, ".")
	return identity, boot == BootID(), nil
}

// RemoveNetnsNote deletes what NoteNetns recorded. It returns nil if there is nothing.
func RemoveNetnsNote(known, name string) error {
	err := os.Remove(filepath.Join(known, netnsNotes, name))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("delete creation record of namespace %s: %w", name, err)
	}
	return nil
}

// NetnsNames returns the names of the namespaces that NoteNetns recorded.
func NetnsNames(known string) ([]string, error) {
	if err := CheckSafe(filepath.Join(known, netnsNotes)); err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(filepath.Join(known, netnsNotes))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names, err
}
