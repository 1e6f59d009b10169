package power

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/test/faults/disk"
)

// The directories that are on the disk. Everything else is in /run, which a power failure empties.
const (
	root     = "/var/lib"
	dataDir  = "/var/lib/cni/networks"
	stateDir = "/var/lib/patchbay-state"
	memory   = "/var/lib/patchbay/sticky"
)

func onDisk(path string) bool { return path == root || strings.HasPrefix(path, root+"/") }

// readTree returns the files below root. It runs on the thread of a host.
func readTree() (disk.Tree, error) {
	tree := disk.Tree{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		node := &disk.Node{Dir: d.IsDir()}
		switch {
		case d.Type() == fs.ModeSymlink:
			node.Target, err = os.Readlink(path)
		case !d.IsDir():
			if node.ID, err = inode(path); err == nil {
				node.Data, err = os.ReadFile(path)
			}
		}
		tree[path] = node
		return err
	})
	return tree, err
}

func inode(path string) (uint64, error) {
	var stat unix.Stat_t
	if err := unix.Lstat(path, &stat); err != nil {
		return 0, &os.PathError{Op: "stat", Path: path, Err: err}
	}
	return stat.Ino, nil
}

// writeTree makes the files below root those of a tree. It runs on the thread of a host, where root is a tmpfs of the host.
func writeTree(tree disk.Tree) error {
	var fsys unix.Statfs_t
	if err := unix.Statfs(root, &fsys); err != nil || fsys.Type != unix.TMPFS_MAGIC {
		return fmt.Errorf("%s is not the tmpfs of a test's host: %w", root, err)
	}
	for _, dir := range []string{"cni", "patchbay", "patchbay-state"} {
		if err := os.RemoveAll(filepath.Join(root, dir)); err != nil {
			return err
		}
	}
	files := map[uint64]string{}
	for _, path := range slices.Sorted(maps.Keys(tree)) {
		var err error
		switch n := tree[path]; {
		case n.Dir:
			if err = os.Mkdir(path, 0o700); errors.Is(err, os.ErrExist) {
				err = nil
			}
		case n.Target != "":
			err = os.Symlink(n.Target, path)
		default:
			files[n.ID] = path
			err = os.WriteFile(path, n.Data, 0o600)
		}
		if err != nil {
			return err
		}
	}
	return errors.Join(remark(tree, files), age(tree))
}

// age makes the files older than this boot: GC keeps what is newer than itself.
func age(tree disk.Tree) error {
	old := unix.NsecToTimespec(time.Now().Add(-time.Minute).UnixNano())
	for path, n := range tree {
		if n.Dir {
			continue
		}
		if err := unix.UtimesNanoAt(unix.AT_FDCWD, path, []unix.Timespec{old, old}, unix.AT_SYMLINK_NOFOLLOW); err != nil {
			return &os.PathError{Op: "utimes", Path: path, Err: err}
		}
	}
	return nil
}

// remark changes the marks of address files to the inode and the birth time that these files have now. The files of a real disk keep theirs. A
// mark whose file is not on the disk keeps numbers that no file has.
func remark(tree disk.Tree, files map[uint64]string) error {
	for path, n := range tree {
		fields := strings.Split(n.Target, ".")
		if len(fields) != 5 {
			continue
		}
		var id uint64
		if _, err := fmt.Sscan(fields[3], &id); err != nil || files[id] == "" {
			continue
		}
		var st unix.Statx_t
		if err := unix.Statx(unix.AT_FDCWD, files[id], unix.AT_SYMLINK_NOFOLLOW, unix.STATX_INO|unix.STATX_BTIME, &st); err != nil {
			return &os.PathError{Op: "stat", Path: files[id], Err: err}
		}
		born := int64(0)
		if st.Mask&unix.STATX_BTIME != 0 {
			born = st.Btime.Sec*1e9 + int64(st.Btime.Nsec)
		}
		fields[3], fields[4] = fmt.Sprint(st.Ino), fmt.Sprint(born)
		if err := errors.Join(os.Remove(path), os.Symlink(strings.Join(fields, "."), path)); err != nil {
			return err
		}
	}
	return nil
}

// show returns the files of a tree, one a line.
func show(tree disk.Tree) string {
	var lines []string
	for _, path := range slices.Sorted(maps.Keys(tree)) {
		n := tree[path]
		line := strings.TrimPrefix(path, root)
		switch {
		case path == root:
			continue
		case n.Dir:
			line += "/"
		case n.Target != "":
			line += " -> " + n.Target
		default:
			line += fmt.Sprintf(" %.200q", n.Data)
		}
		lines = append(lines, "  "+line)
	}
	return strings.Join(lines, "\n")
}
