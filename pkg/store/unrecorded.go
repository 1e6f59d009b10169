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
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// TryOpenToRemove opens an attachment without waiting, and creates the lock if
// there is no record: until Close, ADD of this attachment waits. It returns
// ErrBusy if a verb of the attachment is running.
func TryOpenToRemove(dirs Dirs, key Key) (*Attachment, error) {
	a := &Attachment{Key: key, dirs: dirs}
	return a.orUnreadable(a.openOrCreate(WithLockBudget(context.Background(), 0, time.Time{})))
}

// FileClock returns the time of the kernel's coarse clock, from which file systems
// take modification times. It is up to one jiffy (10 ms) behind time.Now.
func FileClock() time.Time {
	var now unix.Timespec
	if unix.ClockGettime(unix.CLOCK_REALTIME_COARSE, &now) != nil {
		return time.Unix(0, 0) // no file is older
	}
	return time.Unix(now.Unix())
}

// AddressHolders returns the attachments that hold addresses of a network, and
// these addresses, read from the address files alone: also those of host-local in
// a shared data directory. It leaves out files that were modified since the given
// time of FileClock, and files that do not name both a container and an interface.
// It changes nothing.
func AddressHolders(dirs Dirs, networkName string, since time.Time) (owners map[Key][]netip.Addr, err error) {
	owners = map[Key][]netip.Addr{}
	for _, place := range dirs.places(networkName) {
		err = errors.Join(err, addOwners(owners, place, networkName, since))
	}
	return owners, err
}

// addOwners adds the holders of the addresses in one data directory.
func addOwners(owners map[Key][]netip.Addr, dirs Dirs, networkName string, since time.Time) error {
	n := &network{dir: filepath.Join(dirs.Data, networkName)}
	if err := checkDirs(dirs.dataRoot(), n.dir); err != nil {
		if isAbsent(err) || errors.Is(err, ErrIrregular) {
			return nil
		}
		return fmt.Errorf("read addresses: %w", err)
	}
	all, err := n.reserved()
	if isAbsent(err) {
		return nil
	}
	for _, addr := range slices.SortedFunc(maps.Keys(all), netip.Addr.Compare) {
		key, ok, failed := n.ownerBefore(addr, since)
		if ok {
			owners[key] = append(owners[key], addr)
		}
		err = errors.Join(err, failed)
	}
	return err
}

// ownerBefore returns the attachment that an address file names; ok is false if it
// names none, or was modified since the given time.
func (n *network) ownerBefore(addr netip.Addr, since time.Time) (key Key, ok bool, err error) {
	// The time is compared before the content is read: a file that changes in between
	// is compared again by ReleaseUnrecorded, under the lock.
	info, err := os.Lstat(n.path(addr))
	if err != nil || !info.ModTime().Before(since) {
		return key, false, nil // released or reserved again meanwhile
	}
	text, err := n.holder(addr)
	if errors.Is(err, ErrIrregular) {
		return key, false, nil
	}
	id, ifname, found := strings.Cut(text, "\n")
	key = Key{filepath.Base(n.dir), strings.TrimSuffix(id, "\r"), ifname}
	return key, err == nil && found && namesKey(text, key), err
}

// ReleaseUnrecorded releases addresses that AddressHolders returned for an
// attachment without a record. It keeps an address that names another attachment
// by now or was reserved again since. Errors wrap ErrBusy, or are ctx's or the
// file system's.
func (a *Attachment) ReleaseUnrecorded(ctx context.Context, addrs []netip.Addr, since time.Time) (err error) {
	for _, place := range a.dirs.places(a.Key.Network) {
		err = errors.Join(err, a.releaseUnrecordedIn(ctx, place, addrs, since))
	}
	return err
}

// releaseUnrecordedIn is ReleaseUnrecorded for one data directory. It reads every
// file again under the lock, because host-local may have reserved the address since.
func (a *Attachment) releaseUnrecordedIn(ctx context.Context, dirs Dirs, addrs []netip.Addr, since time.Time) error {
	n, err := a.openForRelease(ctx, dirs)
	if n == nil {
		return err
	}
	defer n.close()
	for _, addr := range addrs {
		key, ok, failed := n.ownerBefore(addr, since)
		if ok && key == a.Key {
			failed = n.removeFile(addr)
		}
		err = errors.Join(err, failed)
	}
	return err
}
