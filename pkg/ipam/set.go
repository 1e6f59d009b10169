package ipam

import (
	"fmt"
	"iter"
	"net/netip"
	"strings"
)

// Set is a list of ranges of one family from which one address is taken. Ranges are used in
// order; an attachment gets one address from each set of its network.
type Set []Range

// Complete completes every range and checks that they are of one family and apart from each
// other. Errors wrap ErrInvalid.
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
				return fmt.Errorf("%w: %s and %s of one set are of two families", ErrInvalid, &s[j], &s[i])
			}
			if s[i].Overlaps(&s[j]) {
				return fmt.Errorf("%w: %s and %s overlap", ErrInvalid, &s[j], &s[i])
			}
		}
	}
	return nil
}

// Is4 reports whether the set gives IPv4 addresses. The set must be complete.
func (s Set) Is4() bool { return s[0].Subnet.Addr().Is4() }

// RangeOf returns the range that holds addr, or nil.
func (s Set) RangeOf(addr netip.Addr) *Range {
	for i := range s {
		if s[i].Contains(addr) {
			return &s[i]
		}
	}
	return nil
}

// Overlaps reports whether an address is in both sets.
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

// String is "10.1.2.1-10.1.2.254,10.1.3.1-10.1.3.9".
func (s Set) String() string {
	names := make([]string, len(s))
	for i := range s {
		names[i] = s[i].String()
	}
	return strings.Join(names, ",")
}

// After yields every address of the set once, in round robin order: first the one after last,
// in the end last itself, so that an address that was just given back rests as long as
// possible (stale neighbour caches, containernetworking/cni issue 194). A last outside the set
// (or the zero Addr) starts at the beginning. What exclude covers is left out; gateways are not.
func (s Set) After(last netip.Addr, exclude []netip.Prefix) iter.Seq[netip.Addr] {
	return func(yield func(netip.Addr) bool) {
		for _, p := range s.pieces(last) {
			if !p.walk(exclude, yield) {
				return
			}
		}
	}
}

// piece is a run of addresses of one range, both ends inclusive; to before from is nothing.
type piece struct {
	from, to netip.Addr
}

// pieces cuts the ring of ranges open behind last.
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

// whole is n ranges of the ring in full, from the one at start.
func (s Set) whole(start, n int) []piece {
	pieces := make([]piece, 0, n+2)
	for i := range n {
		r := &s[(start+i)%len(s)]
		pieces = append(pieces, piece{r.Start, r.End})
	}
	return pieces
}

func (s Set) index(addr netip.Addr) int {
	for i := range s {
		if addr.IsValid() && s[i].Contains(addr) {
			return i
		}
	}
	return -1
}

// walk yields a piece; false means that the consumer has had enough. An excluded prefix is
// jumped over in one step: half a /64 cannot be counted through.
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

func covering(prefixes []netip.Prefix, addr netip.Addr) netip.Prefix {
	for _, prefix := range prefixes {
		if prefix.Contains(addr) {
			return prefix
		}
	}
	return netip.Prefix{}
}
