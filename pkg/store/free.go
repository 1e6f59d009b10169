package store

import (
	"errors"
	"iter"
	"net/netip"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/ipam"
)

// Free counts how many addresses of the scarcest set are left, up to most, changing nothing.
func Free(dirs Dirs, networkName string, pool ipam.Pool, most int) (int, error) {
	n, taken, err := takenIn(dirs, networkName)
	if err != nil {
		return 0, err
	}
	return n.free(pool, taken, most), nil
}

// FreeWithout reports whether every set would have an address left without those of the dead,
// changing nothing.
func FreeWithout(dirs Dirs, networkName string, pool ipam.Pool, dead []netip.Addr) (bool, error) {
	n, taken, err := takenIn(dirs, networkName)
	if err != nil {
		return false, err
	}
	for _, addr := range dead {
		delete(taken, addr)
	}
	return n.free(pool, taken, 1) > 0, nil
}

// takenIn is a network that is not locked, and all its addresses: none where the directory is
// missing.
func takenIn(dirs Dirs, networkName string) (*network, map[netip.Addr]bool, error) {
	n := &network{dir: filepath.Join(dirs.Data, networkName)}
	if err := lookAtDirs(dirs.rootOfData(), n.dir); errors.Is(err, ErrIrregular) {
		return nil, nil, err
	}
	taken, err := n.all()
	if errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	return n, taken, err
}

func (n *network) free(pool ipam.Pool, taken map[netip.Addr]bool, most int) int {
	least := most
	for set := range pool.Sets {
		free := count(pool.Candidates(set, netip.Addr{}), least, func(addr netip.Addr) bool { return !taken[addr] })
		// Only if these are too few, files are opened: of a thousand, that takes longer than all the rest.
		free += count(pool.Candidates(set, netip.Addr{}), least-free, func(addr netip.Addr) bool { return taken[addr] && isTorn(n, addr) })
		least = min(least, free)
	}
	return least
}

// count stops at most, before the next one is looked at: half a /64 cannot be counted.
func count(candidates iter.Seq[netip.Addr], most int, free func(netip.Addr) bool) (found int) {
	if most <= 0 {
		return 0
	}
	for addr := range candidates {
		if free(addr) {
			found++
		}
		if found >= most {
			break
		}
	}
	return found
}

// isTorn opens only a file that is too short to name a container.
func isTorn(n *network, addr netip.Addr) bool {
	var info unix.Stat_t
	if err := unix.Lstat(n.path(addr), &info); err != nil || info.Size > int64(len("\r\n")) {
		return false
	}
	text, err := n.holder(addr)
	return err == nil && text == ""
}
