package ipam

import (
	"fmt"
	"iter"
	"net/netip"
)

// Pool is all that a network can give: one address from each set, none that is excluded.
type Pool struct {
	Sets    []Set
	Exclude []netip.Prefix // a single address is a /32 or /128
}

// Complete completes every set and checks that they are apart from each other and that the
// exclusions leave something of each. Errors wrap ErrInvalid.
func (p *Pool) Complete() error {
	if len(p.Sets) == 0 {
		return fmt.Errorf("%w: no ranges", ErrInvalid)
	}
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

// Excluded returns the exclusion that covers addr; the zero Prefix if there is none.
func (p *Pool) Excluded(addr netip.Addr) netip.Prefix {
	return covering(p.Exclude, addr)
}

// Candidates yields what set n may give, in the order of Set.After; no gateway of any set is.
func (p *Pool) Candidates(n int, last netip.Addr) iter.Seq[netip.Addr] {
	return func(yield func(netip.Addr) bool) {
		for addr := range p.Sets[n].After(last, p.Exclude) {
			if !p.IsGateway(addr) && !yield(addr) {
				return
			}
		}
	}
}

// IsGateway reports whether addr is the gateway of a range of any set. It may lie in another range
// than its own.
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

// gives reports whether set n has at least one address to give.
func (p *Pool) gives(n int) bool {
	for range p.Candidates(n, netip.Addr{}) {
		return true
	}
	return false
}
