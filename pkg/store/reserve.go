package store

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/patchbay-cni/patchbay/pkg/ipam"
)

// What Reserve can refuse.
var (
	ErrExhausted = errors.New("no IP addresses available") // try again later
	ErrRequested = errors.New("requested IP address")      // cannot be given; the text says why
	ErrTaken     = errors.New("is taken by")               // with ErrRequested: somebody has it
)

// Request is what a network can give and what is asked of it.
type Request struct {
	Pool      ipam.Pool    // complete
	Requested []netip.Addr // each must be given; at most one of each set
	Prefer    []netip.Addr // given if they are free: what this attachment had before
	Sticky    string       // owner whose addresses are remembered; "" for none

	Complete func() error // what else follows from the addresses, once the record has them and before it is saved; nil for nothing
}

// Reserve chooses an address of every set of the pool, saves the record with them, and then
// writes the address files: whatever dies in between, the record names what to free. On an
// error no address stays reserved; the record may, for Forget. Errors wrap ErrExhausted,
// ErrRequested, ErrTaken, ErrBusy, or the file system's.
func (a *Attachment) Reserve(ctx context.Context, r *Record, req Request) error {
	n, err := openNetwork(ctx, a.dirs, a.Key.Network)
	if err != nil {
		return err
	}
	defer n.close()
	if err := a.mark(n, r); err != nil {
		return err
	}
	c := &chooser{network: n, req: req, memory: openMemory(a.Key, req.Sticky)}
	chosen, err := c.all()
	if err != nil {
		return err
	}
	r.Addresses, r.DataDir = addressesOf(req.Pool, chosen), a.dirs.Data
	if req.Complete != nil {
		if err := req.Complete(); err != nil {
			return err
		}
	}
	if err := a.Save(r); err != nil {
		return err
	}
	return a.write(n, c.memory, chosen)
}

// mark lets a network outside the state directory mark what it takes for a record.
func (a *Attachment) mark(n *network, r *Record) error {
	if a.dirs.within() {
		return nil
	}
	life, err := lifeID(a.dirs.State)
	n.marks = &origin{boot: r.BootID, life: life, host: r.HostCookie}
	return err
}

// write makes the address files, all or none.
func (a *Attachment) write(n *network, memory *memory, chosen []netip.Addr) error {
	var taken []netip.Addr
	err := func() error {
		for set, addr := range chosen {
			if err := n.take(addr, a.Key); err != nil {
				return err
			}
			taken = append(taken, addr)
			if err := n.setCursor(set, addr); err != nil {
				return err
			}
		}
		return memory.remember(chosen)
	}()
	if err == nil {
		return nil
	}
	for _, addr := range taken {
		err = errors.Join(err, n.give(addr, a.Key))
	}
	return err
}

// Release frees the addresses of the record; without a record, or with one of a newer form, those
// whose files name this attachment. The files are looked for where the record says, else in the Dirs given to Open.
// What is not there is no error.
func (a *Attachment) Release(ctx context.Context) error {
	return a.release(ctx, (*network).give)
}

// Reclaim is Release for a dead attachment whose DEL nobody asks for. An address file that is
// not certain to be ours still stays: host-local may have given the address to the same
// container meanwhile.
func (a *Attachment) Reclaim(ctx context.Context) error {
	return a.release(ctx, (*network).giveMarked)
}

func (a *Attachment) release(ctx context.Context, give func(*network, netip.Addr, Key) error) error {
	dirs := a.dataDirs()
	if dirs.Data == "" {
		return nil
	}
	n, err := openExistingNetwork(ctx, dirs, a.Key.Network)
	if isAbsent(err) || errors.Is(err, ErrIrregular) {
		return nil
	}
	if err != nil {
		return err
	}
	defer n.close()
	if !dirs.within() {
		n.marks = &origin{}
	}
	if a.Record == nil {
		return a.releaseFound(n)
	}
	for _, address := range a.Record.Addresses {
		err = errors.Join(err, give(n, address.Address.Addr(), a.Key))
	}
	if a.Broken != nil { // a newer form may name some where this version does not look
		err = errors.Join(err, n.giveAll(a.Key))
	}
	return err
}

// dataDirs are the Dirs with the data directory that the record knows, "" without addresses.
func (a *Attachment) dataDirs() Dirs {
	if a.Record == nil || a.Broken != nil && a.Record.DataDir == "" {
		return a.dirs
	}
	return Dirs{State: a.dirs.State, Data: a.Record.DataDir}
}

// Held are the addresses whose files name this attachment, found by reading all of them: what
// is left to know them by without a record.
func (a *Attachment) Held() ([]netip.Addr, error) {
	dirs := a.dataDirs()
	n := &network{dir: filepath.Join(dirs.Data, a.Key.Network)}
	err := lookAtDirs(dirs.rootOfData(), n.dir)
	if isAbsent(err) || errors.Is(err, ErrIrregular) {
		return nil, nil
	}
	return n.ofOwner(a.Key)
}

// Owns reports whether an address of the record still is this attachment's. What is not there,
// or is no file, is nobody's.
func (a *Attachment) Owns(addr netip.Addr) (bool, error) {
	dirs := a.dataDirs()
	if dirs.Data == "" {
		return false, nil
	}
	n := &network{dir: filepath.Join(dirs.Data, a.Key.Network)}
	text, err := n.holder(addr)
	if isAbsent(err) || errors.Is(err, ErrIrregular) {
		return false, nil
	}
	return owned(text, a.Key), err
}

