package doctor

import (
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/link"
)

// TestCrowded: from seven eighths of its limit on a neighbour table is a finding, and from gc_thresh2 on a note; in another namespace than the initial one, which has no such settings, a full one is a note.
//
// Claim: `patchbay doctor` reports a neighbour table that is seven eighths full, with the sysctls that enlarge it
func TestCrowded(t *testing.T) {
	for _, tc := range []struct {
		entries        int
		isInitial      bool
		fix, seen      string
		isNote, isNone bool
	}{
		{entries: 512, isInitial: true, isNone: true},
		{entries: 513, isInitial: true, isNote: true},
		{entries: 895, isInitial: true, isNote: true},
		{entries: 896, isInitial: true, fix: "sysctl -w net.ipv4.neigh.default.gc_thresh3=4096 net.ipv4.neigh.default.gc_thresh2=2048 net.ipv4.neigh.default.gc_thresh1=1024", seen: "896 of 1024 entries of arp_cache (gc_thresh3)"},
		{entries: 1100, isInitial: true, seen: `the kernel logs "neighbour: arp_cache: neighbor table overflow!" when it is full`},
		{entries: 895, isNone: true},
		{entries: 1100, isNote: true},
	} {
		f, note := crowded(link.NeighbourTable{Entries: tc.entries, Soft: 512, Limit: 1024}, tc.isInitial)
		switch {
		case tc.isNone != (f == nil && note == "") || tc.isNote != (note != ""):
			t.Errorf("%d entries: %+v, note %q", tc.entries, f, note)
		case f != nil && (!strings.HasPrefix(f.Fix[0], tc.fix) || !strings.Contains(f.Seen, tc.seen)):
			t.Errorf("%d entries: %+v", tc.entries, f)
		}
	}
	f, _ := crowded(link.NeighbourTable{IPv6: true, Entries: 1024, Soft: 512, Limit: 1024}, true)
	if f == nil || !strings.HasPrefix(f.Says, "the IPv6 neighbour table is nearly full") || !strings.Contains(f.Fix[0], "net.ipv6.neigh.default.gc_thresh3=4096") {
		t.Errorf("IPv6: %+v", f)
	}
}
