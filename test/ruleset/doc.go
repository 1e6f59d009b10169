// Package ruleset holds what an operator sees in nftables: the listing of the table "inet patchbay" for each kind of network, and
// the page conf/ruleset.md, which it writes.
// It never judges what the rules do to a packet: that is test/nat's.
//
// The host's machine-id, the networks and the containers have fixed names here, and so marks and hashes are the same in every run.
// PATCHBAY_UPDATE=1 writes testdata and the page anew.
package ruleset
