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

// A data directory outside the state directory survives a reboot, and host-local
// writes there too. Its address files do not say which program wrote them, so
// each address file of Patchbay has a mark, <data>/<network>/.patchbay/<ip>. The
// mark says when the address was reserved (boot, state directory, network
// namespace of the host) and which file it belongs to (inode and birth time).
//
// A mark is a symbolic link with a target that does not exist. It is created and
// read in one system call, so a crash leaves no half mark. host-local reads every
// regular file below its directory as an address; it cannot read this one.
//
// The order of the steps, all under the network's lock, ensures that a crash
// never makes Patchbay release the address of another program:
//
//	reserve:  create the address file, empty   killed here: the address is free
//	          create the mark                  killed here: the address is free
//	          write the holder into the file   the address is reserved and marked
//	release:  delete the address file          killed here: a mark without its file
//	          delete the mark
//
// A power failure loses the last of these steps on ext4, xfs and btrfs, never an
// earlier one alone, so that none of them is synchronized. What is left is marked
// with the boot ID of a previous boot.
//
// A leftover mark belongs to a file that no longer exists. The next program that
// reserves the address, host-local for example, creates a file with another inode
// or birth time, to which the mark does not belong.
const marksDir = ".patchbay"

// origin says when and where an address was reserved.
type origin struct {
	// boot ID of the kernel, see BootID
	boot string
	// instance ID of the state directory; "" if it could not be stored
	instance string
	// cookie of the host's network namespace (SO_NETNS_COOKIE, Linux 5.14); 0 if not
	// known
	host uint64
}

// isPrevious reports whether everything that was created at o no longer exists:
// it was another boot, or a previous start of a node that is itself a container.
// Such a restart loses /run and makes a new network namespace, but the boot ID
// stays. If one of the values is not known, the answer is false.
func (o origin) isPrevious(now origin) bool {
	if o.boot == "" || now.boot == "" {
		return false
	}
	if o.boot != now.boot {
		return true
	}
	known := o.instance != "" && now.instance != "" && o.host != 0 && now.host != 0
	return known && o.instance != now.instance && o.host != now.host
}

// fileID distinguishes an address file from every other file of the same name.
// The inode alone is not sufficient, because ext4 may reuse its number
// at once. The birth time alone is not either, because its clock advances in
// steps of 1 to 10 ms (a jiffy). Two files of one address are separated by the
// start of at least two programs, which takes longer.
type fileID struct {
	inode uint64
	// nanoseconds since 1970; 0 if the file system does not store it
	born int64
}

// mark is the content of a mark.
type mark struct {
	origin
	file fileID
}

// String returns BOOT.INSTANCE.HOST.INODE.BORN, the target of the symbolic link.
func (m mark) String() string {
	return fmt.Sprintf("%s.%s.%x.%d.%d", m.boot, m.instance, m.host, m.file.inode, m.file.born)
}

// parseMark parses what String returned. It rejects every other form, so that an
// address with an unknown mark is never released as stale.
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

// instancePath returns the path of the instance ID of a state directory. It is a
// symbolic link, as marks are. No network has this name: a CNI network name begins
// with a letter or digit (SPEC section 1).
func instancePath(stateDir string) string { return filepath.Join(stateDir, ".life") }

// readInstanceID returns the instance ID of the state directory, "" if it has none.
func readInstanceID(stateDir string) string {
	life, _ := os.Readlink(instancePath(stateDir))
	return life
}

// instanceID returns the instance ID of the state directory, and creates it if
// there is none. If two processes create it at the same time, symlink(2) fails
// with EEXIST in one of them, which then reads the ID of the other.
func instanceID(stateDir string) (string, error) {
	if life := readInstanceID(stateDir); life != "" {
		return life, nil
	}
	random := make([]byte, 8)
	_, _ = rand.Read(random)
	err := os.Symlink(hex.EncodeToString(random), instancePath(stateDir))
	if err != nil && !errors.Is(err, os.ErrExist) {
		return "", fmt.Errorf("create instance ID of state directory: %w", err)
	}
	return readInstanceID(stateDir), nil
}

// markPath returns the path of the mark of an address.
func (n *network) markPath(addr netip.Addr) string {
	return filepath.Join(n.dir, marksDir, addr.String())
}

// checkMarksDir checks that the directory of marks is a directory or absent.
func (n *network) checkMarksDir() error {
	err := checkDirs(n.dir, filepath.Join(n.dir, marksDir))
	if isAbsent(err) {
		return nil
	}
	return err
}

// mark marks an address file that was just created. It replaces a leftover mark
// of an earlier file.
func (n *network) mark(addr netip.Addr, f *os.File) error {
	if err := n.checkMarksDir(); err != nil {
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

// unmark deletes the mark of an address whose file is gone. If the directory of
// marks is a symbolic link or a file, it cannot hold a mark of this program.
func (n *network) unmark(addr netip.Addr) error {
	if errors.Is(n.checkMarksDir(), ErrIrregular) {
		return nil
	}
	if err := os.Remove(n.markPath(addr)); err != nil && !isAbsent(err) {
		return fmt.Errorf("delete mark of address: %w", err)
	}
	_ = unix.Rmdir(filepath.Join(n.dir, marksDir)) // succeeds after the last mark
	return nil
}

// marked returns the mark of an address file, and whether there is one that
// belongs to this very file.
func (n *network) marked(addr netip.Addr) (mark, bool) {
	text, err := os.Readlink(n.markPath(addr))
	if err != nil || n.checkMarksDir() != nil {
		return mark{}, false
	}
	m, ok := parseMark(text)
	id, err := idOf(unix.AT_FDCWD, n.path(addr), unix.AT_SYMLINK_NOFOLLOW)
	return m, ok && err == nil && m.file == id
}

// idOf returns inode and birth time of a file by statx(2), Linux 4.11.
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
