// Package load owns the tests of many calls at once: the built binary, called by crowds and by workers that know nothing of each
// other, and then kernel and state files compared with what the answers said.
// It never tests what one call does (test/verbs) or refuses (test/badinput), and it asserts no figure: rates are printed.
//
// PATCHBAY_LOAD_ROUNDS is how long the tests that go in rounds go on, and PATCHBAY_LOAD_SEED makes the random one choose the same
// calls again; `make soak` sets them.
package load
