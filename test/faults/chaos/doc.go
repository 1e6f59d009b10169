// Package chaos calls Patchbay as eight runtimes do at the same time, kills calls, replaces the program by another version of it and lets
// another program delete rules and bridges, and then compares the host with what the answers say.
//
// A round is a host without attachments, some phases of calls, and the removal of everything. The calls of a round follow from the seed and its
// number alone; their order in time does not, nor does the moment at which a kill takes effect. After each phase the host must have the links,
// addresses, records, rules and devices of the attachments that exist, and no others.
//
//	h := chaos.New(t, nettest.Host(t), seed)
//	for round := range rounds {
//		h.Round(t, round)
//	}
//	h.End(t)
//
// The versions are the program under test and patchbay-next, whose nftables schema and record version are one higher (build_next in
// scripts/lib.sh): the same two as in test/faults/versions. It asserts no times.
package chaos
