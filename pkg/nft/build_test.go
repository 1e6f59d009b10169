package nft_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/pkg/nft"
)

// listed checks that the ruleset has all elements of the entries, and no other elements with an owner.
func listed(t *testing.T, h *nettest.Node, entries ...nft.Entry) {
	t.Helper()
	got, want := list(t, h), 0
	for _, e := range entries {
		want += 2 * len(e.Addresses)
		if n := strings.Count(got, `comment "`+e.Owner[:min(len(e.Owner), 128)]+`"`); n != 2*len(e.Addresses) {
			t.Errorf("%s has %d elements, want %d", e.Owner, n, 2*len(e.Addresses))
		}
	}
	if n := strings.Count(got, `comment "patchbay:`); n != want {
		t.Errorf("%d elements, want %d", n, want)
	}
	if n := strings.Count(got, fmt.Sprintf("chain schema_%d {", nft.Schema())); n != 1 {
		t.Errorf("%d chains of the version, want 1", n)
	}
}

// Build returns an error for a table that it must not change, and changes nothing.
//
// Claim: The table is built complete: at first, after a flush, when damaged, and from an older version; a newer one's and a foreign one
// are kept as they are
func TestBuildLeavesWhatIsNotOurs(t *testing.T) {
	for _, tc := range []struct {
		name, made string
		want       error
		says       string
	}{
		{"without schema chain", "add table inet patchbay; add chain inet patchbay mine", nft.ErrForeign, "it has no chain schema_N"},
		{"empty", "add table inet patchbay", nft.ErrForeign, "it has no chain schema_N"},
		{"schema without a number", "add table inet patchbay; add chain inet patchbay schema_x", nft.ErrForeign, "it has no chain schema_N"},
		{"newer", "add table inet patchbay; add chain inet patchbay schema_7", nft.ErrNewer, "it has version 7, this one knows versions up to 4"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := host(t)
			r := in(t, h)
			h.Run(t, "nft", tc.made)
			before := list(t, h)
			e := entry("net", "cni0", "a", "10.1.2.3/24")
			isListed := false
			err := inHost(h, func() error {
				return r.Build(e, func() ([]nft.Entry, error) { isListed = true; return nil, nil })
			})
			if !errors.Is(err, tc.want) || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("got %v, want %v: %s", err, tc.want, tc.says)
			}
			if isListed {
				t.Error("the entries were listed although nothing may be built")
			}
			if err := r.Withdraw(e); err != nil {
				t.Errorf("Withdraw: %v", err)
			}
			same(t, h, before, "after Build and Withdraw")
		})
	}
}

// Rebuild replaces a table of a newer version, and does not replace a table of another program.
//
// Claim: The table is built complete: at first, after a flush, when damaged, and from an older version; a newer one's and a foreign one
// are kept as they are
func TestRebuild(t *testing.T) {
	h := host(t)
	r := in(t, h)
	e := entry("net", "cni0", "a", "10.1.2.3/24")
	rebuild := func() error { return inHost(h, func() error { return r.Rebuild(only(e)) }) }
	h.Run(t, "nft", "add table inet patchbay; add chain inet patchbay mine")
	before := list(t, h)
	if err := rebuild(); !errors.Is(err, nft.ErrForeign) {
		t.Errorf("table of another program: got %v, want ErrForeign", err)
	}
	same(t, h, before, "after Rebuild of another program's table")
	h.Run(t, "nft", "add chain inet patchbay schema_7")
	if err := rebuild(); err != nil {
		t.Errorf("table of a newer version: %v", err)
	}
	listed(t, h, e)
	want := list(t, h)
	if err := rebuild(); err != nil {
		t.Error(err)
	}
	same(t, h, want, "after another Rebuild")
}

// A damaged table, or one of an older version, is built again with the elements of all attachments.
//
// Claim: The table is built complete: at first, after a flush, when damaged, and from an older version; a newer one's and a foreign one
// are kept as they are
func TestBuildRepairsTheTable(t *testing.T) {
	first := entry("net", "cni0", "first", "10.1.2.3/24", "2001:db8::3/64")
	next := entry("net", "cni0", "next", "10.1.2.4/24", "2001:db8::4/64")
	for _, tc := range []struct{ name, broken string }{
		{"flushed ruleset", "flush ruleset"},
		{"one map deleted", "flush chain inet patchbay postrouting; delete map inet patchbay masq4"},
		{"all maps deleted", "flush chain inet patchbay postrouting; flush chain inet patchbay forward; " +
			"delete map inet patchbay masq4; delete map inet patchbay masq6; delete map inet patchbay invalid4; delete map inet patchbay invalid6"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h, r := built(t, first)
			h.Run(t, "nft", tc.broken)
			err := inHost(h, func() error { return r.Build(next, only(first, next)) })
			if err != nil {
				t.Fatal(err)
			}
			listed(t, h, first, next)
			if n := strings.Count(list(t, h), "vmap @"); n != 10 {
				t.Errorf("%d rules look up a map, want 10", n)
			}
		})
	}
}

