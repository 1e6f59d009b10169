package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// network is the directory of a network's address files, locked against every
// other process that reserves addresses of the network: other attachments, and
// host-local, which locks the same file.
type network struct {
	dir  string
	lock *os.File
	// origin of new marks; nil if address files need none
	marks *origin
	// its Data contains dir; set by openNetwork
	place Dirs
	// another directory, also locked, whose addresses are taken; nil if there is none
	second *network
	// addresses that count as free although they have a file: see Next
	reclaimed []netip.Addr
}

// openNetwork locks the directories of a network's addresses, and creates the one
// for new addresses. It evaluates Dirs.places again under the lock: host-local may
// have created its directory meanwhile, and another process that saw it first
// reserves addresses there.
func openNetwork(ctx context.Context, dirs Dirs, name string) (*network, error) {
	for range maxTries {
		places := dirs.places(name)
		n, err := lockPlaces(ctx, dirs, places, name)
		if err != nil || slices.Equal(places, dirs.places(name)) {
			return n, err
		}
		n.close()
	}
	return nil, fmt.Errorf("%w: addresses of network %s", ErrBusy, name)
}

// lockPlaces locks the directories of a network in the order of Dirs.lockOrder.
func lockPlaces(ctx context.Context, dirs Dirs, places []Dirs, name string) (*network, error) {
	// Only the directory for new addresses is created; a second one exists already.
	if err := makeNetworkDir(places[0], name); err != nil {
		return nil, err
	}
	locked := map[string]*network{}
	for _, place := range dirs.lockOrder(places) {
		n, err := lockNetwork(ctx, filepath.Join(place.Data, name), os.O_CREATE)
		if err != nil {
			for _, other := range locked {
				other.close()
			}
			return nil, err
		}
		locked[place.Data] = n
	}
	n := locked[places[0].Data]
	n.place = places[0]
	if len(places) > 1 {
		n.second = locked[places[1].Data]
	}
	return n, nil
}

// makeNetworkDir creates the directory for new addresses and checks who may write
// to it. In a data directory of host-local it has host-local's mode 0755.
func makeNetworkDir(place Dirs, name string) error {
	root, mode := place.dataRoot(), os.FileMode(0o700)
	if root == place.Data {
		mode = 0o755
	}
	dir := filepath.Join(place.Data, name)
	if err := makeDirs(root, dir, mode); err != nil {
		return fmt.Errorf("create address directory: %w", err)
	}
	if place.dataInState() {
		return nil // Attachment.lock has checked the state directory
	}
	if err := checkSafe(place.Data, dir); err != nil {
		return fmt.Errorf("open address directory: %w", err)
	}
	return nil
}

// openExistingNetwork opens the directory of a network's addresses without
// creating it; os.ErrNotExist if there is none. On a read-only file system it
// locks the existing lock file. If the lock is not a regular file it works
// without one: no other process changes the addresses of this attachment.
func openExistingNetwork(ctx context.Context, dirs Dirs, name string) (*network, error) {
	dir := filepath.Join(dirs.Data, name)
	if err := checkDirs(dirs.dataRoot(), dir); err != nil {
		return nil, fmt.Errorf("open address directory: %w", err)
	}
	n, err := lockNetwork(ctx, dir, os.O_CREATE)
	switch {
	case errors.Is(err, unix.EROFS):
		return lockNetwork(ctx, dir, 0)
	case errors.Is(err, ErrIrregular):
		return &network{dir: dir}, nil
	}
	return n, err
}

// lockNetwork takes the lock of host-local (plugins/ipam/host-local/backend/disk):
// an exclusive flock(2) on the file "lock" in the network's directory.
func lockNetwork(ctx context.Context, dir string, create int) (*network, error) {
	f, err := openState(filepath.Join(dir, "lock"), os.O_RDONLY|create)
	if err != nil {
		return nil, fmt.Errorf("open address lock: %w", err)
	}
	if err := lock(ctx, f); err != nil {
		return nil, fmt.Errorf("lock addresses: %w", err)
	}
	return &network{dir: dir, lock: f}, nil
}

// close releases the locks.
func (n *network) close() {
	n.lock.Close()
	if n.second != nil {
		n.second.close()
	}
}

// path returns the path of an address file. host-local replaces colons in its
// names on Windows only, so IPv6 addresses keep theirs.
func (n *network) path(addr netip.Addr) string { return filepath.Join(n.dir, addr.String()) }

// holderText returns the content of an address file, in the form that host-local
// writes since v0.8.0.
func holderText(key Key) string { return key.ContainerID + "\r\n" + key.IfName }

// namesKey reports whether the content of an address file names the attachment.
// A development version of host-local wrote LF instead of CRLF.
func namesKey(text string, key Key) bool {
	text = strings.TrimSpace(text)
	return text == holderText(key) || text == key.ContainerID+"\n"+key.IfName
}

// holder returns the content of an address file; "" if the address is free. An
// empty file is left by a crash between creating and writing it
// (containernetworking/plugins issue 498), or by a power failure, and its address is
// free.
// Errors wrap ErrIrregular, or are the file system's.
func (n *network) holder(addr netip.Addr) (string, error) {
	if slices.Contains(n.reclaimed, addr) {
		return "", nil
	}
	text, err := readState(n.path(addr))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("read address: %w", err)
	}
	if holder := trimHolder(text); holder != "" || n.second == nil {
		return holder, nil
	}
	return n.second.holder(addr)
}

