package store

import (
	"errors"
	"iter"
	"maps"
	"net/netip"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/ipam"
)

// CountFree returns the number of free addresses of the smallest set of a pool, but
// at most most. It changes nothing. Errors wrap ErrIrregular, or are the file system's.
func CountFree(dirs Dirs, networkName string, pool ipam.Pool, most int) (int, error) {
	n, taken, err := takenIn(dirs, networkName)
	if err != nil {
		return 0, err
	}
	for set := range pool.Sets {
		most = min(most, n.countFree(pool, set, taken, most))
	}
	return most, nil
}

// CheckFree returns the ErrExhausted of Reserve if a set of the pool has no free
// address. The addresses in without, which could be reclaimed, count as free. It
// changes nothing.
func CheckFree(dirs Dirs, networkName string, pool ipam.Pool, without []netip.Addr) error {
	n, taken, err := takenIn(dirs, networkName)
	if err != nil {
		return err
	}
	// Reclaiming deletes their files.
	for _, addr := range without {
		delete(taken, addr)
	}
	for set := range pool.Sets {
		if n.countFree(pool, set, taken, 1) == 0 {
			return n.exhausted(pool, set)
		}
	}
	return nil
}

// takenIn returns a network, not locked, and the addresses that have a file. A
// missing directory has none.
func takenIn(dirs Dirs, networkName string) (n *network, taken map[netip.Addr]bool, err error) {
	taken = map[netip.Addr]bool{}
	for _, place := range dirs.places(networkName) {
		n = &network{dir: filepath.Join(place.Data, networkName), second: n}
		if err := checkDirs(place.dataRoot(), n.dir); errors.Is(err, ErrIrregular) {
			return nil, nil, err
		}
		all, err := (&network{dir: n.dir}).reserved()
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, nil, err
		}
		maps.Copy(taken, all)
	}
	return n, taken, nil
}

// countFree returns the number of free addresses of one set, at most most.
func (n *network) countFree(pool ipam.Pool, set int, taken map[netip.Addr]bool, most int) int {
	free := count(pool.Candidates(set, netip.Addr{}), most, func(addr netip.Addr) bool { return !taken[addr] })
	// Only if these are too few, count the empty files too: opening a thousand
	// files takes longer than all the rest of STATUS.
	return free + count(pool.Candidates(set, netip.Addr{}), most-free, func(addr netip.Addr) bool { return taken[addr] && isTorn(n, addr) })
}

// exhausted returns the error of Reserve for a set without a free address. As
// Reserve, it names the last address file that cannot be read.
func (n *network) exhausted(pool ipam.Pool, set int) error {
	c := &chooser{network: n, req: Request{Pool: pool}}
	for addr := range pool.Candidates(set, n.cursor(set)) {
		if _, err := n.holder(addr); err != nil {
			c.lookupErr = err
		}
	}
	return c.exhausted(set)
}

// count returns how many candidates are free. It stops at most before it looks at
// the next one: half a /64 has too many addresses to count.
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

// isTorn reports whether an address file has no holder, because a crash came
// before it was written. It opens a file only if it is too short to name one.
func isTorn(n *network, addr netip.Addr) bool {
	var info unix.Stat_t
	if err := unix.Lstat(n.path(addr), &info); err != nil || info.Size > int64(len("\r\n")) {
		return false
	}
	text, err := n.holder(addr)
	return err == nil && text == ""
}
