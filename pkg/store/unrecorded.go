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

// TryOpenToRemove is TryOpen that makes the lock where there is no record: until Close, no ADD of
// this attachment begins. ErrBusy if one is under way.
func TryOpenToRemove(dirs Dirs, key Key) (*Attachment, error) {
	now, cancel := context.WithCancel(context.Background())
	cancel()
	a := &Attachment{Key: key, dirs: dirs}
	err := a.lockAnew(now)
	if errors.Is(err, context.Canceled) {
		err = fmt.Errorf("%w: %s", ErrBusy, key)
	}
	return a.orBroken(err)
}

// FileClock is the time now by the clock that stamps files, which is some milliseconds behind.
func FileClock() time.Time {
	var now unix.Timespec
	if unix.ClockGettime(unix.CLOCK_REALTIME_COARSE, &now) != nil {
		return time.Unix(0, 0) // nothing is older
	}
	return time.Unix(now.Unix())
}

// Owners are the attachments that have addresses of a network, and these, by the address files
// alone, whoever wrote them; of a data directory that is shared, host-local's too. A file that has
// changed since is left out, and so is one that does not name a container and an interface as
// host-local and we do. The time is one of FileClock. It changes nothing.
func Owners(dirs Dirs, networkName string, since time.Time) (map[Key][]netip.Addr, error) {
	n := &network{dir: filepath.Join(dirs.Data, networkName)}
	if err := lookAtDirs(dirs.rootOfData(), n.dir); err != nil {
		if isAbsent(err) || errors.Is(err, ErrIrregular) {
			return nil, nil
		}
		return nil, fmt.Errorf("look for addresses: %w", err)
	}
	all, err := n.all()
	if isAbsent(err) {
		return nil, nil
	}
	owners := map[Key][]netip.Addr{}
	for _, addr := range slices.SortedFunc(maps.Keys(all), netip.Addr.Compare) {
		key, ok, failed := n.ownerBefore(addr, since)
		if ok {
			owners[key] = append(owners[key], addr)
		}
		err = errors.Join(err, failed)
	}
	return owners, err
}

// ownerBefore is who an address file names that has not changed since; ok is false if that is nobody.
func (n *network) ownerBefore(addr netip.Addr, since time.Time) (key Key, ok bool, err error) {
	info, err := os.Lstat(n.path(addr))
	if err != nil || !info.ModTime().Before(since) {
		return key, false, nil // freed meanwhile, or taken
	}
	text, err := n.holder(addr)
	if errors.Is(err, ErrIrregular) {
		return key, false, nil
	}
	id, ifname, found := strings.Cut(text, "\n")
	key = Key{filepath.Base(n.dir), strings.TrimSuffix(id, "\r"), ifname}
	return key, err == nil && found && owned(text, key), err
}

// ReleaseUnrecorded frees addresses that Owners found, of an attachment without a record. One that
// is somebody else's by now, or has been taken anew since, stays.
func (a *Attachment) ReleaseUnrecorded(ctx context.Context, addrs []netip.Addr, since time.Time) error {
	n, err := openExistingNetwork(ctx, a.dirs, a.Key.Network)
	if isAbsent(err) || errors.Is(err, ErrIrregular) {
		return nil
	}
	if err != nil {
		return err
	}
	defer n.close()
	if !a.dirs.within() {
		n.marks = &origin{}
	}
	for _, addr := range addrs {
		key, ok, failed := n.ownerBefore(addr, since)
		if ok && key == a.Key {
			failed = n.remove(addr)
		}
		err = errors.Join(err, failed)
	}
	return err
}
