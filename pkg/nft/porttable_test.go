package nft_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/pkg/nft"
)

// A chain for an unusual bit, and the rule that knows it, are made once, whoever is first.
func TestMarkingChainIsMadeOnce(t *testing.T) {
	h, _ := built(t, web("first", "", first4))
	lock := make(chan struct{}, 1)
	crowd(t, h, func(i int, r *nft.Ruleset) error {
		e := publisher(fmt.Sprint("c", i), port("tcp", "", 9000+uint16(i), fmt.Sprintf("10.1.3.%d:80", i+1)))
		e.MarkBit = 20
		err := r.Publish(e)
		if !errors.Is(err, nft.ErrNotBuilt) {
			return err
		}
		lock <- struct{}{}
		defer func() { <-lock }()
		return r.Build(e, func() ([]nft.Entry, error) { return nil, errors.New("everybody was asked") })
	})
	text := list(t, h)
	if n := strings.Count(text, "chain publish_20 {"); n != 1 {
		t.Errorf("%d chains, want 1", n)
	}
	_, chain, _ := strings.Cut(text, "chain publish_20 {")
	chain, _, _ = strings.Cut(chain, "}")
	if n := strings.Count(strings.TrimSpace(chain), "\n"); n != 3 {
		t.Errorf("the chain has %d rules, want 4:\n%s", n+1, chain)
	}
	if n := strings.Count(text, `goto hairpin comment "by a port that patchbay published"`); n != 2 {
		t.Errorf("%d rules know a bit, want 2:\n%s", n, text)
	}
	if n := strings.Count(text, " : goto publish_20"); n != many {
		t.Errorf("%d elements lead there, want %d", n, many)
	}
}

// A table of our name in the bridge family that somebody else has made stays as it is, and nobody is
// isolated by it; who needs none does not mind.
func TestBridgeTableOfSomebodyElse(t *testing.T) {
	for name, made := range map[string]func(t *testing.T, e nft.Entry) (*nettest.Node, *nft.Ruleset){
		"before the first":      func(t *testing.T, _ nft.Entry) (*nettest.Node, *nft.Ruleset) { h := host(t); return h, in(t, h) },
		"beside our inet table": func(t *testing.T, e nft.Entry) (*nettest.Node, *nft.Ruleset) { return built(t, e) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			plain := web("plain", "", first4)
			h, r := made(t, plain)
			h.Run(t, "nft", "add table bridge patchbay; add chain bridge patchbay mine")
			theirs := h.Run(t, "nft", "list", "table", "bridge", "patchbay")
			isolated := publisher("isolated")
			isolated.Isolation = nft.Isolated
			err := inHost(h, func() error { return r.Build(isolated, only(isolated)) })
			if !errors.Is(err, nft.ErrForeign) || !strings.Contains(err.Error(), "table bridge patchbay of nftables is not one that patchbay made") {
				t.Errorf("got %v, want ErrForeign", err)
			}
			if err := inHost(h, func() error { return r.Build(plain, only(plain)) }); err != nil {
				t.Errorf("of an entry that needs no table of that family: %v", err)
			}
			if err := inHost(h, func() error { return r.Rebuild(only(plain)) }); err != nil {
				t.Errorf("Rebuild of such: %v", err)
			}
			if err := errors.Join(r.Withdraw(isolated), withdrawOwner(r, isolated.Owner)); err != nil {
				t.Errorf("Withdraw: %v", err)
			}
			if got := h.Run(t, "nft", "list", "table", "bridge", "patchbay"); got != theirs {
				t.Errorf("it was\n%s\nand is\n%s", theirs, got)
			}
			if lost := missing(t, h, r, plain); len(lost) > 0 {
				t.Errorf("of an entry that needs none: %q", lost)
			}
		})
	}
}

// The table of the bridge family is there as long as somebody needs it when the ruleset is built.
func TestBridgeTableComesAndGoes(t *testing.T) {
	plain, isolated := web("plain", "", first4), web("isolated", "", second4)
	isolated.Ports[0].HostPort, isolated.Isolation = 8081, nft.Isolated
	h, r := built(t, plain)
	if text := list(t, h); strings.Contains(text, "table bridge") {
		t.Errorf("nobody is isolated:\n%s", text)
	}
	if err := inHost(h, func() error { return r.Build(isolated, only(plain, isolated)) }); err != nil {
		t.Fatal(err)
	}
	if text := list(t, h); strings.Count(text, "table bridge patchbay") != 1 || !strings.Contains(text, `"vethisolated" comment "`+isolated.Owner) {
		t.Errorf("one is isolated:\n%s", text)
	}
	if err := inHost(h, func() error { return r.Rebuild(only(plain)) }); err != nil {
		t.Fatal(err)
	}
	if text := list(t, h); strings.Contains(text, "table bridge") {
		t.Errorf("nobody is isolated any more:\n%s", text)
	}
}

// Who has a port keeps it when the table is built anew while another one, which is going to be
// refused, is on its way and has a record already; and that one fails nobody's Rebuild.
func TestRebuildKeepsTheHolder(t *testing.T) {
	holder, comer := web("holder", "", first4), web("comer", "", second4)
	h, r := built(t, holder)
	want := list(t, h)
	if err := inHost(h, func() error { return r.Rebuild(only(comer, holder)) }); err != nil {
		t.Fatal(err)
	}
	if text := list(t, h); !strings.Contains(text, `tcp . 8080 comment "`+holder.Owner+`" : 10.1.2.3 . 80`) {
		t.Errorf("the holder has lost its port:\n%s", text)
	}
	if err := r.Publish(comer); !errors.Is(err, nft.ErrPortTaken) {
		t.Errorf("the other one: got %v, want ErrPortTaken", err)
	}
	if err := r.Withdraw(comer); err != nil {
		t.Fatal(err)
	}
	same(t, h, want, "after the other one's undoing")
	looks := 0
	err := inHost(h, func() error {
		return r.Rebuild(func() ([]nft.Entry, error) {
			looks++
			if looks == 1 {
				return []nft.Entry{holder}, nil
			}
			return []nft.Entry{holder, comer}, nil
		})
	})
	if err != nil || looks != 2 {
		t.Errorf("%d looks, of which the second one saw the other: %v", looks, err)
	}
	same(t, h, want, "after a Rebuild that saw the other one late")
}
