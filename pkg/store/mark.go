package store

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// A data directory outside the state directory outlives a reboot, and others write there too
// (host-local). Its address files do not say who wrote them, so each of ours has a mark
// <data>/<network>/.patchbay/<ip>. A mark says in which life of the host the address was given,
// and which file it is about, by inode and time of birth.
//
// It is a symbolic link that leads nowhere: made and read in one system call, never torn, and
// nothing that host-local could take for an address of one of its containers: it reads every
// file below the directory, and this one cannot be read.
//
// The order, all under the network's lock, is such that no crash frees somebody else's address:
//
//	taking:   create the address file, empty   killed here: it counts as free
//	          make the mark                    killed here: the same
//	          write the owner into the file    now the address is taken, and has its mark
//	freeing:  remove the address file          killed here: a mark without the file it is about
//	          remove the mark
//
// A mark that is left over is about a file that is gone. Who takes the address next, host-local
// among them, makes another file: the mark is not its.
const marksDir = ".patchbay"

// origin is when and where an address was given.
type origin struct {
	boot string // BootID
	life string // of the state directory; "" where it could not be kept
	host uint64 // cookie of the host's network namespace; 0 for unknown
}

// earlier reports whether everything of that origin is gone: it was another boot, or another
// life of a node in a container, whose restart makes a new namespace and loses /run, but is no
// boot. What is not known is not earlier.
func (o origin) earlier(now origin) bool {
	if o.boot == "" || now.boot == "" {
		return false
	}
	if o.boot != now.boot {
		return true
	}
	known := o.life != "" && now.life != "" && o.host != 0 && now.host != 0
	return known && o.life != now.life && o.host != now.host
}

// fileID tells an address file from every other of the same name. An inode's number may be given
// again at once, and birth is stamped by a clock of some milliseconds: between two files of one
// address lie the starts of two programs at least.
type fileID struct {
	inode uint64
	born  int64 // nanoseconds; 0 where the file system does not keep it
}

type mark struct {
	origin
	file fileID
}

func (m mark) String() string {
	return fmt.Sprintf("%s.%s.%x.%d.%d", m.boot, m.life, m.host, m.file.inode, m.file.born)
}

// parseMark is strict: what it does not know is no mark of ours.
func parseMark(text string) (m mark, ok bool) {
	f := strings.Split(text, ".")
	if len(f) != 5 {
		return m, false
	}
	host, err1 := strconv.ParseUint(f[2], 16, 64)
	inode, err2 := strconv.ParseUint(f[3], 10, 64)
	born, err3 := strconv.ParseInt(f[4], 10, 64)
	if err := errors.Join(err1, err2, err3); err != nil || inode == 0 {
		return m, false
	}
	return mark{origin{f[0], f[1], host}, fileID{inode, born}}, true
}

// within reports whether the data directory is in the state directory, and so needs no marks:
// both have the same life.
func (d Dirs) within() bool {
	rel, err := filepath.Rel(d.State, d.Data)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, "../")
}

// lifePath leads to the life ID: a symbolic link too. No network's name begins with a dot.
func lifePath(stateDir string) string { return filepath.Join(stateDir, ".life") }

// knownLife is the life of the state directory; "" if it has none yet.
func knownLife(stateDir string) string {
	life, _ := os.Readlink(lifePath(stateDir))
	return life
}

// lifeID is the life of the state directory, begun if need be. Of two that begin it at once,
// the second takes the first one's.
func lifeID(stateDir string) (string, error) {
	if life := knownLife(stateDir); life != "" {
		return life, nil
	}
	random := make([]byte, 8)
	_, _ = rand.Read(random)
	err := os.Symlink(hex.EncodeToString(random), lifePath(stateDir))
	if err != nil && !errors.Is(err, os.ErrExist) {
		return "", fmt.Errorf("begin life of state directory: %w", err)
	}
	return knownLife(stateDir), nil
}

func (n *network) markPath(addr netip.Addr) string {
	return filepath.Join(n.dir, marksDir, addr.String())
}

// lookAtMarksDir wants a real directory for the marks, or none.
func (n *network) lookAtMarksDir() error {
	err := lookAtDirs(n.dir, filepath.Join(n.dir, marksDir))
	if isAbsent(err) {
		return nil
	}
	return err
}

// mark marks an address file that was just created. One left of an earlier file is replaced.
func (n *network) mark(addr netip.Addr, f *os.File) error {
	if err := n.lookAtMarksDir(); err != nil {
		return fmt.Errorf("mark address: %w", err)
	}
	id, err := idOf(int(f.Fd()), "", unix.AT_EMPTY_PATH)
	if err != nil {
		return err
	}
	text, path := mark{*n.marks, id}.String(), n.markPath(addr)
	err = os.Symlink(text, path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		if err = os.Mkdir(filepath.Dir(path), 0o700); err == nil {
			err = os.Symlink(text, path)
		}
	case errors.Is(err, os.ErrExist):
		if err = os.Remove(path); err == nil {
			err = os.Symlink(text, path)
		}
	}
	if err != nil {
		return fmt.Errorf("mark address: %w", err)
	}
	return nil
}

// unmark removes the mark of an address whose file is gone. Where something else is in the
// place of the directory of marks, none of ours is in it.
func (n *network) unmark(addr netip.Addr) error {
	if errors.Is(n.lookAtMarksDir(), ErrIrregular) {
		return nil
	}
	if err := os.Remove(n.markPath(addr)); err != nil && !isAbsent(err) {
		return fmt.Errorf("remove mark of address: %w", err)
	}
	return nil
}

// marked is the mark of an address file; false if there is none that is about this very file.
func (n *network) marked(addr netip.Addr) (mark, bool) {
	text, err := os.Readlink(n.markPath(addr))
	if err != nil || n.lookAtMarksDir() != nil {
		return mark{}, false
	}
	m, ok := parseMark(text)
	id, err := idOf(unix.AT_FDCWD, n.path(addr), unix.AT_SYMLINK_NOFOLLOW)
	return m, ok && err == nil && m.file == id
}

// idOf asks for inode and time of birth (Linux 4.11).
func idOf(dir int, path string, flags int) (fileID, error) {
	var st unix.Statx_t
	if err := unix.Statx(dir, path, flags, unix.STATX_INO|unix.STATX_BTIME, &st); err != nil {
		return fileID{}, fmt.Errorf("stat address %s: %w", path, err)
	}
	id := fileID{inode: st.Ino}
	if st.Mask&unix.STATX_BTIME != 0 {
		id.born = st.Btime.Sec*1e9 + int64(st.Btime.Nsec)
	}
	return id, nil
}
