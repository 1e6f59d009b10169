package nft_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/pkg/nft"
)

// listed wants the ruleset to have each of the entries' elements, and no other's.
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

// A table that Build must not touch is named, and stays as it is.
func TestBuildLeavesWhatIsNotOurs(t *testing.T) {
	for _, tc := range []struct {
		name, made string
		want       error
		says       string
	}{
		{"without schema chain", "add table inet patchbay; add chain inet patchbay mine", nft.ErrForeign, "it has no chain schema_N"},
		{"empty", "add table inet patchbay", nft.ErrForeign, "it has no chain schema_N"},
		{"schema without a number", "add table inet patchbay; add chain inet patchbay schema_x", nft.ErrForeign, "it has no chain schema_N"},
		{"newer", "add table inet patchbay; add chain inet patchbay schema_7", nft.ErrNewer, "it has version 7, this one knows versions up to 2"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := host(t)
			r := in(t, h)
			h.Run(t, "nft", tc.made)
			before := list(t, h)
			e := entry("net", "cni0", "a", "10.1.2.3/24")
			asked := false
			err := inHost(h, func() error {
				return r.Build(e, func() ([]nft.Entry, error) { asked = true; return nil, nil })
			})
			if !errors.Is(err, tc.want) || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("got %v, want %v: %s", err, tc.want, tc.says)
			}
			if asked {
				t.Error("everybody was asked though nothing may be built")
			}
			if err := r.Withdraw(e); err != nil {
				t.Errorf("Withdraw: %v", err)
			}
			same(t, h, before, "after Build and Withdraw")
		})
	}
}

// Reload may put an older table in the place of a newer one, and nothing in the place of a stranger's.
func TestRebuild(t *testing.T) {
	h := host(t)
	r := in(t, h)
	e := entry("net", "cni0", "a", "10.1.2.3/24")
	rebuild := func() error { return inHost(h, func() error { return r.Rebuild(only(e)) }) }
	h.Run(t, "nft", "add table inet patchbay; add chain inet patchbay mine")
	before := list(t, h)
	if err := rebuild(); !errors.Is(err, nft.ErrForeign) {
		t.Errorf("a stranger's: got %v, want ErrForeign", err)
	}
	same(t, h, before, "after Rebuild of a stranger's")
	h.Run(t, "nft", "add chain inet patchbay schema_7")
	if err := rebuild(); err != nil {
		t.Errorf("a newer one: %v", err)
	}
	listed(t, h, e)
	want := list(t, h)
	if err := rebuild(); err != nil {
		t.Error(err)
	}
	same(t, h, want, "after another Rebuild")
}

// What somebody took out of the table, or an older patchbay built, is made anew with everybody in it.
func TestBuildMendsTheTable(t *testing.T) {
	first := entry("net", "cni0", "first", "10.1.2.3/24", "2001:db8::3/64")
	next := entry("net", "cni0", "next", "10.1.2.4/24", "2001:db8::4/64")
	for _, tc := range []struct{ name, broken string }{
		{"flushed ruleset", "flush ruleset"},
		{"a map is gone", "flush chain inet patchbay postrouting; delete map inet patchbay masq4"},
		{"all maps are gone", "flush chain inet patchbay postrouting; flush chain inet patchbay forward; " +
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
			if n := strings.Count(list(t, h), "vmap @"); n != 8 {
				t.Errorf("%d rules look at the maps, want 8", n)
			}
		})
	}
}

// Two versions: the newer one builds the older one's table anew, with everybody in it; then the older
// one refuses it, and still takes its own elements out.
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
		t.Errorf("the older one: got %v, want ErrNewer", err)
	}
	same(t, h, before, "after the older one's Build")
	if err := errors.Join(r.Withdraw(first), withdrawOwner(r, next.Owner)); err != nil {
		t.Error(err)
	}
	if got := list(t, h); strings.Contains(got, "patchbay:") {
		t.Errorf("after the older one's Withdraw:\n%s", got)
	}
}

// A chain of a network that somebody has removed comes again, and one that was edited is put right
// with it, without the table being built anew.
func TestBuildMakesChainsAgain(t *testing.T) {
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
		return r.Build(first, func() ([]nft.Entry, error) { return nil, errors.New("everybody was asked") })
	})
	if err != nil {
		t.Fatal(err)
	}
	same(t, h, want, "after Build")
}

// Who wrote its record after the table was filled, and could not publish while it was built, is
// published by the second look.
func TestRebuildLooksTwice(t *testing.T) {
	first := entry("net", "cni0", "first", "10.1.2.3/24")
	late := entry("other", "cni1", "late", "10.2.0.3/16", "2001:db8::3/64")
	h := host(t)
	r := in(t, h)
	looks := 0
	everybody := func() ([]nft.Entry, error) {
		looks++
		if looks == 1 {
			return []nft.Entry{first}, nil
		}
		return []nft.Entry{first, late}, nil
	}
	if err := inHost(h, func() error { return r.Rebuild(everybody) }); err != nil {
		t.Fatal(err)
	}
	if looks != 2 {
		t.Errorf("%d looks, want 2", looks)
	}
	listed(t, h, first, late)
}

// The first table is exclusive: who finds that another has built it meanwhile, without a common
// lock and without knowing of each other, goes into it.
func TestBuildMeetsAnotherBuilder(t *testing.T) {
	one := entry("net", "cni0", "one", "10.1.2.3/24", "2001:db8::3/64")
	two := entry("other", "cni1", "two", "10.2.0.3/16", "2001:db8:2::3/64")
	h := host(t)
	r, other := in(t, h), in(t, h)
	met := false
	everybody := func() ([]nft.Entry, error) {
		if met {
			return []nft.Entry{one}, nil
		}
		met = true
		return []nft.Entry{one}, other.Build(two, only(two))
	}
	if err := inHost(h, func() error { return r.Build(one, everybody) }); err != nil {
		t.Fatal(err)
	}
	listed(t, h, one, two)
}

// Where everybody cannot be told, nothing is built without them.
func TestRebuildWithoutEverybody(t *testing.T) {
	first := entry("net", "cni0", "first", "10.1.2.3/24")
	h, r := built(t, first)
	before := list(t, h)
	unreadable := errors.New("unreadable")
	err := inHost(h, func() error { return r.Rebuild(func() ([]nft.Entry, error) { return nil, unreadable }) })
	if !errors.Is(err, unreadable) {
		t.Errorf("got %v", err)
	}
	same(t, h, before, "after a Rebuild that did not know everybody")
}

// Of two owners of one address, which a host can have whose two networks share bridge and subnet,
// one is in a table built anew, and the others' elements are there all the same.
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
