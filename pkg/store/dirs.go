package store

import (
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Dirs names the directories of a network's state.
type Dirs struct {
	// State is stateDir, which holds the records.
	State string
	// Data is dataDir, which holds the address files.
	Data string
	// Shared is host-local's default dataDir, /var/lib/cni/networks. It counts for
	// networks that have a directory there; "" ignores it.
	Shared string
}

// Has reports whether addresses in the directory data count as reserved.
func (d Dirs) Has(data string) bool { return data == d.Data || d.Shared != "" && data == d.Shared }

// dataInState reports whether the data directory is in the state directory. Then
// the address files need no marks: a reboot deletes them together with the records.
func (d Dirs) dataInState() bool {
	rel, err := filepath.Rel(d.State, d.Data)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, "../")
}

// dataRoot returns the configured directory that holds the address files: the
// state directory if dataDir is in it, else dataDir.
func (d Dirs) dataRoot() string {
	if d.dataInState() {
		return d.State
	}
	return d.Data
}

// places returns the directories whose address files count for a network. New
// addresses are reserved in the first one; those in a second one are taken too.
//
// If host-local has created a directory for the network, that one is first, so
// that host-local and Patchbay see each other's addresses while a network moves
// from one to the other. A network that still has addresses in Data stays there
// until the last one is released: an older version, which knows Data only, may
// serve the network at the same time.
func (d Dirs) places(name string) []Dirs {
	own, shared := Dirs{State: d.State, Data: d.Data}, Dirs{State: d.State, Data: d.Shared}
	if d.Shared == "" || !isWritable(filepath.Join(d.Shared, name)) {
		return []Dirs{own}
	}
	all, err := (&network{dir: filepath.Join(d.Data, name)}).reserved()
	switch {
	case isAbsent(err):
		return []Dirs{shared}
	case err != nil || len(all) > 0:
		return []Dirs{own, shared}
	}
	return []Dirs{shared, own}
}

// isWritable reports whether path exists and this user may write to it. A
// directory that is not writable belongs to another user: a rootless runtime
// finds that of the host's root, whose containers are on another network.
func isWritable(path string) bool {
	err := unix.Faccessat(unix.AT_FDCWD, path, unix.W_OK|unix.X_OK, unix.AT_EACCESS|unix.AT_SYMLINK_NOFOLLOW)
	return err == nil || !isAbsent(err) && !errors.Is(err, fs.ErrPermission)
}

// lockOrder sorts places into the order in which every process locks them, so
// that two processes never wait for each other.
func (d Dirs) lockOrder(places []Dirs) []Dirs {
	ordered := slices.Clone(places)
	slices.SortStableFunc(ordered, func(a, b Dirs) int {
		switch a.Data {
		case b.Data:
			return 0
		case d.Data:
			return -1
		}
		return 1
	})
	return ordered
}
