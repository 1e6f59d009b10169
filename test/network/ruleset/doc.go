// Package ruleset compares the nft listing of table "inet patchbay" for each kind of network with testdata, and generates docs/ruleset.md.
// The effect of the rules on packets is tested in test/network/nat.
//
// The host's machine-id, the networks and the containers have fixed names, so that comments and hashes are the same in every run.
// PATCHBAY_UPDATE=1 rewrites testdata and the page.
package ruleset
