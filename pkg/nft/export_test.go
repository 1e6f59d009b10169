package nft

import "testing"

// MakeNewer raises the version of the skeleton by one until the test ends.
func MakeNewer(t testing.TB) {
	newer = "x"
	t.Cleanup(func() { newer = "" })
}
