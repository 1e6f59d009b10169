package store

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// network is the directory of a network's address files, locked against every other process
// that gives out addresses of it: other attachments, and host-local.
type network struct {
	dir   string
	lock  *os.File
	marks *origin // what marks say from now on; nil where address files need none
}

// openNetwork makes the directory if need be and locks it.
func openNetwork(ctx context.Context, dirs Dirs, name string) (*network, error) {
	dir, root := filepath.Join(dirs.Data, name), dirs.rootOfData()
	mode := os.FileMode(0o700)
	if root == dirs.Data {
		mode = 0o755 // as host-local, whose directory it may be
	}
	if err := makeDirs(root, dir, mode); err != nil {
		return nil, fmt.Errorf("make address directory: %w", err)
	}
	return lockNetwork(ctx, dir, os.O_CREATE)
}

// rootOfData is the configured directory that the addresses are in: the state directory where
// dataDir is in it.
func (d Dirs) rootOfData() string {
	if d.within() {
		return d.State
	}
	return d.Data
}

// openExistingNetwork makes nothing; os.ErrNotExist if there are no addresses. Where something
// else is in the place of the lock it does without: what an attachment has of its own nobody
// else takes.
func openExistingNetwork(ctx context.Context, dirs Dirs, name string) (*network, error) {
	dir := filepath.Join(dirs.Data, name)
	if err := lookAtDirs(dirs.rootOfData(), dir); err != nil {
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

func lockNetwork(ctx context.Context, dir string, create int) (*network, error) {
	f, err := openOurs(filepath.Join(dir, "lock"), os.O_RDONLY|create)
	if err != nil {
		return nil, fmt.Errorf("open address lock: %w", err)
	}
	if err := lock(ctx, f); err != nil {
		return nil, fmt.Errorf("lock addresses: %w", err)
	}
	return &network{dir: dir, lock: f}, nil
}

func (n *network) close() { n.lock.Close() }

func (n *network) path(addr netip.Addr) string { return filepath.Join(n.dir, addr.String()) }

// ownerText is what an address file holds: the form of host-local since v0.8.0.
func ownerText(key Key) string { return key.ContainerID + "\r\n" + key.IfName }

// owned reports whether the text of an address file names the owner. A development version
// of host-local wrote LF for CRLF.
func owned(text string, key Key) bool {
	text = strings.TrimSpace(text)
	return text == ownerText(key) || text == key.ContainerID+"\n"+key.IfName
}

// holder is the text of an address file; "" if the address is free. A file of zero length is
// what a crash between create and write leaves (containernetworking/plugins issue 498): free.
// Errors wrap ErrIrregular, or are the file system's.
func (n *network) holder(addr netip.Addr) (string, error) {
	text, err := readOurs(n.path(addr))
	if errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read address: %w", err)
	}
	return strings.TrimSpace(string(text)), nil
}

// take writes the address file. The file must not hold another owner.
func (n *network) take(addr netip.Addr, key Key) error {
	if info, err := os.Lstat(n.path(addr)); err == nil && info.Mode().IsRegular() {
		if text, err := n.holder(addr); err == nil && text == "" {
			_ = os.Remove(n.path(addr)) // a torn one; if it stays, the next call says so
		}
	}
	f, err := openOurs(n.path(addr), os.O_WRONLY|os.O_CREATE|os.O_EXCL)
	if err != nil {
		return fmt.Errorf("take address: %w", err)
	}
	if n.marks != nil {
		err = n.mark(addr, f) // before the owner is in the file: see marksDir
	}
	if err == nil {
		_, err = f.WriteString(ownerText(key))
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("take address: %w", errors.Join(err, n.remove(addr)))
	}
	return nil
}

// give removes the address file if it is the owner's, or nobody's.
func (n *network) give(addr netip.Addr, key Key) error {
	text, err := n.holder(addr)
	if errors.Is(err, ErrIrregular) {
		return nil // it names nobody: whoever put it there may remove it
	}
	if err != nil || (text != "" && !owned(text, key)) {
		return err
	}
	return n.remove(addr)
}

// giveMarked is give for what its owner does not ask for: where address files have marks, only
// one with its mark is certain to be ours still.
func (n *network) giveMarked(addr netip.Addr, key Key) error {
	if _, ours := n.marked(addr); n.marks != nil && !ours {
		return nil
	}
	return n.give(addr, key)
}

func (n *network) remove(addr netip.Addr) error {
	if err := os.Remove(n.path(addr)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("free address: %w", err)
	}
	if n.marks != nil {
		return n.unmark(addr)
	}
	return nil
}

// ofOwner finds an owner's addresses by reading every file: what is left to DEL when there is
// no record. Files by host-local before v0.8.0 hold the container ID alone and count only if
// none holds the interface name too.
func (n *network) ofOwner(key Key) (exact []netip.Addr, err error) {
	var legacy []netip.Addr
	all, err := n.all()
	if err != nil {
		return nil, err
	}
	for addr := range all {
		text, err := n.holder(addr)
		if err == nil && owned(text, key) {
			exact = append(exact, addr)
		}
		if err == nil && text == key.ContainerID {
			legacy = append(legacy, addr)
		}
	}
	if len(exact) == 0 {
		return legacy, nil
	}
	return exact, nil
}

// giveAll removes every address file of an owner.
func (n *network) giveAll(key Key) error {
	addrs, err := n.ofOwner(key)
	for _, addr := range addrs {
		err = errors.Join(err, n.remove(addr))
	}
	return err
}

// all are the addresses that have a file, torn ones too.
func (n *network) all() (map[netip.Addr]bool, error) {
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
	return addrs, nil
}

func (n *network) cursorPath(set int) string {
	return filepath.Join(n.dir, "last_reserved_ip."+strconv.Itoa(set))
}

// cursor is the address that set n gave last; the zero Addr when that is not known.
func (n *network) cursor(set int) netip.Addr {
	text, _ := readOurs(n.cursorPath(set))
	addr, _ := netip.ParseAddr(strings.TrimSpace(string(text)))
	return addr
}

func (n *network) setCursor(set int, addr netip.Addr) error {
	f, err := openOurs(n.cursorPath(set), os.O_WRONLY|os.O_CREATE|os.O_TRUNC)
	if err != nil {
		return fmt.Errorf("write cursor: %w", err)
	}
	_, err = f.WriteString(addr.String())
	return errors.Join(err, f.Close())
}
