package nft

import "testing"

// MakeNewer makes this the next version of patchbay until the test ends.
func MakeNewer(t testing.TB) {
	newer = "x"
	t.Cleanup(func() { newer = "" })
}
