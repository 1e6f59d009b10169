// Package load tests concurrent calls of the built binary and compares kernel and state files with the answers.
// It does not test what a single call does (test/verbs) or refuses (test/verbs/badinput), and it asserts no rates: it logs them.
//
// PATCHBAY_LOAD_ROUNDS is the number of rounds, and PATCHBAY_LOAD_SEED repeats the random choices of a run of TestChurn;
// `make soak` sets them.
package load