// Two versions: the newer one replaces the older one's table and keeps all elements. Then the older one returns
// ErrNewer for Build, and still withdraws its elements.
//
// Claim: The table is built complete: at first, after a flush, when damaged, and from an older version; a newer one's and a foreign one
// are kept as they are
func TestBuildOfTwoVersions(t *testing.T) {
	first := entry("net", "cni0", "first", "10.1.2.3/24", "2001:db8::3/64")
	h, r := built(t, first)
	next := entry("net", "cni0", "next", "10.1.2.4/24", "2001:db8::4/64")
	t.Run("newer", func(t *testing.T) {
		nft.MakeNewer(t)
		if err := r.Publish(next); !errors.Is(err, nft.ErrNotBuilt) {
			t.Fatalf("Publish into an older table: got %v, want ErrNotBuilt", err)
		}
		if err := inHost(h, func() error { return r.Build(next, only(first, next)) }); err != nil {
			t.Fatal(err)
		}
		listed(t, h, first, next)
	})
	before := list(t, h)
	third := entry("net", "cni0", "third", "10.1.2.5/24")
	if err := inHost(h, func() error { return r.Build(third, only(first, next, third)) }); !errors.Is(err, nft.ErrNewer) {
		t.Errorf("Build of the older version: got %v, want ErrNewer", err)
	}
	same(t, h, before, "after Build of the older version")
	if err := errors.Join(r.Withdraw(first), withdrawOwner(r, next.Owner)); err != nil {
		t.Error(err)
	}
	if got := list(t, h); strings.Contains(got, "patchbay:") {
		t.Errorf("after Withdraw of the older version:\n%s", got)
	}
}

// A chain of a network that was deleted is added again, and the rules of its other chain are restored, without a
// new table.
//
// Claim: The table is built complete: at first, after a flush, when damaged, and from an older version; a newer one's and a foreign one
// are kept as they are
func TestBuildAddsChainsAgain(t *testing.T) {
	first := entry("net", "cni0", "first", "10.1.2.3/24")
	h, r := built(t, first)
	want := list(t, h)
	if err := r.Withdraw(first); err != nil {
		t.Fatal(err)
	}
	for line := range strings.SplitSeq(want, "\n") {
		chain, _, _ := strings.Cut(strings.TrimPrefix(line, "\tchain "), " ")
		if strings.HasPrefix(chain, "invalid_net_") {
			h.Run(t, "nft", "flush chain inet patchbay "+chain+"; delete chain inet patchbay "+chain)
		}
		if strings.HasPrefix(chain, "masq_net_") {
			h.Run(t, "nft", "insert rule inet patchbay "+chain+" accept")
		}
	}
	err := inHost(h, func() error {
		return r.Build(first, func() ([]nft.Entry, error) { return nil, errors.New("the entries were listed") })
	})
	if err != nil {
		t.Fatal(err)
	}
	same(t, h, want, "after Build")
}

// An attachment whose record was written after the entries were listed could not publish while the table was
// built. It is published after the entries are listed a second time.
//
// Claim: The table is built complete: at first, after a flush, when damaged, and from an older version; a newer one's and a foreign one
// are kept as they are
func TestRebuildListsTwice(t *testing.T) {
	first := entry("net", "cni0", "first", "10.1.2.3/24")
	late := entry("other", "cni1", "late", "10.2.0.3/16", "2001:db8::3/64")
	h := host(t)
	r := in(t, h)
	lists := 0
	allEntries := func() ([]nft.Entry, error) {
		lists++
		if lists == 1 {
			return []nft.Entry{first}, nil
		}
		return []nft.Entry{first, late}, nil
	}
	if err := inHost(h, func() error { return r.Rebuild(allEntries) }); err != nil {
		t.Fatal(err)
	}
	if lists != 2 {
		t.Errorf("listed %d times, want 2", lists)
	}
	listed(t, h, first, late)
}

// The first table is created exclusively. A builder that finds a table which another one built meanwhile, without
// a common lock and from other records, adds its elements to that table.
//
// Claim: Concurrent building, publishing and withdrawing give one table with each attachment's own elements and no others, with 700
// attachments and 300 networks too
func TestTwoBuildersOfTheFirstTable(t *testing.T) {
	one := entry("net", "cni0", "one", "10.1.2.3/24", "2001:db8::3/64")
	two := entry("other", "cni1", "two", "10.2.0.3/16", "2001:db8:2::3/64")
	h := host(t)
	r, other := in(t, h), in(t, h)
	isBuilt := false
	allEntries := func() ([]nft.Entry, error) {
		if isBuilt {
			return []nft.Entry{one}, nil
		}
		isBuilt = true
		return []nft.Entry{one}, other.Build(two, only(two))
	}
	if err := inHost(h, func() error { return r.Build(one, allEntries) }); err != nil {
		t.Fatal(err)
	}
	listed(t, h, one, two)
}

// If the entries cannot be listed, nothing is built.
//
// Claim: The table is built complete: at first, after a flush, when damaged, and from an older version; a newer one's and a foreign one
// are kept as they are
func TestRebuildWithoutEntries(t *testing.T) {
	first := entry("net", "cni0", "first", "10.1.2.3/24")
	h, r := built(t, first)
	before := list(t, h)
	unreadable := errors.New("unreadable")
	err := inHost(h, func() error { return r.Rebuild(func() ([]nft.Entry, error) { return nil, unreadable }) })
	if !errors.Is(err, unreadable) {
		t.Errorf("got %v", err)
	}
	same(t, h, before, "after a Rebuild without entries")
}

// Two networks of a host may share bridge and subnet. Of two owners of one address one is in a rebuilt table, and
// the elements of all other attachments too.
//
// Claim: The table is built complete: at first, after a flush, when damaged, and from an older version; a newer one's and a foreign one
// are kept as they are
func TestRebuildWithTwoOwnersOfOneAddress(t *testing.T) {
	first := entry("net", "cni0", "first", "10.1.2.3/24")
	second := entry("other", "cni0", "second", "10.1.2.3/24")
	third := entry("net", "cni0", "third", "10.1.2.4/24")
	h := host(t)
	r := in(t, h)
	if err := inHost(h, func() error { return r.Rebuild(only(first, second, third)) }); err != nil {
		t.Fatal(err)
	}
	listed(t, h, first, third)
}
