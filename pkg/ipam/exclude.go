package ipam

import (
	"net/netip"
	"slices"
)

// apart returns prefixes sorted by address, without those that another one contains. Two
// prefixes are nested or disjoint, so at most one of the result contains an address.
func apart(prefixes []netip.Prefix) []netip.Prefix {
	sorted := slices.Clone(prefixes)
	for i := range sorted {
		sorted[i] = sorted[i].Masked()
	}
	slices.SortFunc(sorted, func(a, b netip.Prefix) int {
		if order := a.Addr().Compare(b.Addr()); order != 0 {
			return order
		}
		return a.Bits() - b.Bits() // the larger one first
	})
	kept := sorted[:0]
	for _, p := range sorted {
		if len(kept) == 0 || !kept[len(kept)-1].Contains(p.Addr()) {
			kept = append(kept, p)
		}
	}
	return kept
}

// covering returns the prefix that contains an address; the zero Prefix if there is
// none. The prefixes are those that apart returned, so a binary search is sufficient.
func covering(prefixes []netip.Prefix, addr netip.Addr) netip.Prefix {
	behind, _ := slices.BinarySearchFunc(prefixes, addr, func(p netip.Prefix, addr netip.Addr) int {
		if p.Addr().Compare(addr) <= 0 {
			return -1
		}
		return 1
	})
	if behind > 0 && prefixes[behind-1].Contains(addr) {
		return prefixes[behind-1]
	}
	return netip.Prefix{}
}
