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

// StickyDir holds who had which address. It is on disk, not in /run: an owner has its
// address again after a reboot.
const StickyDir = "/var/lib/patchbay/sticky"

// memory is the sticky memory of one owner in one network: a file for the owner with its
// addresses, and one for each address with its owner; both must agree. The nil memory
// remembers nothing.
type memory struct {
	dir, owner string
}

func openMemory(key Key, owner string) *memory {
	if owner == "" {
		return nil
	}
	return &memory{dir: filepath.Join(StickyDir, key.Network), owner: owner + "@" + key.IfName}
}

func (m *memory) addrPath(addr netip.Addr) string { return filepath.Join(m.dir, "ip-"+addr.String()) }

// ownerPath has the owner's name in it for people; long names end in a hash instead.
func (m *memory) ownerPath() string {
	name := strings.ReplaceAll(m.owner, "/", "+")
	if most := 200; len(name) > most {
		sum := sha256.Sum256([]byte(m.owner))
		name = name[:most-17] + "-" + hex.EncodeToString(sum[:8])
	}
	return filepath.Join(m.dir, "owner-"+name)
}

// ForgetOwner forgets which addresses an owner had in a network: it will not come back. What is not
// remembered is no error. The files are changed under the lock of the network's addresses.
func ForgetOwner(ctx context.Context, dirs Dirs, key Key, owner string) error {
	m := openMemory(key, owner)
	if err := lookAtDirs(filepath.Dir(StickyDir), m.dir); err != nil {
		return ignoreAbsent(err)
	}
	n, err := openExistingNetwork(ctx, dirs, key.Network)
	if err != nil && !isAbsent(err) {
		return err
	}
	if err == nil {
		defer n.close()
	}
	return m.forget()
}

// forget removes the owner's file last: what dies in between can be done again.
func (m *memory) forget() error {
	err := m.forgetAll(m.addresses(), nil)
	return errors.Join(err, ignoreAbsent(os.Remove(m.ownerPath())))
}

// ignoreAbsent is err, unless it is that something is not there.
func ignoreAbsent(err error) error {
	if isAbsent(err) {
		return nil
	}
	return err
}

// addresses are those that the owner had last.
func (m *memory) addresses() []netip.Addr {
	if m == nil {
		return nil
	}
	var addrs []netip.Addr
	text, _ := readOurs(m.ownerPath())
	for _, field := range strings.Fields(string(text)) {
		addr, err := netip.ParseAddr(field)
		if err == nil && m.rememberedFor(addr) == m.owner {
			addrs = append(addrs, addr)
		}
	}
	return addrs
}

// ofAnother reports whether somebody else would like to find this address again.
func (m *memory) ofAnother(addr netip.Addr) bool {
	if m == nil {
		return false
	}
	owner := m.rememberedFor(addr)
	return owner != "" && owner != m.owner
}

func (m *memory) rememberedFor(addr netip.Addr) string {
	owner, _ := readOurs(m.addrPath(addr))
	return string(owner)
}

// remember replaces what is known of the owner. The addresses' files come first: if only
// they are written, the owner's file does not know of it and all is as before.
func (m *memory) remember(addrs []netip.Addr) error {
	if m == nil {
		return nil
	}
	if err := makeDirs(filepath.Dir(StickyDir), m.dir, 0o700); err != nil {
		return fmt.Errorf("make sticky directory: %w", err)
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
	return m.forgetAll(before, addrs)
}

func (m *memory) forgetAll(before, but []netip.Addr) error {
	var err error
	for _, addr := range before {
		if !slices.Contains(but, addr) {
			err = errors.Join(err, os.Remove(m.addrPath(addr)))
		}
	}
	return err
}

// writeDurably writes a file whole or not at all, across a power failure too. A file that
// already says so is left alone.
func writeDurably(path, text string) error {
	if now, err := readOurs(path); err == nil && string(now) == text {
		return nil
	}
	temp := path + tempSuffix
	f, err := openOurs(temp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC)
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
