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

// StaleAddresses returns the addresses of a network that were reserved before the
// last reboot and have no record: the reboot deleted the records in /run, but not
// the address files on disk. Only addresses with a mark of this program count.
// hostCookie is the cookie of the host's network namespace. It changes nothing.
func StaleAddresses(dirs Dirs, networkName string, hostCookie uint64) (lost []netip.Addr, err error) {
	for _, place := range dirs.places(networkName) {
		n, failed := openMarked(place, networkName, hostCookie)
		if n == nil || failed != nil {
			err = errors.Join(err, failed)
			continue
		}
		addrs, failed := n.stale(dirs.State)
		lost, err = append(lost, addrs...), errors.Join(err, failed)
	}
	return lost, err
}

// ReclaimStale releases the addresses that StaleAddresses returns, and returns
// them. It also deletes leftover marks, whose address files host-local has deleted.
// Errors wrap ErrBusy, or are ctx's or the file system's.
func ReclaimStale(ctx context.Context, dirs Dirs, networkName string, hostCookie uint64) (lost []netip.Addr, err error) {
	for _, place := range dirs.places(networkName) {
		addrs, failed := reclaimStaleIn(ctx, place, networkName, hostCookie)
		lost, err = append(lost, addrs...), errors.Join(err, failed)
	}
	return lost, err
}

// reclaimStaleIn is ReclaimStale for one data directory. It looks without a lock
// first: nearly always there is nothing to do, and ADD must not wait for that.
func reclaimStaleIn(ctx context.Context, dirs Dirs, networkName string, hostCookie uint64) ([]netip.Addr, error) {
	look, err := openMarked(dirs, networkName, hostCookie)
	if look == nil || err != nil {
		return nil, err
	}
	n, err := openExistingNetwork(ctx, dirs, networkName)
	if err != nil {
		return nil, err
	}
	defer n.close()
	n.marks = look.marks
	lost, err := n.stale(dirs.State)
	for _, addr := range lost {
		err = errors.Join(err, n.removeFile(addr))
	}
	return lost, errors.Join(err, n.removeStaleMarks())
}

// removeStaleMarks deletes every mark that does not belong to an address file.
func (n *network) removeStaleMarks() error {
	addrs, err := n.allMarks()
	for _, addr := range addrs {
		if _, ours := n.marked(addr); !ours {
			err = errors.Join(err, n.unmark(addr))
		}
	}
	return err
}

// allMarks returns the addresses that have a mark.
func (n *network) allMarks() ([]netip.Addr, error) {
	entries, err := os.ReadDir(filepath.Join(n.dir, marksDir))
	if err != nil && !isAbsent(err) { // the last mark was deleted with its directory
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

// MarkedNetworks returns the names of the networks with marked addresses in a
// data directory.
func MarkedNetworks(data string) (names []string) {
	entries, _ := os.ReadDir(data)
	for _, e := range entries {
		if _, err := os.Lstat(filepath.Join(data, e.Name(), marksDir)); err == nil {
			names = append(names, e.Name())
		}
	}
	return names
}

// openMarked returns a network without locking it; nil if its addresses have no
// marks.
func openMarked(dirs Dirs, networkName string, hostCookie uint64) (*network, error) {
	dir := filepath.Join(dirs.Data, networkName)
	if dirs.dataInState() {
		return nil, nil
	}
	if err := checkDirs(dirs.dataRoot(), filepath.Join(dir, marksDir)); err != nil {
		if isAbsent(err) || errors.Is(err, ErrIrregular) {
			return nil, nil
		}
		return nil, fmt.Errorf("read marks of addresses: %w", err)
	}
	// The instance ID is only read: a state directory without one has no marks of its own.
	now := &origin{boot: BootID(), instance: readInstanceID(dirs.State), host: hostCookie}
	return &network{dir: dir, marks: now}, nil
}

// stale returns the marked addresses of a previous boot that no record names.
func (n *network) stale(stateDir string) ([]netip.Addr, error) {
	addrs, err := n.allMarks()
	return slices.DeleteFunc(addrs, func(addr netip.Addr) bool { return !n.isStale(stateDir, addr) }), err
}

// isStale reports whether an address has a mark of a previous boot, and no record
// names it.
func (n *network) isStale(stateDir string, addr netip.Addr) bool {
	m, ours := n.marked(addr)
	return ours && m.isPrevious(*n.marks) && !n.recorded(stateDir, addr)
}

// releaseStale releases those of the addresses that are stale. A network whose
// files have no marks has none.
func (n *network) releaseStale(stateDir string, addrs []netip.Addr) (err error) {
	for _, addr := range addrs {
		if n.marks != nil && n.isStale(stateDir, addr) {
			err = errors.Join(err, n.removeFile(addr))
		}
	}
	return err
}

// recorded reports whether the attachment that holds an address has a record with
// this address; then the record decides. If that cannot be found out the answer
// is true. A record without the address belongs to a later container of the same
// ID, or to an ADD that has reserved nothing yet. An empty file and a damaged record
// are left by a power failure: an attachment of this boot would have written both,
// under the lock of the addresses.
func (n *network) recorded(stateDir string, addr netip.Addr) bool {
	text, err := n.holder(addr)
	id, ifname, found := strings.Cut(text, "\r\n")
	if err != nil || !found {
		return err != nil || text != "" // the older form of host-local
	}
	a := Attachment{Key: Key{filepath.Base(n.dir), id, ifname}, dirs: Dirs{State: stateDir}}
	data, err := readState(a.path())
	if err != nil {
		return !isAbsent(err)
	}
	r, err := decodeRecordOf(a.Key, data)
	if r == nil {
		return errors.Is(err, ErrNewer)
	}
	return slices.ContainsFunc(r.Addresses, func(has Address) bool { return has.Address.Addr() == addr })
}

// Released reports whether a record has addresses, but no address file names the
// attachment any more: host-local has run its DEL. If a file cannot be read the
// answer is false.
func Released(r *Record) bool {
	if r.DataDir == "" || len(r.Addresses) == 0 {
		return false
	}
	n := &network{dir: filepath.Join(r.DataDir, r.Network)}
	for _, address := range r.Addresses {
		addr := address.Address.Addr()
		text, err := n.holder(addr)
		if err != nil {
			return false
		}
		if is, err := n.isHeldBy(text, addr, r.Key()); err != nil || is {
			return false
		}
	}
	return true
}

// Reclaimable returns the addresses that Reclaim would release for a record; none
// if another process holds the record's lock. It changes nothing, but holds that
// lock, shared, while it reads.
func Reclaimable(dirs Dirs, r *Record) []netip.Addr {
	a := &Attachment{Key: r.Key(), dirs: dirs, Record: r}
	f, err := openState(a.path(), os.O_RDONLY)
	if err != nil {
		return nil
	}
	defer f.Close()
	// A shared lock does not disturb other readers, and fails while a verb runs.
	if flock(f, unix.LOCK_SH|unix.LOCK_NB) != nil {
		return nil
	}
	data := Dirs{State: dirs.State, Data: r.DataDir}
	n := &network{dir: filepath.Join(data.Data, r.Network)}
	var addrs []netip.Addr
	for _, address := range r.Addresses {
		addr := address.Address.Addr()
		text, err := n.holder(addr)
		if err != nil || text == "" {
			continue
		}
		is, err := n.isHeldBy(text, addr, a.Key)
		if _, marked := n.marked(addr); err == nil && is && (marked || data.dataInState()) {
			addrs = append(addrs, addr)
		}
	}
	return addrs
}
