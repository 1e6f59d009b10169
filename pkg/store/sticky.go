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
// owner. An address is remembered only if both agree, so a crash or a power failure
// between the two is harmless. All methods of the nil memory do nothing.
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
	return slices.DeleteFunc(m.listed(), func(addr netip.Addr) bool { return m.ownerOf(addr) != m.owner })
}

// listed returns the addresses in the owner's file, whether their files agree or not.
func (m *memory) listed() (addrs []netip.Addr) {
	text, _ := readState(m.ownerPath())
	for _, field := range strings.Fields(string(text)) {
		if addr, err := netip.ParseAddr(field); err == nil {
			addrs = append(addrs, addr)
		}
	}
	return addrs
}

// heldForOther reports whether an address is remembered for another owner. The
// address's file alone does not say so: it may be all that is left of a write
// that was interrupted.
func (m *memory) heldForOther(addr netip.Addr) bool {
	if m == nil {
		return false
	}
	other := &memory{dir: m.dir, owner: m.ownerOf(addr)}
	return other.owner != "" && other.owner != m.owner && slices.Contains(other.listed(), addr)
}

// ownerOf returns the owner for whom an address is remembered; "" if there is none.
func (m *memory) ownerOf(addr netip.Addr) string {
	owner, _ := readState(m.addrPath(addr))
	return string(owner)
}

// save replaces the remembered addresses of the owner, and returns when they are on
// the disk. It renames the files of the addresses first: if it is interrupted then,
// the owner's file does not list the new addresses, and the old memory is still
// valid. The files of old addresses are deleted when the new memory is on the disk;
// one that comes back after a power failure is no address of the owner any more.
func (m *memory) save(addrs []netip.Addr) error {
	if m == nil {
		return nil
	}
	if err := makeDirsDurably(filepath.Dir(StickyDir), m.dir); err != nil {
		return fmt.Errorf("create directory of remembered addresses (ipam.sticky): %w", err)
	}
	before := m.addresses()
	var files []newFile
	var lines strings.Builder
	for _, addr := range addrs {
		files = append(files, newFile{m.addrPath(addr), m.owner})
		fmt.Fprintln(&lines, addr)
	}
	if err := replaceDurably(m.dir, append(files, newFile{m.ownerPath(), lines.String()})); err != nil {
		return fmt.Errorf("write sticky memory: %w", err)
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
