package store

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Lost are the addresses of a network whose files have our mark of an earlier life of the host
// and no record any more: a reboot took the records with /run. hostCookie is that of the host's
// network namespace. It changes nothing.
func Lost(dirs Dirs, networkName string, hostCookie uint64) ([]netip.Addr, error) {
	n, err := lookAtMarks(dirs, networkName, hostCookie)
	if n == nil || err != nil {
		return nil, err
	}
	return n.lost(dirs.State)
}

// ReclaimLost frees the addresses that are Lost and returns them. It also removes the marks of
// files that are gone, which host-local leaves when it frees an address that we gave.
func ReclaimLost(ctx context.Context, dirs Dirs, networkName string, hostCookie uint64) ([]netip.Addr, error) {
	look, err := lookAtMarks(dirs, networkName, hostCookie)
	if look == nil || err != nil {
		return nil, err
	}
	n, err := openExistingNetwork(ctx, dirs, networkName)
	if err != nil {
		return nil, err
	}
	defer n.close()
	n.marks = look.marks
	lost, err := n.lost(dirs.State)
	for _, addr := range lost {
		err = errors.Join(err, n.remove(addr))
	}
	return lost, errors.Join(err, n.sweep())
}

func (n *network) sweep() error {
	addrs, err := n.allMarks()
	for _, addr := range addrs {
		if _, ours := n.marked(addr); !ours {
			err = errors.Join(err, n.unmark(addr))
		}
	}
	return err
}

// allMarks are the addresses that have a mark.
func (n *network) allMarks() ([]netip.Addr, error) {
	entries, err := os.ReadDir(filepath.Join(n.dir, marksDir))
	if err != nil {
		return nil, fmt.Errorf("read marks of addresses: %w", err)
	}
	var addrs []netip.Addr
	for _, entry := range entries {
		if addr, err := netip.ParseAddr(entry.Name()); err == nil {
			addrs = append(addrs, addr)
		}
	}
	return addrs, nil
}

// lookAtMarks is a network that is not locked; nil if its addresses have no marks.
func lookAtMarks(dirs Dirs, networkName string, hostCookie uint64) (*network, error) {
	dir := filepath.Join(dirs.Data, networkName)
	if dirs.within() {
		return nil, nil
	}
	if err := lookAtDirs(dirs.rootOfData(), filepath.Join(dir, marksDir)); err != nil {
		if isAbsent(err) || errors.Is(err, ErrIrregular) {
			return nil, nil
		}
		return nil, fmt.Errorf("look for marks of addresses: %w", err)
	}
	now := &origin{boot: BootID(), life: knownLife(dirs.State), host: hostCookie}
	return &network{dir: dir, marks: now}, nil
}

func (n *network) lost(stateDir string) ([]netip.Addr, error) {
	addrs, err := n.allMarks()
	var lost []netip.Addr
	for _, addr := range addrs {
		if m, ours := n.marked(addr); ours && m.earlier(*n.marks) && !n.recorded(stateDir, addr) {
			lost = append(lost, addr)
		}
	}
	return lost, err
}

// recorded reports whether the owner of an address has a record with that address, which then
// decides. What cannot be looked up counts as recorded. A record without it is that of a later
// life of the same container, or of a verb that has chosen nothing yet.
func (n *network) recorded(stateDir string, addr netip.Addr) bool {
	text, err := n.holder(addr)
	id, ifname, found := strings.Cut(text, "\r\n")
	if err != nil || !found {
		return true
	}
	a := Attachment{Key: Key{filepath.Base(n.dir), id, ifname}, dirs: Dirs{State: stateDir}}
	data, err := readOurs(a.path())
	if err != nil {
		return !isAbsent(err)
	}
	r, err := decodeRecordOf(a.Key, data)
	if r == nil {
		return err != nil
	}
	return slices.ContainsFunc(r.Addresses, func(has Address) bool { return has.Address.Addr() == addr })
}

// Reclaimable are the addresses that Reclaim would free for a record, if nobody works on the
// attachment now. It changes nothing, but holds the record's lock for a moment.
func Reclaimable(dirs Dirs, r *Record) []netip.Addr {
	a := &Attachment{Key: r.Key(), dirs: dirs, Record: r}
	f, err := openOurs(a.path(), os.O_RDONLY)
	if err != nil {
		return nil
	}
	defer f.Close()
	if flock(f, unix.LOCK_SH|unix.LOCK_NB) != nil {
		return nil
	}
	data := a.dataDirs()
	n := &network{dir: filepath.Join(data.Data, r.Network)}
	var addrs []netip.Addr
	for _, address := range r.Addresses {
		addr := address.Address.Addr()
		text, err := n.holder(addr)
		_, marked := n.marked(addr)
		if err == nil && owned(text, a.Key) && (marked || data.within()) {
			addrs = append(addrs, addr)
		}
	}
	return addrs
}
