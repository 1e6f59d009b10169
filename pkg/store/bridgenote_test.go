package store_test

import (
	"net/netip"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/patchbay-cni/patchbay/pkg/store"
)

// TestNoteBridge: notes of a bridge are read back, and not those of a bridge with a longer name.
//
// Claim: No container gets the address of a live attachment of another network on the same bridge, or that network's gateway, also when
// both are added at once
func TestNoteBridge(t *testing.T) {
	known := filepath.Join(t.TempDir(), "state")
	web := store.BridgeNote{Network: "web", StateDir: "/run/a dir, with spaces", Prefixes: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::/64")}}
	dhcp := store.BridgeNote{Network: "dhcp", StateDir: "/run/patchbay"}
	for _, note := range []struct {
		bridge string
		store.BridgeNote
	}{{"br0", web}, {"br0", web}, {"br0.7", dhcp}, {"a@b.json", dhcp}} {
		if err := store.NoteBridge(known, note.bridge, note.BridgeNote); err != nil {
			t.Fatal(err)
		}
		if !note.Noted(known, note.bridge) {
			t.Errorf("%s on %s is not recorded", note.Network, note.bridge)
		}
	}
	for bridge, want := range map[string][]store.BridgeNote{"br0": {web}, "br0.7": {dhcp}, "br1": nil} {
		got, err := store.BridgeNotes(known, bridge, store.BridgeNote{})
		if err != nil {
			t.Fatal(err)
		}
		same := cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })
		if diff := cmp.Diff(want, got, same); diff != "" {
			t.Errorf("notes of %s (-want +got):\n%s", bridge, diff)
		}
	}
	if got, err := store.BridgeNotes(known, "br0", web); err != nil || len(got) != 0 {
		t.Errorf("notes of br0 except that of web: %v, %v", got, err)
	}
	if entries, err := store.List(known); err != nil || len(entries) != 0 {
		t.Errorf("notes are listed as records: %v, %v", entries, err)
	}
}

// TestBridgeNoteOfMany: subnets that do not fit into the note are unknown and overlap all.
//
// Claim: No container gets the address of a live attachment of another network on the same bridge, or that network's gateway, also when
// both are added at once
func TestBridgeNoteOfMany(t *testing.T) {
	known := t.TempDir()
	n := store.BridgeNote{Network: strings.Repeat("n", 255), StateDir: "/run/patchbay"}
	for i := range 250 {
		n.Prefixes = append(n.Prefixes, netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 1, byte(i), 0}), 24))
	}
	if err := store.NoteBridge(known, "br0", n); err != nil {
		t.Fatal(err)
	}
	got, err := store.BridgeNotes(known, "br0", store.BridgeNote{})
	if err != nil || len(got) != 1 || len(got[0].Prefixes) != 0 {
		t.Fatalf("got %v, %v", got, err)
	}
	if other := []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}; !got[0].Overlaps(other) || n.Overlaps(other) {
		t.Error("unknown subnets must overlap all, known ones must not")
	}
}
