package store

import (
	"errors"
	"net/netip"
	"path/filepath"
	"slices"
)

// Next returns the addresses that Reserve would choose for an attachment now. It
// takes no lock and changes nothing, so a concurrent ADD may reserve them first. The
// addresses in without, which could be reclaimed, count as free. Errors are those of
// Reserve, but for ErrBusy.
func Next(dirs Dirs, key Key, req Request, without []netip.Addr) ([]Address, error) {
	var n *network
	places := dirs.places(key.Network)
	slices.Reverse(places) // new addresses are reserved in the first one
	for _, place := range places {
		n = &network{dir: filepath.Join(place.Data, key.Network), place: place, second: n}
		if err := checkDirs(place.dataRoot(), n.dir); errors.Is(err, ErrIrregular) {
			return nil, err
		}
	}
	n.reclaimed = without
	c := &chooser{network: n, req: req, memory: openMemory(key, req.Sticky), only: true}
	chosen, err := c.choose()
	if err != nil {
		return nil, err
	}
	return addressesOf(req.Pool, chosen), nil
}
