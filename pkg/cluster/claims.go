package cluster

import (
	"iter"
	"net/netip"
	"slices"
)

// claims is the set of prefixes that have an owner. No two of them overlap.
//
// Prefixes overlap only if one contains the other. So with the lengths that occur, which are one or two of each family in a cluster, an
// overlap is found by a few look-ups, whatever the number of nodes.
type claims struct {
	lengths [2][]int                // of IPv6 and IPv4, ascending
	owners  map[netip.Prefix]string // claimed prefix to owner
	around  map[netip.Prefix]string // each shorter prefix, of a length that occurs, of a claimed one, to its owner
}

// newClaims returns an empty set for prefixes of these nodes, and besides.
func newClaims(nodes []*Node, besides []netip.Prefix) *claims {
	c := &claims{owners: make(map[netip.Prefix]string, 2*len(nodes)), around: map[netip.Prefix]string{}}
	seen := map[[2]int]bool{}
	note := func(p netip.Prefix) {
		at := [2]int{family(p.Addr()), p.Bits()}
		if !seen[at] {
			seen[at] = true
			c.lengths[at[0]] = append(c.lengths[at[0]], at[1])
		}
	}
	for _, p := range besides {
		note(p)
	}
	for _, n := range nodes {
		for _, p := range n.PodCIDRs {
			note(p)
		}
	}
	slices.Sort(c.lengths[0])
	slices.Sort(c.lengths[1])
	return c
}

func family(addr netip.Addr) int { return familyOf(addr.Is4()) }

// familyOf returns the index of a family in an array of both.
func familyOf(is4 bool) int {
	if is4 {
		return 1
	}
	return 0
}

// claim gives a prefix to an owner, unless it overlaps one that has another owner, which is returned.
func (c *claims) claim(p netip.Prefix, owner string) (other string, ok bool) {
	if other, taken := c.around[p]; taken {
		return other, false
	}
	for wider := range c.wider(p) {
		if other, taken := c.owners[wider]; taken {
			return other, false
		}
	}
	c.owners[p] = owner
	for wider := range c.wider(p) {
		if wider != p {
			c.around[wider] = owner
		}
	}
	return "", true
}

// wider returns the prefixes that contain p, of all lengths that occur, p included.
func (c *claims) wider(p netip.Prefix) iter.Seq[netip.Prefix] {
	return func(yield func(netip.Prefix) bool) {
		for _, bits := range c.lengths[family(p.Addr())] {
			if bits <= p.Bits() && !yield(netip.PrefixFrom(p.Addr(), bits).Masked()) {
				return
			}
		}
	}
}

// holding returns the claimed prefix that contains an address.
func (c *claims) holding(addr netip.Addr) (netip.Prefix, bool) {
	for p := range c.wider(netip.PrefixFrom(addr, addr.BitLen())) {
		if _, taken := c.owners[p]; taken {
			return p, true
		}
	}
	return netip.Prefix{}, false
}
