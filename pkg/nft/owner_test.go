package nft_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/pkg/nft"
)

// built returns a host whose table has the entries.
func built(t *testing.T, entries ...nft.Entry) (*nettest.Node, *nft.Ruleset) {
	t.Helper()
	h := host(t)
	r := in(t, h)
	for _, e := range entries {
		if err := inHost(h, func() error { return r.Build(e, only(e)) }); err != nil {
			t.Fatal(err)
		}
	}
	return h, r
}

// same checks that the ruleset is as before.
func same(t *testing.T, h *nettest.Node, before, when string) {
	t.Helper()
	if got := list(t, h); got != before {
		t.Errorf("%s: the ruleset is\n%s\nbefore\n%s", when, got, before)
	}
}

// Publish of an address that another attachment has on the bridge returns its owner, and changes nothing.
//
// Claim: An address of a bridge belongs to one attachment; a second claim names the owner, a stale owner is replaced in one transaction,
// an existing equal element is accepted
func TestTakenNamesTheOwner(t *testing.T) {
	first := entry("net", "cni0", "first", "10.1.2.3/24", "2001:db8::3/64")
	h, r := built(t, first)
	before := list(t, h)
	second := entry("net", "cni0", "second", "10.1.2.4/24", "2001:db8::3/64")
	err := r.Publish(second)
	var taken *nft.TakenError
	if !errors.As(err, &taken) || !errors.Is(err, nft.ErrTaken) {
		t.Fatalf("got %v, want a TakenError", err)
	}
	if taken.Owner != first.Owner || taken.Thing != "address 2001:db8::3 on bridge cni0" || taken.Port {
		t.Errorf("got %+v, want the owner %q", taken, first.Owner)
	}
	if !strings.Contains(err.Error(), "net/first/eth0") || strings.Contains(err.Error(), "\n") {
		t.Errorf("the error %q does not name the owner", err)
	}
	same(t, h, before, "after a Publish that was refused")
	elsewhere := entry("net", "cni1", "second", "10.1.2.3/24", "2001:db8::3/64")
	if err := r.Publish(elsewhere); err != nil {
		t.Errorf("the same addresses on another bridge: %v", err)
	}
}

func withdrawOwner(r *nft.Ruleset, owner string) error {
	_, err := r.WithdrawOwner(owner)
	return err
}

// is returns a function that reports one owner as stale.
func is(stale nft.Entry) func(string) bool {
	return func(owner string) bool { return owner == stale.Owner }
}

// Replace replaces the elements of a stale owner, and none if one of the owners is live.
//
// Claim: An address of a bridge belongs to one attachment; a second claim names the owner, a stale owner is replaced in one transaction,
// an existing equal element is accepted
func TestReplace(t *testing.T) {
	stale := entry("net", "cni0", "stale", "10.1.2.3/24")
	live := entry("net", "cni0", "live", "10.1.2.4/24")
	h, r := built(t, stale, live)
	one := entry("net", "cni0", "one", "10.1.2.3/24")
	both := entry("net", "cni0", "one", "10.1.2.3/24", "10.1.2.4/24")
	before := list(t, h)
	if err := r.Replace(both, is(stale)); !errors.Is(err, nft.ErrTaken) || !strings.Contains(err.Error(), "net/live/eth0") {
		t.Errorf("one of two owners is live: got %v, want its name", err)
	}
	same(t, h, before, "after a Replace that was refused")
	if err := r.Replace(one, is(stale)); err != nil {
		t.Fatal(err)
	}
	same(t, h, strings.NewReplacer(stale.Owner, one.Owner).Replace(before), "after Replace")
}

// Replace is one transaction: at no time is the address without an element.
//
// Claim: An address of a bridge belongs to one attachment; a second claim names the owner, a stale owner is replaced in one transaction,
// an existing equal element is accepted
func TestReplaceIsOneTransaction(t *testing.T) {
	stale := entry("net", "cni0", "stale", "10.1.2.3/24", "2001:db8::3/64")
	h, r := built(t, stale)
	next := entry("net", "cni0", "next", "10.1.2.3/24", "2001:db8::3/64")
	before := generation(t, h)
	if err := r.Replace(next, is(stale)); err != nil {
		t.Fatal(err)
	}
	if got := generation(t, h); got != before+1 {
		t.Errorf("%d transactions, want 1", got-before)
	}
}

