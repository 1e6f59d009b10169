// Package ipam computes which address comes next: ranges, sets of ranges, exclusions,
// gateways and the round robin order.
//
// It does not read files, take locks, use a clock or ask the kernel; package store
// reserves addresses in the order of this package.
//
//	pool := ipam.Pool{Sets: []ipam.Set{{{Subnet: netip.MustParsePrefix("10.1.2.0/24")}}}}
//	err := pool.Complete()                             // fills start, end and gateway
//	for addr := range pool.Candidates(n, last) { ... } // each candidate of set n once, round robin
//
// Meanings and defaults are those of the reference plugin host-local, whose keys and
// files Patchbay shares. exclude, /31, /32, /127 and /128 are additions.
package ipam
