package nft_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/pkg/nft"
)

// Concurrent builders add the chain for an unusual mark bit, and the rule that matches the bit, once.
func TestMarkingChainIsAddedOnce(t *testing.T) {
	h, _ := built(t, web("first", "", first4))
	lock := make(chan struct{}, 1)
	concurrently(t, h, func(i int, r *nft.Ruleset) error {
		e := publisher(fmt.Sprint("c", i), port("tcp", "", 9000+uint16(i), fmt.Sprintf("10.1.3.%d:80", i+1)))
		e.MarkBit = 20
		err := r.Publish(e)
		if !errors.Is(err, nft.ErrNotBuilt) {
			return err
		}
		lock <- struct{}{}
		defer func() { <-lock }()
		return r.Build(e, func() ([]nft.Entry, error) { return nil, errors.New("the entries were listed") })
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
	if n := strings.Count(text, `goto hairpin comment "to a port that patchbay published"`); n != 2 {
		t.Errorf("%d rules match a bit, want 2:\n%s", n, text)
	}
	if n := strings.Count(text, " : goto publish_20"); n != many {
		t.Errorf("%d elements go to the chain, want %d", n, many)
	}
}

// A table bridge patchbay of another program is not changed. Build of an isolated entry returns ErrForeign; other
// entries do not need the table.
//
// Claim: A table `bridge patchbay` of another program is not changed, and is an error only where a network is isolated
func TestBridgeTableOfAnotherProgram(t *testing.T) {
	for name, made := range map[string]func(t *testing.T, e nft.Entry) (*nettest.Node, *nft.Ruleset){
		"without our inet table": func(t *testing.T, _ nft.Entry) (*nettest.Node, *nft.Ruleset) { h := host(t); return h, in(t, h) },
		"with our inet table":    func(t *testing.T, e nft.Entry) (*nettest.Node, *nft.Ruleset) { return built(t, e) },
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
			if !errors.Is(err, nft.ErrForeign) || !strings.Contains(err.Error(), "table bridge patchbay of nftables: table not built by patchbay") {
				t.Errorf("got %v, want ErrForeign", err)
			}
			if err := inHost(h, func() error { return r.Build(plain, only(plain)) }); err != nil {
				t.Errorf("Build of an entry that is not isolated: %v", err)
			}
			if err := inHost(h, func() error { return r.Rebuild(only(plain)) }); err != nil {
				t.Errorf("Rebuild of an entry that is not isolated: %v", err)
			}
			if err := errors.Join(r.Withdraw(isolated), withdrawOwner(r, isolated.Owner)); err != nil {
				t.Errorf("Withdraw: %v", err)
			}
			if got := h.Run(t, "nft", "list", "table", "bridge", "patchbay"); got != theirs {
				t.Errorf("before:\n%s\nafter:\n%s", theirs, got)
			}
			if lost := missing(t, h, r, plain); len(lost) > 0 {
				t.Errorf("Missing of an entry that is not isolated: %q", lost)
			}
		})
	}
}

// The table of the bridge family exists if an entry needs it when the ruleset is built.
func TestBridgeTableIfNeeded(t *testing.T) {
	plain, isolated := web("plain", "", first4), web("isolated", "", second4)
	isolated.Ports[0].HostPort, isolated.Isolation = 8081, nft.Isolated
	h, r := built(t, plain)
	if text := list(t, h); strings.Contains(text, "table bridge") {
		t.Errorf("no entry is isolated:\n%s", text)
	}
	if err := inHost(h, func() error { return r.Build(isolated, only(plain, isolated)) }); err != nil {
		t.Fatal(err)
	}
	if text := list(t, h); strings.Count(text, "table bridge patchbay") != 1 || !strings.Contains(text, `"vethisolated" comment "`+isolated.Owner) {
		t.Errorf("one entry is isolated:\n%s", text)
	}
	if err := inHost(h, func() error { return r.Rebuild(only(plain)) }); err != nil {
		t.Fatal(err)
	}
	if text := list(t, h); strings.Contains(text, "table bridge") {
		t.Errorf("no entry is isolated any more:\n%s", text)
	}
}

// Rebuild keeps the owner of a port if another attachment, whose ADD has written its record and will fail, has the
// same port. It returns no error for that.
//
// Claim: A rebuilt table keeps a port with its owner, whatever other requests for it arrive meanwhile
func TestRebuildKeepsTheOwner(t *testing.T) {
	owner, second := web("owner", "", first4), web("second", "", second4)
	h, r := built(t, owner)
	want := list(t, h)
	if err := inHost(h, func() error { return r.Rebuild(only(second, owner)) }); err != nil {
		t.Fatal(err)
	}
	if text := list(t, h); !strings.Contains(text, `tcp . 8080 comment "`+owner.Owner+`" : 10.1.2.3 . 80`) {
		t.Errorf("the owner lost its port:\n%s", text)
	}
	if err := r.Publish(second); !errors.Is(err, nft.ErrPortTaken) {
		t.Errorf("second: got %v, want ErrPortTaken", err)
	}
	if err := r.Withdraw(second); err != nil {
		t.Fatal(err)
	}
	same(t, h, want, "after Withdraw of second")
	lists := 0
	err := inHost(h, func() error {
		return r.Rebuild(func() ([]nft.Entry, error) {
			lists++
			if lists == 1 {
				return []nft.Entry{owner}, nil
			}
			return []nft.Entry{owner, second}, nil
		})
	})
	if err != nil || lists != 2 {
		t.Errorf("listed %d times, want 2: %v", lists, err)
	}
	same(t, h, want, "after a Rebuild that listed second late")
}
