package store

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestNext: before each reservation Next returns what it then chooses, and writes nothing; in a full pool, what could be reclaimed.
//
// Claim: `patchbay explain` prints the commands for a network or an attachment, changes nothing, and refuses what it cannot print by name
func TestNext(t *testing.T) {
	dirs := newDirs(t)
	req := Request{Pool: pool(t, "10.1.2.0/27", "2001:db8::/64")} // 29 addresses, more than are read one by one
	for i := range 29 {
		before := files(t, dirs.Data)
		key := keyFor(strings.Repeat("c", i+1))
		next, err := Next(dirs, key, req, nil)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(before, files(t, dirs.Data)); diff != "" {
			t.Fatalf("Next changed files (-before +after):\n%s", diff)
		}
		gives(t, dirs, key, req, addressText(&Record{Addresses: next}))
	}
	key := keyFor("late")
	if _, err := Next(dirs, key, req, nil); !errors.Is(err, ErrExhausted) {
		t.Errorf("a full pool: got %v, want ErrExhausted", err)
	}
	stale := netip.MustParseAddr("10.1.2.9")
	next, err := Next(dirs, key, req, []netip.Addr{stale})
	if err != nil || next[0].Address.Addr() != stale {
		t.Errorf("with a stale address: got %v, %v", next, err)
	}
	req.Requested = []netip.Addr{netip.MustParseAddr("10.1.2.8")}
	if _, err := Next(dirs, key, req, nil); !errors.Is(err, ErrTaken) {
		t.Errorf("a requested address that is taken: got %v, want ErrTaken", err)
	}
}
