// Package ipam owns the question which address comes next: ranges, sets of ranges,
// exclusions, gateways and the round robin order.
// It never reads a file, takes a lock, looks at a clock or asks the kernel; package store
// does the reading and reserving, with the order that this package gives.
//
//	pool := ipam.Pool{Sets: []ipam.Set{{{Subnet: netip.MustParsePrefix("10.1.2.0/24")}}}}
//	err := pool.Complete()                              // fills start, end and gateway
//	for addr := range pool.Candidates(n, last) { ... }  // every candidate of set n once, round robin
//
// Meanings and defaults are those of the reference plugin host-local, whose keys and files
// Patchbay shares; what goes beyond it (exclude, /31, /32, /127, /128) says so.
package ipam
