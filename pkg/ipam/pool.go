package ipam

import (
	"errors"
	"fmt"
	"iter"
	"net/netip"
	"strings"
)

// Pool is the addresses of a network. An attachment gets one address of each set.
type Pool struct {
	Sets []Set
	// Exclude are prefixes whose addresses are never allocated; a single address is a /32
	// or /128. Complete sorts them and removes nested ones.
	Exclude []netip.Prefix

	// Refuse returns why an address cannot be allocated, for reasons other than the
	// ranges, as a clause that begins with a verb ("is an address of bridge br0"); nil if
	// it can. Refuse may be nil.
	Refuse func(addr netip.Addr) error
}

// Complete completes every set, and checks that the sets do not overlap and that the
// exclusions leave addresses in each. Errors wrap ErrInvalid.
func (p *Pool) Complete() error {
	if len(p.Sets) == 0 {
		return fmt.Errorf("%w: no ranges", ErrInvalid)
	}
	p.Exclude = apart(p.Exclude)
	for i, set := range p.Sets {
		if err := set.Complete(); err != nil {
			return err
		}
		for _, other := range p.Sets[:i] {
			if set.Overlaps(other) {
				return fmt.Errorf("%w: sets %s and %s overlap", ErrInvalid, other, set)
			}
		}
		if !p.gives(i) {
			return fmt.Errorf("%w: nothing is left of %s without its gateway and exclude", ErrInvalid, set)
		}
	}
	return nil
}

// LeaveOut excludes one more address of a complete pool.
func (p *Pool) LeaveOut(addr netip.Addr) {
	p.Exclude = apart(append(p.Exclude, netip.PrefixFrom(addr, addr.BitLen())))
}

// Excluded returns the exclusion that contains addr; the zero Prefix if there is none.
// The pool must be complete.
func (p *Pool) Excluded(addr netip.Addr) netip.Prefix {
	return covering(p.Exclude, addr)
}

// Candidates returns the addresses of set n that can be allocated, in the order of
// Set.After; last is the cursor.
func (p *Pool) Candidates(n int, last netip.Addr) iter.Seq[netip.Addr] {
	return func(yield func(netip.Addr) bool) {
		for addr := range p.Sets[n].After(last, p.Exclude) {
			if p.refusal(n, addr) == nil && !yield(addr) {
				return
			}
		}
	}
}

// Refusal returns why an address of a set cannot be allocated, as a clause that begins
// with a verb; nil if it can, and for an address of no set.
func (p *Pool) Refusal(addr netip.Addr) error {
	n := p.SetOf(addr)
	if n < 0 {
		return nil
	}
	if hole := p.Excluded(addr); hole.IsValid() && !p.IsGateway(addr) {
		return fmt.Errorf("is excluded by %s", hole)
	}
	return p.refusal(n, addr)
}

// Outside returns why an address of no set cannot be allocated, as a clause that begins
// with a verb: it is the network or broadcast address of a subnet, a gateway, or outside
// of the ranges, which are named. It returns nil for an address of a set.
func (p *Pool) Outside(addr netip.Addr) error {
	if p.SetOf(addr) >= 0 {
		return nil
	}
	if p.IsGateway(addr) {
		return errGateway
	}
	names := make([]string, len(p.Sets))
	for i, set := range p.Sets {
		for j := range set {
			if !set[j].Subnet.Contains(addr) {
				continue
			}
			if err := Edge(netip.PrefixFrom(addr, set[j].Subnet.Bits())); err != nil {
				return err
			}
		}
		names[i] = set.String()
	}
	return fmt.Errorf("is outside of the network's ranges: %s", strings.Join(names, ","))
}

// refusal is Refusal for an address of set n that is not excluded.
func (p *Pool) refusal(n int, addr netip.Addr) error {
	if p.IsGateway(addr) {
		return errGateway
	}
	if r := p.Sets[n].RangeOf(addr); r != nil {
		if err := Edge(netip.PrefixFrom(addr, r.Subnet.Bits())); err != nil {
			return err
		}
	}
	if p.Refuse == nil {
		return nil
	}
	return p.Refuse(addr)
}

// Refused counts the addresses of set n that are refused, without gateways, and returns
// the first reasons, at most wanted. It looks at every address of the set.
func (p *Pool) Refused(n, wanted int) (count int, first []error) {
	for addr := range p.Sets[n].After(netip.Addr{}, p.Exclude) {
		why := p.refusal(n, addr)
		if why == nil || errors.Is(why, errGateway) {
			continue
		}
		if count++; len(first) < wanted {
			first = append(first, fmt.Errorf("%s %w", addr, why))
		}
	}
	return count, first
}

// IsGateway reports whether addr is the gateway of a range of any set. A gateway may be
// in another range than its own.
func (p *Pool) IsGateway(addr netip.Addr) bool {
	for _, set := range p.Sets {
		for i := range set {
			if set[i].Gateway == addr {
				return true
			}
		}
	}
	return false
}

// SetOf returns the index of the set that holds addr, or -1.
func (p *Pool) SetOf(addr netip.Addr) int {
	for n, set := range p.Sets {
		if set.RangeOf(addr) != nil {
			return n
		}
	}
	return -1
}

// gives reports whether an address of set n can be allocated.
func (p *Pool) gives(n int) bool {
	for range p.Candidates(n, netip.Addr{}) {
		return true
	}
	return false
}
