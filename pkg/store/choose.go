package store

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// maxProbes is the number of taken addresses that are read one by one before the
// whole directory is read: with few attachments, opening 16 files is faster than
// listing a directory, with a thousand it is much slower.
const maxProbes = 16

// chooser selects one address of every range set for an attachment.
type chooser struct {
	network *network
	req     Request
	memory  *memory
	only    bool // only looks: the directory of the addresses may not exist
	probed  int
	// addresses that have a file; nil until the directory was read
	taken map[netip.Addr]bool
	// error of the last address file that could not be read
	lookupErr error
}

// choose returns one address of each set. A requested address comes first, then a
// preferred one, then one of the sticky memory, then the next in round robin order.
func (c *chooser) choose() ([]netip.Addr, error) {
	left := slices.Clone(c.req.Requested)
	chosen := make([]netip.Addr, len(c.req.Pool.Sets))
	for set := range c.req.Pool.Sets {
		addr, err := c.chooseFrom(set, &left)
		if err != nil {
			return nil, err
		}
		chosen[set] = addr
	}
	if len(left) > 0 {
		return nil, c.unusedRequest(left[0])
	}
	return chosen, nil
}

// unusedRequest returns the error of a requested address that no set can provide:
// it is in none of them, or the same set has provided another one.
func (c *chooser) unusedRequest(addr netip.Addr) error {
	if why := c.req.Pool.Outside(addr); why != nil {
		return &RequestError{addr, why}
	}
	second := fmt.Sprintf("is the second address of one range set: %s", c.req.Pool.Sets[c.req.Pool.SetOf(addr)])
	return &RequestError{addr, &clause{second, ErrSecond}}
}

// chooseFrom selects an address of one set, and removes it from the requested ones.
func (c *chooser) chooseFrom(set int, left *[]netip.Addr) (netip.Addr, error) {
	for i, addr := range *left {
		if c.req.Pool.SetOf(addr) == set {
			*left = slices.Delete(*left, i, i+1)
			return addr, c.checkRequested(set, addr)
		}
	}
	// The previous address of this attachment comes before that of its owner: a retry
	// of a failed ADD should have the same result.
	for _, addr := range append(slices.Clone(c.req.Prefer), c.memory.addresses()...) {
		if c.req.Pool.SetOf(addr) == set && c.refusal(addr) == nil {
			return addr, nil
		}
	}
	return c.nextFree(set)
}

// checkRequested returns ErrRequested with the reason if an address cannot be reserved.
func (c *chooser) checkRequested(set int, addr netip.Addr) error {
	if why := c.refusal(addr); why != nil {
		return &RequestError{addr, why}
	}
	return nil
}

// refusal returns the reason why an address of a set cannot be reserved; nil if it can.
func (c *chooser) refusal(addr netip.Addr) error {
	if err := c.req.Pool.Refusal(addr); err != nil {
		return err
	}
	text, err := c.network.holder(addr)
	if err != nil {
		return fmt.Errorf("cannot be looked up: %w", err)
	}
	if text != "" {
		return &clause{"is taken by " + oneLine(text), ErrTaken}
	}
	return nil
}

// nextFree returns the next free address in round robin order. An address that is
// remembered for another owner is used only if there is no other one left, so
// that the owner finds it again for as long as possible.
func (c *chooser) nextFree(set int) (netip.Addr, error) {
	last, reserve := c.network.cursor(set), netip.Addr{}
	for addr := range c.req.Pool.Candidates(set, last) {
		free, err := c.isFree(addr)
		if err != nil {
			return netip.Addr{}, err
		}
		if !free {
			continue
		}
		if !c.memory.heldForOther(addr) {
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

// exhausted returns ErrExhausted for a set. It lists the addresses that have no
// file and still cannot be used, because an administrator who counts the files
// would take them for free ones.
func (c *chooser) exhausted(set int) error {
	const named = 3
	err := fmt.Errorf("%w in range set: %s", ErrExhausted, c.req.Pool.Sets[set])
	if count, first := c.req.Pool.Refused(set, named); count > 0 {
		reasons := make([]string, len(first))
		for i, why := range first {
			reasons[i] = why.Error()
		}
		if count > named {
			reasons = append(reasons, fmt.Sprintf("and %d more", count-named))
		}
		err = fmt.Errorf("%w; not assignable: %s", err, strings.Join(reasons, ", "))
	}
	if c.lookupErr != nil {
		err = fmt.Errorf("%w; %w", err, c.lookupErr)
	}
	return err
}

// isFree reports whether an address has no holder. An address whose file cannot be
// read counts as taken: a single damaged file must not make every ADD fail.
func (c *chooser) isFree(addr netip.Addr) (bool, error) {
	// Round robin usually finds a free address at the first try; a long run of taken
	// ones means a full pool, for which one listing is cheaper than opening each file.
	if c.probed == maxProbes {
		taken, err := c.network.reserved()
		if err != nil && !(c.only && isAbsent(err)) {
			return false, err
		}
		c.taken = taken
	}
	c.probed++
	if c.taken != nil && !c.taken[addr] {
		return true, nil
	}
	text, err := c.network.holder(addr)
	if err != nil {
		c.lookupErr = err
		return false, nil
	}
	return text == "", nil
}

// oneLine returns the content of an address file as "containerID/ifname".
func oneLine(text string) string { return strings.Join(strings.Fields(text), "/") }
