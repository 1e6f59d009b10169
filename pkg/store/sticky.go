package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// StickyDir holds the addresses of sticky owners. It is on disk and not in /run,
// so that an owner gets its address again after a reboot.
const StickyDir = "/var/lib/patchbay/sticky"

// memory is the sticky memory of one owner in one network. It is one file for the
// owner, which lists its addresses, and one file for each address, which names its
// owner. An address is remembered only if both agree, so a crash between the two
// writes is harmless. All methods of the nil memory do nothing.
type memory struct {
	dir, owner string
}

// openMemory returns the memory of an owner; nil for the owner "". It reads nothing.
func openMemory(key Key, owner string) *memory {
	if owner == "" {
		return nil
	}
	return &memory{dir: filepath.Join(StickyDir, key.Network), owner: owner + "@" + key.IfName}
}

// addrPath returns the path of the file of an address.
func (m *memory) addrPath(addr netip.Addr) string { return filepath.Join(m.dir, "ip-"+addr.String()) }

// ownerPath returns the path of the owner's file. It contains the owner's name so
// that an administrator can find it, with "+" for "/". A name that is long, or
// quoted because it contains unusual characters, ends in a hash: without it two
// names with "/" and "+" could share a file.
func (m *memory) ownerPath() string {
	const most = 200
	name := strings.ReplaceAll(m.owner, "/", "+")
	if len(name) > most || strings.ContainsRune(m.owner, '"') {
		sum := sha256.Sum256([]byte(m.owner))
		name = name[:min(len(name), most-17)] + "-" + hex.EncodeToString(sum[:8])
	}
	return filepath.Join(m.dir, "owner-"+name)
}

// DeleteSticky deletes the addresses that are remembered for an owner in a
// network. It returns nil if there are none. It holds the lock of the network's
// addresses. Errors wrap ErrBusy or ErrIrregular, or are ctx's or the file system's.
func DeleteSticky(ctx context.Context, dirs Dirs, key Key, owner string) error {
	m := openMemory(key, owner)
	if err := checkDirs(filepath.Dir(StickyDir), m.dir); err != nil {
		return ignoreAbsent(err)
	}
	// ADD changes these files under the lock of the addresses, so this takes it too;
	// without a directory of addresses no ADD has run.
	n, err := openExistingNetwork(ctx, dirs.places(key.Network)[0], key.Network)
	if err != nil && !isAbsent(err) {
		return err
	}
	if err == nil {
		defer n.close()
	}
	return m.delete()
}

// delete deletes the owner's file last, so that an interrupted call can be repeated.
func (m *memory) delete() error {
	err := m.deleteExcept(m.addresses(), nil)
	return errors.Join(err, ignoreAbsent(os.Remove(m.ownerPath())))
}

// ignoreAbsent returns nil if an error says that a file is absent, else the error.
func ignoreAbsent(err error) error {
	if isAbsent(err) {
		return nil
	}
	return err
}

// addresses returns the remembered addresses of the owner.
func (m *memory) addresses() []netip.Addr {
	if m == nil {
		return nil
	}
	var addrs []netip.Addr
	text, _ := readState(m.ownerPath())
	for _, field := range strings.Fields(string(text)) {
		addr, err := netip.ParseAddr(field)
		if err == nil && m.ownerOf(addr) == m.owner {
			addrs = append(addrs, addr)
		}
	}
	return addrs
}

// heldForOther reports whether an address is remembered for another owner.
func (m *memory) heldForOther(addr netip.Addr) bool {
	if m == nil {
		return false
	}
	owner := m.ownerOf(addr)
	return owner != "" && owner != m.owner
}

// ownerOf returns the owner for whom an address is remembered; "" if there is none.
func (m *memory) ownerOf(addr netip.Addr) string {
	owner, _ := readState(m.addrPath(addr))
	return string(owner)
}

// save replaces the remembered addresses of the owner. It writes the files of the
// addresses first. If it is interrupted then, the owner's file does not list the
// new addresses, and the old memory is still valid.
func (m *memory) save(addrs []netip.Addr) error {
	if m == nil {
		return nil
	}
	if err := makeDirs(filepath.Dir(StickyDir), m.dir, 0o700); err != nil {
		return fmt.Errorf("create directory of remembered addresses (ipam.sticky): %w", err)
	}
	before := m.addresses()
	var lines strings.Builder
	for _, addr := range addrs {
		if err := writeDurably(m.addrPath(addr), m.owner); err != nil {
			return err
		}
		fmt.Fprintln(&lines, addr)
	}
	if err := writeDurably(m.ownerPath(), lines.String()); err != nil {
		return err
	}
	return m.deleteExcept(before, addrs)
}

// deleteExcept deletes the files of the addresses in before that are not in but.
func (m *memory) deleteExcept(before, but []netip.Addr) error {
	var err error
	for _, addr := range before {
		if !slices.Contains(but, addr) {
			err = errors.Join(err, os.Remove(m.addrPath(addr)))
		}
	}
	return err
}

// writeDurably replaces a file by a complete new one, also if the power fails: the
// content is synchronized before rename(2). It does not write a file that has this
// content already.
func writeDurably(path, text string) error {
	if now, err := readState(path); err == nil && string(now) == text {
		return nil
	}
	temp := path + tempSuffix
	f, err := openState(temp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC)
	if err != nil {
		return fmt.Errorf("write sticky memory: %w", err)
	}
	_, err = f.WriteString(text)
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(temp, path)
	}
	if err != nil {
		return fmt.Errorf("write sticky memory: %w", errors.Join(err, os.Remove(temp)))
	}
	return nil
}