// trimHolder returns the content of an address file without white space, and "" for
// zeros alone: after a power failure a file system may have the size of a file
// without its data (ext4 with data=writeback). No container ID has a zero byte.
func trimHolder(text []byte) string {
	if strings.Trim(string(text), "\x00") == "" {
		return ""
	}
	return strings.TrimSpace(string(text))
}

// reserve writes an address file and, if needed, its mark. It fails with
// os.ErrExist if the file names another attachment. On an error neither is left.
func (n *network) reserve(addr netip.Addr, key Key) error {
	if info, err := os.Lstat(n.path(addr)); err == nil && info.Mode().IsRegular() {
		if text, err := n.holder(addr); err == nil && text == "" {
			_ = os.Remove(n.path(addr)) // left by a crash; if it cannot be removed, O_EXCL fails below
		}
	}
	f, err := openState(n.path(addr), os.O_WRONLY|os.O_CREATE|os.O_EXCL)
	if err != nil {
		return fmt.Errorf("reserve address: %w", err)
	}
	if n.marks != nil {
		err = n.mark(addr, f) // before the holder is written: see marksDir
	}
	if err == nil {
		_, err = f.WriteString(holderText(key))
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("reserve address: %w", errors.Join(err, n.removeFile(addr)))
	}
	return nil
}

// release deletes an address file if it names the attachment or is empty.
func (n *network) release(addr netip.Addr, key Key) error {
	text, err := n.holder(addr)
	if errors.Is(err, ErrIrregular) {
		return nil // it names no attachment, so it is not this one's to delete
	}
	is := text == ""
	if err == nil && !is {
		is, err = n.isHeldBy(text, addr, key)
	}
	if err != nil || !is {
		return err
	}
	return n.removeFile(addr)
}

// isHeldBy reports whether the content of an address file names an attachment.
// host-local before v0.8.0 wrote the container ID only. As in host-local, such a
// file counts if no other file names both the container and the interface.
func (n *network) isHeldBy(text string, addr netip.Addr, key Key) (bool, error) {
	if text != key.ContainerID {
		return namesKey(text, key), nil
	}
	addrs, err := n.heldBy(key)
	return slices.Contains(addrs, addr), err
}

// releaseMarked releases an address without a DEL. Where address files have
// marks, only a file with its own mark was certainly written by Patchbay.
func (n *network) releaseMarked(addr netip.Addr, key Key) error {
	if _, ours := n.marked(addr); n.marks != nil && !ours {
		return n.unmark(addr) // host-local has released the address; the mark is left over
	}
	return n.release(addr, key)
}

// removeFile deletes an address file and then its mark. The file comes first:
// see marksDir.
func (n *network) removeFile(addr netip.Addr) error {
	if err := os.Remove(n.path(addr)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("release address: %w", err)
	}
	if n.marks != nil {
		return n.unmark(addr)
	}
	return nil
}

// heldBy returns the addresses whose files name an attachment. It reads every
// file of the network; only a DEL without a record needs it. Files of host-local
// before v0.8.0 hold the container ID only, and count if no file names the
// interface as well.
func (n *network) heldBy(key Key) (exact []netip.Addr, err error) {
	var legacy []netip.Addr
	all, err := n.reserved()
	if err != nil {
		return nil, err
	}
	for addr := range all {
		text, err := n.holder(addr)
		if err == nil && namesKey(text, key) {
			exact = append(exact, addr)
		}
		if err == nil && text == key.ContainerID {
			legacy = append(legacy, addr)
		}
	}
	// As host-local: the old form counts only if the attachment has no file in the
	// current one, since it could belong to another interface of the container.
	if len(exact) == 0 {
		return legacy, nil
	}
	return exact, nil
}

// releaseAll deletes every address file that names an attachment.
func (n *network) releaseAll(key Key) error {
	addrs, err := n.heldBy(key)
	for _, addr := range addrs {
		err = errors.Join(err, n.removeFile(addr))
	}
	return err
}

// reserved returns the addresses that have a file, including empty files.
func (n *network) reserved() (map[netip.Addr]bool, error) {
	entries, err := os.ReadDir(n.dir)
	if err != nil {
		return nil, fmt.Errorf("read address directory: %w", err)
	}
	addrs := make(map[netip.Addr]bool, len(entries))
	for _, entry := range entries {
		if addr, err := netip.ParseAddr(entry.Name()); err == nil {
			addrs[addr] = true
		}
	}
	if n.second == nil {
		return addrs, nil
	}
	more, err := n.second.reserved()
	maps.Copy(addrs, more)
	return addrs, err
}

// cursorPath returns the path of the cursor of a range set, numbered from 0 as
// host-local does.
func (n *network) cursorPath(set int) string {
	return filepath.Join(n.dir, "last_reserved_ip."+strconv.Itoa(set))
}

// cursor returns the address that was last reserved from a range set; the zero
// Addr if it is not known. A lost cursor only restarts the round robin.
func (n *network) cursor(set int) netip.Addr {
	text, _ := readState(n.cursorPath(set))
	addr, _ := netip.ParseAddr(strings.TrimSpace(string(text)))
	return addr
}

// setCursor writes the cursor of a range set.
func (n *network) setCursor(set int, addr netip.Addr) error {
	f, err := openState(n.cursorPath(set), os.O_WRONLY|os.O_CREATE|os.O_TRUNC)
	if err != nil {
		return fmt.Errorf("write cursor: %w", err)
	}
	_, err = f.WriteString(addr.String())
	return errors.Join(err, f.Close())
}
