// Package host is the host as package lan uses it: the network configuration that runtimes read, the address files that the plugin
// writes, two clocks of the kernel, and probes on the bridge. It implements lan.Host.
//
// It writes two files, both by rename, and the lock: the network configuration in the directory of runtimes, and the status in
// lan.Dir. Of the plugin's files it reads names alone.
package host

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/identity"
	"github.com/patchbay-cni/patchbay/pkg/lan"
	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/safefile"
)

// SharedDataDir is host-local's default dataDir, which the plugin uses for networks that have a directory there.
const SharedDataDir = "/var/lib/cni/networks"

// rereadTime is how long the names of address files are kept while the modification times of their directories stay the same.
const rereadTime = 10 * time.Second

// Host is the host that the program runs on, for one network.
type Host struct {
	Network  string
	ConfDir  string // of network configurations: /etc/cni/net.d
	StateDir string // of the plugin: /run/patchbay
	Template lan.Template

	names map[string]listing // of address files, by directory
}

// listing is what a directory had.
type listing struct {
	modified unix.Timespec
	readAt   time.Duration
	addrs    []netip.Addr
}

// Conflist returns the path of the network configuration. Another file of that name is not kept.
func (h *Host) Conflist() string { return filepath.Join(h.ConfDir, h.Network+lan.ConflistSuffix) }

// Now implements lan.Host.
func (h *Host) Now() lan.Reading {
	return lan.Reading{Boot: read(unix.CLOCK_BOOTTIME), Real: read(unix.CLOCK_REALTIME)}
}

// read returns what a clock says; both exist since Linux 2.6.39.
func read(clock int32) time.Duration {
	var t unix.Timespec
	_ = unix.ClockGettime(clock, &t)
	return time.Duration(t.Nano())
}

// Write implements lan.Host.
func (h *Host) Write(c lan.Config, blocks []netip.Prefix) error {
	if err := os.MkdirAll(h.ConfDir, 0o755); err != nil {
		return fmt.Errorf("write the network configuration: %w", err)
	}
	if err := safefile.Write(h.Conflist(), 0o644, h.Template.Conflist(h.Network, c, blocks)); err != nil {
		return fmt.Errorf("write the network configuration: %w", err)
	}
	return nil
}

// Remove implements lan.Host. The directory is synchronized, so that the file does not come back with a power failure.
func (h *Host) Remove() error {
	err := os.Remove(h.Conflist())
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = syncDir(h.ConfDir)
	}
	if err != nil {
		return fmt.Errorf("remove the network configuration: %w; until then containers may get addresses that other hosts have", err)
	}
	return nil
}

func syncDir(path string) error {
	fd, err := safefile.OpenDir(path)
	if err != nil {
		return err
	}
	return errors.Join(unix.Fsync(fd), unix.Close(fd))
}

// Used implements lan.Host: each address file is one, also an empty one.
func (h *Host) Used() ([]netip.Addr, error) {
	var all []netip.Addr
	for _, dir := range h.dataDirs() {
		addrs, err := h.list(filepath.Join(dir, h.Network))
		if err != nil {
			return nil, fmt.Errorf("list addresses: %w", err)
		}
		all = append(all, addrs...)
	}
	return all, nil
}

func (h *Host) dataDirs() []string {
	own := h.Template.DataDir()
	if own == "" {
		own = filepath.Join(h.StateDir, "ipam")
	}
	if own == SharedDataDir {
		return []string{own}
	}
	return []string{own, SharedDataDir}
}

// list returns the addresses that a directory has files of. It reads the directory again if something was added or removed.
func (h *Host) list(dir string) ([]netip.Addr, error) {
	var info unix.Stat_t
	err := unix.Lstat(dir, &info)
	if errors.Is(err, unix.ENOENT) {
		return nil, nil
	}
	if err != nil {
		return nil, &os.PathError{Op: "stat", Path: dir, Err: err}
	}
	now := read(unix.CLOCK_BOOTTIME)
	if known, ok := h.names[dir]; ok && known.modified == info.Mtim && now-known.readAt < rereadTime {
		return known.addrs, nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	l := listing{modified: info.Mtim, readAt: now}
	for _, e := range entries {
		if addr, err := netip.ParseAddr(e.Name()); err == nil {
			l.addrs = append(l.addrs, addr)
		}
	}
	if h.names == nil {
		h.names = map[string]listing{}
	}
	h.names[dir] = l
	return l.addrs, nil
}

// Probe implements lan.Host: it sends probes on the bridge, as doctor --probe does. It is an error if the bridge does not lead to
// a LAN, because then nothing could answer.
func (h *Host) Probe(ctx context.Context, addrs []netip.Addr) ([]lan.Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	on, err := link.OpenHost()
	if err != nil {
		return nil, err
	}
	defer on.Close()
	b, err := h.uplinked(on)
	if err != nil {
		return nil, fmt.Errorf("probe %d addresses: %w", len(addrs), err)
	}
	expected := map[netip.Addr]net.HardwareAddr{}
	for _, addr := range addrs {
		expected[addr] = nil
	}
	found, err := on.ProbeOthers(ctx, b, expected)
	if err != nil {
		return nil, err
	}
	var answers []lan.Answer
	for _, a := range found {
		answers = append(answers, lan.Answer{Addr: a.Addr, MAC: a.MAC})
	}
	slices.SortFunc(answers, func(a, b lan.Answer) int { return a.Addr.Compare(b.Addr) })
	return answers, nil
}

// uplinked returns the bridge, if it has a port that leads to the LAN.
func (h *Host) uplinked(on *link.Host) (*link.Bridge, error) {
	b, err := on.Bridge(h.Template.Bridge())
	if err != nil {
		return nil, fmt.Errorf("%w; create the bridge of the LAN with patchbay bridge create", err)
	}
	isOther := func(l *link.Link) bool { return identity.MarkOf(l.Alias) != "" }
	uplink, err := on.UnmanagedPort(b, identity.IsHostInterface, isOther)
	switch {
	case err != nil:
		return nil, err
	case !b.Up || b.MAC == nil || uplink == nil:
		return nil, fmt.Errorf("bridge %s is down, or has no port with a carrier that leads to the LAN", b.Name)
	}
	return b, nil
}
