package nft_test

import (
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nft"
)

// SweepBridges removes the elements of a bridge if no live entry needs them. Rules and elements of attachments
// stay.
func TestSweepBridges(t *testing.T) {
	isolated := entry("net", "cni0", "a", "10.1.2.3/24")
	isolated.Isolation, isolated.HostInterface = nft.Isolated, "veth0"
	ported := entry("other", "cni1", "b", "10.2.2.3/24")
	ported.MarkBit, ported.Localhost = nft.UsualMarkBit, true
	ported.Ports = []nft.Port{port("tcp", "", 8080, "10.2.2.3:80")}
	h, r := built(t, isolated, ported)
	before := list(t, h)
	if err := r.SweepBridges([]nft.Entry{isolated, ported}); err != nil {
		t.Fatal(err)
	}
	same(t, h, before, "all elements are needed")
	open := isolated
	open.Isolation = nft.NotIsolated
	if err := r.SweepBridges([]nft.Entry{open, ported}); err != nil {
		t.Fatal(err)
	}
	after := list(t, h)
	for _, gone := range []string{`elements = { "cni0" . "cni0" }`, `elements = { "cni0" }`} {
		if !strings.Contains(before, gone) || strings.Contains(after, gone) {
			t.Errorf("%q: want it before, and not after:\n%s", gone, after)
		}
	}
	for _, stays := range []string{`elements = { "cni1" . "cni1" }`, `elements = { "cni1" }`, isolated.Owner, ported.Owner} {
		if !strings.Contains(after, stays) {
			t.Errorf("%q is missing:\n%s", stays, after)
		}
	}
}
