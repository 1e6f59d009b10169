package store

import (
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
)

// HeldAddresses returns the addresses whose files name this attachment. It reads
// all address files of the network; it is needed only without a record.
func (a *Attachment) HeldAddresses() (held []netip.Addr, err error) {
	for _, place := range a.dataPlaces() {
		n := &network{dir: filepath.Join(place.Data, a.Key.Network)}
		failed := checkDirs(place.dataRoot(), n.dir)
		if isAbsent(failed) || errors.Is(failed, ErrIrregular) {
			continue
		}
		addrs, failed := n.heldBy(a.Key)
		held, err = append(held, addrs...), errors.Join(err, failed)
	}
	return held, err
}

// Owns reports whether the file of an address names this attachment. A file that
// is missing or is not a regular file names none.
func (a *Attachment) Owns(addr netip.Addr) (bool, error) {
	if a.Record == nil || a.Record.DataDir == "" {
		return false, nil
	}
	n := &network{dir: filepath.Join(a.Record.DataDir, a.Key.Network)}
	text, err := n.holder(addr)
	if isAbsent(err) || errors.Is(err, ErrIrregular) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return n.isHeldBy(text, addr, a.Key)
}

// CheckAddresses describes the first address of the record whose file does not
// name this attachment any more; "" if all do. CHECK reports it (CNI SPEC section
// "CHECK": resources that the plugin knows of must still exist).
func (a *Attachment) CheckAddresses() (string, error) {
	if a.Record == nil || a.Record.DataDir == "" {
		return "", nil
	}
	dirs := Dirs{State: a.dirs.State, Data: a.Record.DataDir}
	n := &network{dir: filepath.Join(dirs.Data, a.Key.Network)}
	if err := checkDirs(dirs.dataRoot(), n.dir); errors.Is(err, ErrIrregular) {
		return "", err
	}
	for _, address := range a.Record.Addresses {
		text, err := n.holder(address.Address.Addr())
		if err != nil {
			return "", err
		}
		if text == "" {
			return fmt.Sprintf("address %s is no longer reserved in %s", address.Address.Addr(), n.dir), nil
		}
		if is, err := n.isHeldBy(text, address.Address.Addr(), a.Key); err != nil || !is {
			if err != nil {
				return "", err
			}
			return fmt.Sprintf("address %s is reserved for %s in %s", address.Address.Addr(), oneLine(text), n.dir), nil
		}
	}
	return "", nil
}
