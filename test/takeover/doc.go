// Package takeover owns the tests of a node that changes hands: the reference's bridge and host-local plugins and the built binary
// on one host, one network, one data directory, before and after a reboot. Whoever gave an address, it is neither given twice nor
// lost, and nobody's but the caller's own is freed.
// It never tests the form of a single file; test/verbs does.
package takeover
