package host

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/heldlock"
	"github.com/patchbay-cni/patchbay/pkg/identity"
	"github.com/patchbay-cni/patchbay/pkg/lan"
	"github.com/patchbay-cni/patchbay/pkg/safefile"
)

// ErrRunning reports that another process keeps the blocks of the network on this host.
var ErrRunning = errors.New("patchbay-lan runs already for this network")

// Self returns who this host is. Without a name it is that of the host.
func Self(node string) (lan.Owner, error) {
	if node == "" {
		name, err := os.Hostname()
		if err != nil {
			return lan.Owner{}, err
		}
		node = name
	}
	if err := lan.CheckNode(node); err != nil {
		return lan.Owner{}, err
	}
	id := identity.MachineID()
	if id == "" {
		return lan.Owner{}, errors.New("this host has no machine-id, which must differ from host to host; run systemd-machine-id-setup")
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return lan.Owner{}, err
	}
	return lan.Owner{Node: node, MachineID: id, BootID: strings.TrimSpace(string(boot))}, nil
}

// Lock makes this process the only one that keeps the blocks of the network, until it ends. Errors wrap ErrRunning.
func (h *Host) Lock() (*os.File, error) {
	for _, dir := range []string{filepath.Dir(lan.Dir), lan.Dir} {
		if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
			return nil, err
		}
	}
	if err := safefile.CheckDir(lan.Dir); err != nil {
		return nil, err
	}
	path := filepath.Join(lan.Dir, h.Network+".lock")
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		file.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("%s: %w", h.Network, ErrRunning)
		}
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return file, nil
}

// WriteStatus writes the status of the network, which doctor and monitoring can read.
func (h *Host) WriteStatus(s lan.Status) error {
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	return safefile.Write(filepath.Join(lan.Dir, h.Network+".json"), 0o600, append(text, '\n'))
}

// ErrNotRunning reports that no process keeps the blocks of the network on this host: a status that one has left says nothing.
var ErrNotRunning = errors.New("patchbay-lan does not run for this network")

// ReadStatus reads the status of the network. Errors wrap ErrNotRunning or lan.ErrStatusFormat.
func (h *Host) ReadStatus() (s lan.Status, err error) {
	held, err := heldlock.Read()
	if err != nil {
		return s, err
	}
	if !held.Has(filepath.Join(lan.Dir, h.Network+".lock")) {
		return s, ErrNotRunning
	}
	text, err := safefile.Read(filepath.Join(lan.Dir, h.Network+".json"), safefile.Rules{})
	if err != nil {
		return s, err
	}
	return lan.ReadStatus(text)
}

// RemoveStatus removes the status of the network.
func (h *Host) RemoveStatus() error {
	err := os.Remove(filepath.Join(lan.Dir, h.Network+".json"))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// CheckOthers returns an error if another file configures a network of this name: runtimes and commands would use one of the two.
func (h *Host) CheckOthers() error {
	entries, err := os.ReadDir(h.ConfDir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("read network configurations: %w", err)
	}
	for _, e := range entries {
		path := filepath.Join(h.ConfDir, e.Name())
		if ext := filepath.Ext(path); path == h.Conflist() || ext != ".conflist" && ext != ".conf" && ext != ".json" {
			continue
		}
		text, err := safefile.Read(path, safefile.Rules{FollowLinks: true, AnyOwner: true})
		if err != nil {
			continue // runtimes report it
		}
		var list struct{ Name string }
		if json.Unmarshal(text, &list) == nil && list.Name == h.Network {
			return fmt.Errorf("%s configures a network %s as well: remove that file, or use it as --template from another directory", path, h.Network)
		}
	}
	return nil
}
