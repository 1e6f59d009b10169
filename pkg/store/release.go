package store

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
)

// Release releases the addresses of the record, in the data directory that the
// record names. Without a record, or with one of a newer version, it releases the
// addresses whose files name this attachment, in the Dirs given to Open. Missing
// files are not an error. Errors wrap ErrBusy, or are ctx's or the file system's.
func (a *Attachment) Release(ctx context.Context) error {
	return a.release(ctx, (*network).release)
}

// Reclaim releases the addresses of a stale attachment, for which no runtime calls
// DEL. It keeps an address file that was not certainly written by Patchbay:
// host-local may have reserved the address for the same container meanwhile.
func (a *Attachment) Reclaim(ctx context.Context) error {
	return a.release(ctx, (*network).releaseMarked)
}

// release calls give for the addresses in every data directory of the attachment.
func (a *Attachment) release(ctx context.Context, give func(*network, netip.Addr, Key) error) error {
	var err error
	for _, place := range a.dataPlaces() {
		err = errors.Join(err, a.releaseIn(ctx, place, give))
	}
	return err
}

// openForRelease opens and locks the directory of the attachment's network, so that removeFile deletes marks too. It returns
// nil and no error without a directory, which has no address files to delete; a file in its place was not created by this
// program.
func (a *Attachment) openForRelease(ctx context.Context, dirs Dirs) (*network, error) {
	n, err := openExistingNetwork(ctx, dirs, a.Key.Network)
	if isAbsent(err) || errors.Is(err, ErrIrregular) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if !dirs.dataInState() {
		n.marks = &origin{}
	}
	return n, nil
}

// releaseIn calls give for the addresses in one data directory.
func (a *Attachment) releaseIn(ctx context.Context, dirs Dirs, give func(*network, netip.Addr, Key) error) error {
	n, err := a.openForRelease(ctx, dirs)
	if n == nil {
		return err
	}
	defer n.close()
	if a.Record == nil {
		return a.releaseWithoutRecord(n)
	}
	// An address that cannot be released does not keep the others.
	for _, address := range a.Record.Addresses {
		err = errors.Join(err, give(n, address.Address.Addr(), a.Key))
	}
	if a.Broken != nil { // a newer version may have recorded addresses in fields that are not known here
		err = errors.Join(err, n.releaseAll(a.Key))
	}
	return err
}

// dataPlaces returns the data directories of the attachment: that of the record,
// none for a record without addresses, and without a record all of the network.
func (a *Attachment) dataPlaces() []Dirs {
	switch {
	case a.Record == nil, a.Broken != nil && a.Record.DataDir == "":
		return a.dirs.places(a.Key.Network)
	case a.Record.DataDir == "":
		return nil
	}
	return []Dirs{{State: a.dirs.State, Data: a.Record.DataDir}}
}

// releaseWithoutRecord releases every address that names the attachment. If no
// lock could be taken an ADD may have started since. It would have saved its
// record before its first address file, so a record that exists now is an ErrBusy.
func (a *Attachment) releaseWithoutRecord(n *network) error {
	if _, err := os.Lstat(a.path()); a.unlocked() && err == nil {
		return fmt.Errorf("%w: %s", ErrBusy, a.Key)
	}
	return n.releaseAll(a.Key)
}
