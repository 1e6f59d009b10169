package store

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"github.com/patchbay-cni/patchbay/pkg/ipam"
)

// Errors of Reserve. ErrTaken and ErrSecond are reasons of a RequestError.
var (
	ErrExhausted = errors.New("no IP addresses available")
	ErrRequested = errors.New("requested IP address not available")
	ErrTaken     = errors.New("address in use")
	ErrSecond    = errors.New("second address of one range set")
)

// RequestError says why a requested address cannot be reserved. It wraps
// ErrRequested and the reason.
type RequestError struct {
	Addr   netip.Addr
	Reason error // a clause that begins with a verb, as ipam.Pool.Refusal returns it
}

// Error returns a text such as "requested IP address 10.1.2.3 is taken by web/eth0".
func (e *RequestError) Error() string {
	return fmt.Sprintf("requested IP address %s %v", e.Addr, e.Reason)
}

// Unwrap returns ErrRequested and the reason.
func (e *RequestError) Unwrap() []error { return []error{ErrRequested, e.Reason} }

// clause is a reason whose text continues a sentence about an address.
type clause struct {
	text string
	kind error
}

// Error returns the clause.
func (c *clause) Error() string { return c.text }

// Unwrap returns the sentinel error.
func (c *clause) Unwrap() error { return c.kind }

// Request says which addresses an attachment can get and which it asks for.
type Request struct {
	// Pool is the ranges of the network; Pool.Complete has been called
	Pool ipam.Pool
	// Requested are addresses that must be reserved, at most one of each set
	Requested []netip.Addr
	// Prefer are addresses that are reserved if they are free: those that this
	// attachment had before.
	Prefer []netip.Addr
	// Sticky is the owner whose addresses are remembered; "" for none
	Sticky string

	// Complete fills the fields of the record that depend on its addresses. It is
	// called after these are chosen and before the record is saved; nil for none.
	Complete func() error
}

// Reserve chooses an address of every set of the pool, saves the record with
// them, and then writes the address files. In this order a process that is killed
// in between leaves a record that names every address that must be released.
// On an error no address stays reserved; the record may exist, for Remove.
// Errors wrap ErrExhausted, ErrRequested, ErrTaken or ErrBusy, or are the file system's.
func (a *Attachment) Reserve(ctx context.Context, r *Record, req Request) error {
	// The lock is held until the files are written: no other process may choose
	// an address in between.
	n, err := openNetwork(ctx, a.dirs, a.Key.Network)
	if err != nil {
		return err
	}
	defer n.close()
	if err := a.setMarks(n, r); err != nil {
		return err
	}
	c := &chooser{network: n, req: req, memory: openMemory(a.Key, req.Sticky)}
	// After a reboot the owner's addresses still have the files of the previous boot.
	if err := n.releaseStale(a.dirs.State, c.memory.addresses()); err != nil {
		return err
	}
	chosen, err := c.choose()
	if err != nil {
		return err
	}
	r.Addresses, r.DataDir = addressesOf(req.Pool, chosen), n.place.Data
	if req.Complete != nil {
		if err := req.Complete(); err != nil {
			return err
		}
	}
	if err := a.Save(r); err != nil {
		return err
	}
	return a.writeAddresses(n, c.memory, chosen)
}

// setMarks makes a network outside the state directory mark its new address files.
func (a *Attachment) setMarks(n *network, r *Record) error {
	if n.place.dataInState() {
		return nil
	}
	life, err := instanceID(a.dirs.State)
	n.marks = &origin{boot: r.BootID, instance: life, host: r.HostCookie}
	return err
}

// writeAddresses writes the address files, cursors and sticky memory, all or none.
func (a *Attachment) writeAddresses(n *network, memory *memory, chosen []netip.Addr) error {
	var taken []netip.Addr
	err := func() error {
		for set, addr := range chosen {
			if err := n.reserve(addr, a.Key); err != nil {
				return err
			}
			taken = append(taken, addr)
			if err := n.setCursor(set, addr); err != nil {
				return err
			}
		}
		return memory.save(chosen)
	}()
	if err == nil {
		return nil
	}
	// The cursor is not restored: it only decides where the next search starts.
	for _, addr := range taken {
		err = errors.Join(err, n.release(addr, a.Key))
	}
	return err
}

// addressesOf returns the addresses with prefix length and gateway of their ranges.
func addressesOf(pool ipam.Pool, chosen []netip.Addr) []Address {
	addresses := make([]Address, len(chosen))
	for set, addr := range chosen {
		r := pool.Sets[set].RangeOf(addr)
		addresses[set] = Address{Address: netip.PrefixFrom(addr, r.Subnet.Bits()), Gateway: r.Gateway}
	}
	return addresses
}
