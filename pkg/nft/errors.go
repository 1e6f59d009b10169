package nft

import (
	"errors"
	"fmt"
	"net/netip"
)

// What callers tell apart. Each is wrapped in a sentence that names the thing.
var (
	ErrUnsupported = errors.New("this kernel has no nf_tables")
	ErrNotBuilt    = errors.New("is not built")                  // Build is what helps
	ErrNewer       = errors.New("was built by a newer patchbay") // ADD must not touch it
	ErrForeign     = errors.New("is not one that patchbay made") // a table of our name, without our mark
	ErrTaken       = errors.New("belongs to another attachment") // see TakenError
)

// TakenError says whose an address is on a bridge. It wraps ErrTaken.
type TakenError struct {
	Bridge  string
	Address netip.Addr
	Owner   string // the comment of the element that is there: mark and key
}

// Error names address, bridge and owner.
func (e *TakenError) Error() string {
	return fmt.Sprintf("address %s on bridge %s %v: %q", e.Address, e.Bridge, ErrTaken, e.Owner)
}

// Unwrap is ErrTaken.
func (e *TakenError) Unwrap() error { return ErrTaken }
