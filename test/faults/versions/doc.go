// Package versions tests two versions of Patchbay on one host: the one under test ("old"), and one whose nftables schema and record version
// are one higher ("next", build_next in scripts/lib.sh). Nothing may leak and no rule may be lost, whichever version runs ADD, DEL, GC
// and reload, in turns or concurrently.
// It does not test a single version: that is test/verbs and test/network/nat.
package versions
