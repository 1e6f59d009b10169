package nft_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/pkg/nft"
)

// built is a host whose table has the entries.
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

// same wants the ruleset to be as it was.
func same(t *testing.T, h *nettest.Node, before, when string) {
	t.Helper()
	if got := list(t, h); got != before {
		t.Errorf("%s: the ruleset is\n%s\nbefore\n%s", when, got, before)
	}
}

// Who comes second to an address of a bridge is told whose it is, and changes nothing.
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
		t.Errorf("the sentence %q does not name the owner", err)
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

// is knows one owner to be dead.
func is(dead nft.Entry) func(string) bool {
	return func(owner string) bool { return owner == dead.Owner }
}

// A dead owner's element is replaced, and a living one's is not, whoever is said to be dead.
func TestReplace(t *testing.T) {
	dead := entry("net", "cni0", "dead", "10.1.2.3/24")
	living := entry("net", "cni0", "living", "10.1.2.4/24")
	h, r := built(t, dead, living)
	one := entry("net", "cni0", "one", "10.1.2.3/24")
	both := entry("net", "cni0", "one", "10.1.2.3/24", "10.1.2.4/24")
	before := list(t, h)
	if err := r.Replace(both, is(dead)); !errors.Is(err, nft.ErrTaken) || !strings.Contains(err.Error(), "net/living/eth0") {
		t.Errorf("of two owners one is dead: got %v, want that the other has it", err)
	}
	same(t, h, before, "after a Replace that was refused")
	if err := r.Replace(one, is(dead)); err != nil {
		t.Fatal(err)
	}
	same(t, h, strings.NewReplacer(dead.Owner, one.Owner).Replace(before), "after Replace")
}

// Replace is one transaction, so that no packet meets a ruleset in which nobody has the address.
func TestReplaceIsOneTransaction(t *testing.T) {
	dead := entry("net", "cni0", "dead", "10.1.2.3/24", "2001:db8::3/64")
	h, r := built(t, dead)
	next := entry("net", "cni0", "next", "10.1.2.3/24", "2001:db8::3/64")
	before := generation(t, h)
	if err := r.Replace(next, is(dead)); err != nil {
		t.Fatal(err)
	}
	if got := generation(t, h); got != before+1 {
		t.Errorf("%d transactions, want 1", got-before)
	}
}

// What is there already, all of it or some, is as good; what leads elsewhere is led right.
func TestPublishAgain(t *testing.T) {
	e := entry("net", "cni0", "a", "10.1.2.3/24", "2001:db8::3/64")
	h, r := built(t, e)
	want := list(t, h)
	for _, tc := range []struct{ name, first string }{
		{"all are there", ""},
		{"one is missing", `delete element inet patchbay masq4 { "cni0" . 10.1.2.3 }`},
		{"all but one are missing", `flush map inet patchbay masq4; flush map inet patchbay masq6; flush map inet patchbay invalid4`},
		{"one leads to another chain", `delete element inet patchbay masq4 { "cni0" . 10.1.2.3 }; add chain inet patchbay x; ` +
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
			t.Errorf("%s: a transaction was made: %v", tc.name, changed)
		}
		if tc.name == "one leads to another chain" {
			h.Run(t, "nft", "delete chain inet patchbay x") // refused while an element leads to it
		}
		same(t, h, want, tc.name)
	}
}

func TestWithdraw(t *testing.T) {
	mine := entry("net", "cni0", "mine", "10.1.2.3/24", "2001:db8::3/64")
	other := entry("net", "cni0", "other", "10.1.2.4/24", "2001:db8::4/64")
	h, r := built(t, other, mine)
	if err := r.Withdraw(mine); err != nil {
		t.Fatal(err)
	}
	without := list(t, h)
	for _, tc := range []struct{ name, first string }{
		{"nothing is there", ""},
		{"all is there", "publish"},
		{"one element is gone", `delete element inet patchbay masq6 { "cni0" . 2001:db8::3 }`},
		{"a map is empty but for the other", `delete element inet patchbay masq4 { "cni0" . 10.1.2.3 }; delete element inet patchbay invalid4 { "cni0" . 10.1.2.3 }`},
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
		t.Errorf("the table is gone: %v", err)
	}
	same(t, h, "", "after Withdraw from no table")
}

// Another attachment's element at our key stays: it has our address since we lost it.
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
	same(t, h, before, "after the Withdraw of what somebody put there by hand, without a comment")
}

// A DEL without a record knows the mark alone: the comment's first word.
func TestWithdrawOwnerByItsMark(t *testing.T) {
	other := entry("net", "cni0", "other", "10.1.2.4/24", "2001:db8::4/64")
	h, r := built(t, other)
	before := list(t, h)
	mine := entry("net", "cni0", "mine", "10.1.2.3/24", "10.1.2.9/24", "2001:db8::3/64")
	if err := r.Publish(mine); err != nil {
		t.Fatal(err)
	}
	mark, _, _ := strings.Cut(mine.Owner, " ")
	if err := withdrawOwner(r, mark[:len(mark)-1]); err != nil || list(t, h) == before {
		t.Errorf("a part of a mark is somebody else's: %v", err)
	}
	if err := withdrawOwner(r, mark); err != nil {
		t.Fatal(err)
	}
	same(t, h, before, "after WithdrawOwner")
}
