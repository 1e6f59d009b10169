package ipam

import (
	"fmt"
	"iter"
	"net/netip"
	"strings"
)

// Set is a list of ranges of one family. An attachment gets one address of each set of
// its network; the ranges of a set are used in order.
type Set []Range

// Complete completes every range, and checks that the ranges have one family and do not
// overlap. Errors wrap ErrInvalid.
func (s Set) Complete() error {
	if len(s) == 0 {
		return fmt.Errorf("%w: a set of ranges is empty", ErrInvalid)
	}
	for i := range s {
		if err := s[i].Complete(); err != nil {
			return err
		}
		for j := range i {
			if s[i].Subnet.Addr().Is4() != s[j].Subnet.Addr().Is4() {
				return fmt.Errorf("%w: %s and %s in one range set have different address families", ErrInvalid, &s[j], &s[i])
			}
			if s[i].Overlaps(&s[j]) {
				return fmt.Errorf("%w: %s and %s overlap", ErrInvalid, &s[j], &s[i])
			}
		}
	}
	return nil
}

// Is4 reports whether the set has IPv4 addresses. The set must be complete.
func (s Set) Is4() bool { return s[0].Subnet.Addr().Is4() }

// RangeOf returns the range that contains addr; nil if there is none.
func (s Set) RangeOf(addr netip.Addr) *Range {
	for i := range s {
		if s[i].Contains(addr) {
			return &s[i]
		}
	}
	return nil
}

// Overlaps reports whether both sets have an address in common.
func (s Set) Overlaps(other Set) bool {
	for i := range s {
		for j := range other {
			if s[i].Overlaps(&other[j]) {
				return true
			}
		}
	}
	return false
}

// String returns a text such as "10.1.2.1-10.1.2.254,10.1.3.1-10.1.3.9".
func (s Set) String() string {
	names := make([]string, len(s))
	for i := range s {
		names[i] = s[i].String()
	}
	return strings.Join(names, ",")
}

// After returns every address of the set once, in round robin order. It starts after
// last and ends with last, so that a released address is not used again for as long as
// possible: neighbours may still have its old MAC (containernetworking/cni issue 194).
// If last is not in the set, or is the zero Addr, it starts at the beginning. It omits
// the addresses in exclude, which must be a result of apart, but not gateways.
func (s Set) After(last netip.Addr, exclude []netip.Prefix) iter.Seq[netip.Addr] {
	return func(yield func(netip.Addr) bool) {
		for _, p := range s.pieces(last) {
			if !p.walk(exclude, yield) {
				return
			}
		}
	}
}

// piece is a part of a range, both ends inclusive; it is empty if to is before from.
type piece struct {
	from, to netip.Addr
}

// pieces returns the ranges as a ring, cut open after last.
func (s Set) pieces(last netip.Addr) []piece {
	at := s.index(last)
	if at < 0 {
		return s.whole(0, len(s))
	}
	r := &s[at]
	ring := []piece{{last.Next(), r.End}}
	ring = append(ring, s.whole(at+1, len(s)-1)...)
	return append(ring, piece{r.Start, last})
}

// whole returns n complete ranges of the ring, from the one with index start.
func (s Set) whole(start, n int) []piece {
	pieces := make([]piece, 0, n+2)
	for i := range n {
		r := &s[(start+i)%len(s)]
		pieces = append(pieces, piece{r.Start, r.End})
	}
	return pieces
}

// index returns the index of the range that contains addr, or -1.
func (s Set) index(addr netip.Addr) int {
	for i := range s {
		if addr.IsValid() && s[i].Contains(addr) {
			return i
		}
	}
	return -1
}

// walk yields the addresses of a piece; false means that the consumer has stopped. It
// skips an excluded prefix in one step: half a /64 has too many addresses to count.
func (p piece) walk(exclude []netip.Prefix, yield func(netip.Addr) bool) bool {
	for addr := p.from; addr.IsValid() && !p.to.Less(addr); addr = addr.Next() {
		if hole := covering(exclude, addr); hole.IsValid() {
			addr = lastAddr(hole.Masked())
			continue
		}
		if !yield(addr) {
			return false
		}
	}
	return true
}