// Holds reports the first address of the record whose file does not name this attachment
// any more, in words; "" if all do.
func (a *Attachment) Holds() (string, error) {
	if a.Record == nil || a.Record.DataDir == "" {
		return "", nil
	}
	dirs := Dirs{State: a.dirs.State, Data: a.Record.DataDir}
	n := &network{dir: filepath.Join(dirs.Data, a.Key.Network)}
	if err := lookAtDirs(dirs.rootOfData(), n.dir); errors.Is(err, ErrIrregular) {
		return "", err
	}
	for _, address := range a.Record.Addresses {
		text, err := n.holder(address.Address.Addr())
		if err != nil {
			return "", err
		}
		if text == "" {
			return fmt.Sprintf("address %s is not reserved in %s any more", address.Address.Addr(), n.dir), nil
		}
		if !owned(text, a.Key) {
			return fmt.Sprintf("address %s is reserved for %s in %s", address.Address.Addr(), oneLine(text), n.dir), nil
		}
	}
	return "", nil
}

// releaseFound is Release without a record. Without a lock either, another verb may have begun
// since: under the network's lock its record would be there before its first address is.
func (a *Attachment) releaseFound(n *network) error {
	if _, err := os.Lstat(a.path()); a.unlocked() && err == nil {
		return fmt.Errorf("%w: %s", ErrBusy, a.Key)
	}
	return n.giveAll(a.Key)
}

// addressesOf adds what belongs to an address in its range: prefix length and gateway.
func addressesOf(pool ipam.Pool, chosen []netip.Addr) []Address {
	addresses := make([]Address, len(chosen))
	for set, addr := range chosen {
		r := pool.Sets[set].RangeOf(addr)
		addresses[set] = Address{Address: netip.PrefixFrom(addr, r.Subnet.Bits()), Gateway: r.Gateway}
	}
	return addresses
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), "/") }

// probes is how many taken addresses are met one by one before the directory is read.
const probes = 16

// chooser picks an address of every set.
type chooser struct {
	network *network
	req     Request
	memory  *memory
	met     int
	taken   map[netip.Addr]bool // every address that has a file; nil until it was worth reading
	unread  error               // of the last address that could not be looked up
}

func (c *chooser) all() ([]netip.Addr, error) {
	left := slices.Clone(c.req.Requested)
	chosen := make([]netip.Addr, len(c.req.Pool.Sets))
	for set := range c.req.Pool.Sets {
		addr, err := c.one(set, &left)
		if err != nil {
			return nil, err
		}
		chosen[set] = addr
	}
	if len(left) > 0 {
		return nil, fmt.Errorf("%w %s is in none of the network's ranges, or is the second one of a range", ErrRequested, left[0])
	}
	return chosen, nil
}

func (c *chooser) one(set int, left *[]netip.Addr) (netip.Addr, error) {
	for i, addr := range *left {
		if c.req.Pool.SetOf(addr) == set {
			*left = slices.Delete(*left, i, i+1)
			return addr, c.requested(set, addr)
		}
	}
	for _, addr := range append(slices.Clone(c.req.Prefer), c.memory.addresses()...) {
		if c.req.Pool.SetOf(addr) == set && c.refusal(addr) == nil {
			return addr, nil
		}
	}
	return c.next(set)
}

func (c *chooser) requested(set int, addr netip.Addr) error {
	if why := c.refusal(addr); why != nil {
		return fmt.Errorf("%w %s %w", ErrRequested, addr, why)
	}
	return nil
}

// refusal says why an address of a set cannot be given; nil if it can.
func (c *chooser) refusal(addr netip.Addr) error {
	if c.req.Pool.IsGateway(addr) {
		return errors.New("is subnet's gateway")
	}
	if hole := c.req.Pool.Excluded(addr); hole.IsValid() {
		return fmt.Errorf("is excluded by %s", hole)
	}
	text, err := c.network.holder(addr)
	if err != nil {
		return fmt.Errorf("cannot be looked up: %w", err)
	}
	if text != "" {
		return fmt.Errorf("%w %s", ErrTaken, oneLine(text))
	}
	return nil
}

// next is the next free address in round robin order. Those remembered for somebody else come
// last: an owner who returns finds its address as long as there is another one.
func (c *chooser) next(set int) (netip.Addr, error) {
	last, reserve := c.network.cursor(set), netip.Addr{}
	for addr := range c.req.Pool.Candidates(set, last) {
		free, err := c.free(addr)
		if err != nil {
			return netip.Addr{}, err
		}
		if !free {
			continue
		}
		if !c.memory.ofAnother(addr) {
			return addr, nil
		}
		if !reserve.IsValid() {
			reserve = addr
		}
	}
	if !reserve.IsValid() {
		return reserve, c.exhausted(set)
	}
	return reserve, nil
}

func (c *chooser) exhausted(set int) error {
	err := fmt.Errorf("%w in range set: %s", ErrExhausted, c.req.Pool.Sets[set])
	if c.unread != nil {
		err = fmt.Errorf("%w; %w", err, c.unread)
	}
	return err
}

// free counts an address that cannot be looked up as taken: one of them must not stand in the
// way of all the others.
func (c *chooser) free(addr netip.Addr) (bool, error) {
	if c.met == probes {
		taken, err := c.network.all()
		if err != nil {
			return false, err
		}
		c.taken = taken
	}
	c.met++
	if c.taken != nil && !c.taken[addr] {
		return true, nil
	}
	text, err := c.network.holder(addr)
	if err != nil {
		c.unread = err
		return false, nil // whoever put it there may have the address
	}
	return text == "", nil
}