// Publish keeps equal elements with the same owner, adds missing ones, and corrects the chain of others.
//
// Claim: An address of a bridge belongs to one attachment; a second claim names the owner, a stale owner is replaced in one transaction,
// an existing equal element is accepted
func TestPublishAgain(t *testing.T) {
	e := entry("net", "cni0", "a", "10.1.2.3/24", "2001:db8::3/64")
	h, r := built(t, e)
	want := list(t, h)
	for _, tc := range []struct{ name, first string }{
		{"all elements exist", ""},
		{"one is missing", `delete element inet patchbay masq4 { "cni0" . 10.1.2.3 }`},
		{"all but one are missing", `flush map inet patchbay masq4; flush map inet patchbay masq6; flush map inet patchbay invalid4`},
		{"one jumps to another chain", `delete element inet patchbay masq4 { "cni0" . 10.1.2.3 }; add chain inet patchbay x; ` +
			`add element inet patchbay masq4 { "cni0" . 10.1.2.3 comment "` + e.Owner + `" : jump x }`},
	} {
		if tc.first != "" {
			h.Run(t, "nft", tc.first)
		}
		was := generation(t, h)
		if err := r.Publish(e); err != nil {
			t.Errorf("%s: %v", tc.name, err)
		}
		if changed := generation(t, h) != was; changed != (tc.first != "") {
			t.Errorf("%s: the ruleset was changed: %v", tc.name, changed)
		}
		if tc.name == "one jumps to another chain" {
			h.Run(t, "nft", "delete chain inet patchbay x") // EBUSY while an element jumps to it
		}
		same(t, h, want, tc.name)
	}
}

// Claim: Removing what is no longer in the ruleset is no error, and an element of another owner stays
func TestWithdraw(t *testing.T) {
	mine := entry("net", "cni0", "mine", "10.1.2.3/24", "2001:db8::3/64")
	other := entry("net", "cni0", "other", "10.1.2.4/24", "2001:db8::4/64")
	h, r := built(t, other, mine)
	if err := r.Withdraw(mine); err != nil {
		t.Fatal(err)
	}
	without := list(t, h)
	for _, tc := range []struct{ name, first string }{
		{"no element exists", ""},
		{"all elements exist", "publish"},
		{"one element is missing", `delete element inet patchbay masq6 { "cni0" . 2001:db8::3 }`},
		{"two maps have the other owner's elements only", `delete element inet patchbay masq4 { "cni0" . 10.1.2.3 }; delete element inet patchbay invalid4 { "cni0" . 10.1.2.3 }`},
	} {
		if tc.first != "" {
			if err := r.Publish(mine); err != nil {
				t.Fatal(err)
			}
		}
		if strings.HasPrefix(tc.first, "delete") {
			h.Run(t, "nft", tc.first)
		}
		if err := r.Withdraw(mine); err != nil {
			t.Errorf("%s: %v", tc.name, err)
		}
		same(t, h, without, tc.name)
	}
	h.Run(t, "nft", "delete table inet patchbay")
	if err := errors.Join(r.Withdraw(mine), withdrawOwner(r, mine.Owner)); err != nil {
		t.Errorf("without the table: %v", err)
	}
	same(t, h, "", "after Withdraw from no table")
}

// Withdraw keeps an element of the same key that another attachment owns by now.
//
// Claim: A forged record makes DEL and reload change no interface, port or element of another attachment
// Claim: Removing what is no longer in the ruleset is no error, and an element of another owner stays
func TestWithdrawLeavesAnotherOwners(t *testing.T) {
	next := entry("net", "cni0", "next", "10.1.2.3/24", "2001:db8::3/64")
	h, r := built(t, next)
	before := list(t, h)
	late := entry("net", "cni0", "late", "10.1.2.3/24", "2001:db8::3/64")
	if err := errors.Join(r.Withdraw(late), withdrawOwner(r, late.Owner)); err != nil {
		t.Error(err)
	}
	same(t, h, before, "after another owner's Withdraw")
	h.Run(t, "nft", `delete element inet patchbay masq4 { "cni0" . 10.1.2.3 }; add element inet patchbay masq4 { "cni0" . 10.1.2.3 : accept }`)
	before = list(t, h)
	if err := r.Withdraw(entry("net", "cni0", "late", "10.1.2.3/24")); err != nil {
		t.Error(err)
	}
	same(t, h, before, "after the Withdraw of an element without a comment")
}

// A DEL without a record has only the owner's ID, the first word of the comment.
//
// Claim: Removing what is no longer in the ruleset is no error, and an element of another owner stays
func TestWithdrawOwnerByID(t *testing.T) {
	other := entry("net", "cni0", "other", "10.1.2.4/24", "2001:db8::4/64")
	h, r := built(t, other)
	before := list(t, h)
	mine := entry("net", "cni0", "mine", "10.1.2.3/24", "10.1.2.9/24", "2001:db8::3/64")
	if err := r.Publish(mine); err != nil {
		t.Fatal(err)
	}
	id, _, _ := strings.Cut(mine.Owner, " ")
	if err := withdrawOwner(r, id[:len(id)-1]); err != nil || list(t, h) == before {
		t.Errorf("a part of an ID is the ID of another owner: %v", err)
	}
	if err := withdrawOwner(r, id); err != nil {
		t.Fatal(err)
	}
	same(t, h, before, "after WithdrawOwner")
}
