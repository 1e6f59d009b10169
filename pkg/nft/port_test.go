package nft_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/pkg/nft"
)

// publisher returns an attachment on cni0 that publishes ports and has no addresses.
func publisher(name string, ports ...nft.Port) nft.Entry {
	e := entry("net", "cni0", name)
	e.Ports, e.MarkBit, e.HostInterface = ports, nft.UsualMarkBit, "veth"+name
	return e
}

// web returns a publisher of port 8080 for a container address; host is "" for all addresses of the host.
func web(name, host, container string) nft.Entry {
	return publisher(name, port("tcp", host, 8080, container))
}

const (
	first4, second4 = "10.1.2.3:80", "10.1.2.4:80"
	first6, second6 = "[2001:db8::3]:80", "[2001:db8::4]:80"
)

// Each published port is listed with its owner. Withdraw restores the ruleset.
func TestPublishAndWithdrawPorts(t *testing.T) {
	stays := publisher("stays", port("tcp", "", 9090, second4), port("tcp", "", 9090, second6))
	h, r := built(t, stays)
	before := list(t, h)
	goes := publisher("goes", port("tcp", "", 8080, first4), port("udp", "192.0.2.1", 8080, first4), port("sctp", "", 8080, first6), port("tcp", "2001:db8::1", 8080, first6))
	goes.MasqueradeAll = true
	if err := r.Publish(goes); err != nil {
		t.Fatal(err)
	}
	text := list(t, h)
	for _, want := range []string{
		`tcp . 8080 comment "` + goes.Owner + `" : 10.1.2.3 . 80`, `192.0.2.1 . udp . 8080 comment "` + goes.Owner + `" : 10.1.2.3 . 80`,
		`sctp . 8080 comment "` + goes.Owner + `" : 2001:db8::3 . 80`, `2001:db8::1 . tcp . 8080 comment "` + goes.Owner + `" : 2001:db8::3 . 80`,
		`"cni0" . 10.1.2.3 . 10.1.2.3 comment "` + goes.Owner + `"`, `"cni0" . 2001:db8::3 comment "` + goes.Owner + `"`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%s is not in\n%s", want, text)
		}
	}
	if n := strings.Count(text, goes.Owner); n != 8 {
		t.Errorf("%d elements, want 8: four ports, self and all of two addresses", n)
	}
	if err := r.Withdraw(goes); err != nil {
		t.Fatal(err)
	}
	same(t, h, before, "after Withdraw")
}

// Publish of a port that another attachment has returns its owner, and changes nothing: for the same key with
// other or the same data, and for a wildcard and an address, in both orders.
//
// Claim: Of two concurrent processes that publish one host port exactly one gets it, a hundred times of a hundred, whether both use the
// same address or one uses the wildcard; the other error has code 102, names the owner, and leaves nothing behind
func TestPortTakenNamesTheOwner(t *testing.T) {
	for _, tc := range []struct {
		name          string
		first, second nft.Entry
		thing         string
	}{
		{"same port", web("first", "", first4), web("second", "", second4), "port 8080/tcp"},
		{"same port and same target", web("first", "", first4), web("second", "", first4), "port 8080/tcp"},
		{"same port of one address", web("first", "192.0.2.1", first4), web("second", "192.0.2.1", second4), "port 8080/tcp of 192.0.2.1"},
		{"wildcard after an address", web("first", "192.0.2.1", first4), web("second", "", second4), "port 8080/tcp of 192.0.2.1"},
		{"address after a wildcard", web("first", "", first4), web("second", "192.0.2.1", second4), "port 8080/tcp"},
		{"IPv6, same port", web("first", "", first6), web("second", "", second6), "port 8080/tcp"},
		{"IPv6, wildcard after an address", web("first", "2001:db8::1", first6), web("second", "", second6), "port 8080/tcp of 2001:db8::1"},
		{"IPv6, address after a wildcard", web("first", "", first6), web("second", "2001:db8::1", second6), "port 8080/tcp"},
		{"last of several ports", web("first", "", first4), publisher("second", port("tcp", "", 8079, second4), port("tcp", "", 8080, second4)), "port 8080/tcp"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			h, r := built(t, tc.first)
			before := list(t, h)
			for what, err := range map[string]error{"Publish": r.Publish(tc.second), "Replace": r.Replace(tc.second, is(tc.second))} {
				var taken *nft.TakenError
				if !errors.As(err, &taken) || !errors.Is(err, nft.ErrPortTaken) || errors.Is(err, nft.ErrTaken) {
					t.Fatalf("%s: got %v, want a TakenError of a port", what, err)
				}
				if !taken.Port || taken.Owner != tc.first.Owner || taken.Thing != tc.thing {
					t.Errorf("%s: got %+v, want %s of %q", what, taken, tc.thing, tc.first.Owner)
				}
			}
			same(t, h, before, "after both errors")
		})
	}
}

// Ports that do not conflict: another number, protocol, version of IP, or address of the host.
func TestPortsBesideEachOther(t *testing.T) {
	h, r := built(t, web("first", "192.0.2.1", first4))
	for i, p := range []nft.Port{
		port("tcp", "192.0.2.2", 8080, second4), port("udp", "", 8080, second4), port("sctp", "192.0.2.1", 8080, second4),
		port("tcp", "", 8081, second4), port("tcp", "192.0.2.1", 8082, second4), port("tcp", "", 8080, second6), port("tcp", "", 80, second4),
	} {
		beside := publisher(fmt.Sprint("beside", i), p)
		beside.NoMasquerade = true
		beside.Ports[0].Container = port("tcp", "", 1, strings.NewReplacer("2.4", fmt.Sprint("2.", 10+i), "::4", fmt.Sprint("::", 10+i)).Replace(p.Container.String())).Container
		if err := r.Publish(beside); err != nil {
			t.Errorf("%v: %v", p, err)
		}
	}
	if n := strings.Count(list(t, h), "net/beside"); n != 14 {
		t.Errorf("%d elements, want 14", n)
	}
}

// Replace replaces a stale owner in one transaction, also a wildcard by an address and an address by a wildcard.
// It removes all elements of the stale owner, because another container may have its address by now.
//
// Claim: The port of a container that ended without a DEL is free at once, with all its other elements; that of a live one is kept, also
// without its record
func TestReplaceRemovesAllOfAStaleOwner(t *testing.T) {
	for name, tc := range map[string]struct{ stale, next string }{
		"same port": {"", ""}, "wildcard replaces an address": {"192.0.2.1", ""}, "address replaces a wildcard": {"", "192.0.2.1"}, "same address": {"192.0.2.1", "192.0.2.1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			stays, next := publisher("stays", port("tcp", "", 9090, "10.1.2.9:80")), web("next", tc.next, second4)
			h, r := built(t, stays)
			if err := r.Publish(next); err != nil {
				t.Fatal(err)
			}
			want := list(t, h)
			if err := r.Withdraw(next); err != nil {
				t.Fatal(err)
			}
			stale := publisher("stale", port("tcp", tc.stale, 8080, first4), port("tcp", "", 7070, first4))
			stale.MarkBit, stale.MasqueradeAll = 20, true
			if err := inHost(h, func() error { return r.Build(stale, only(stale, stays)) }); err != nil {
				t.Fatal(err)
			}
			before, was := list(t, h), generation(t, h)
			if err := r.Replace(next, is(stays)); !errors.Is(err, nft.ErrPortTaken) {
				t.Errorf("the owner is not stale: got %v", err)
			}
			same(t, h, before, "after a Replace that was refused")
			if err := r.Replace(next, is(stale)); err != nil {
				t.Fatal(err)
			}
			if got := generation(t, h); got != was+1 {
				t.Errorf("%d transactions, want 1", got-was)
			}
			sameElements(t, want, list(t, h))
		})
	}
}

// sameElements compares the elements of attachments in two rulesets.
func sameElements(t *testing.T, want, got string) {
	t.Helper()
	only := func(text string) (all []string) {
		for line := range strings.Lines(text) {
			if strings.Contains(line, `comment "patchbay:`) {
				all = append(all, strings.TrimSpace(line))
			}
		}
		return all
	}
	if w, g := fmt.Sprint(only(want)), fmt.Sprint(only(got)); w != g {
		t.Errorf("elements are\n%s\nwant\n%s", g, w)
	}
}

// The first attachment of a network, whose chains do not exist yet, replaces a stale owner too.
//
// Claim: The port of a container that ended without a DEL is free at once, with all its other elements; that of a live one is kept, also
// without its record
func TestBuildReplacesAStaleOwner(t *testing.T) {
	for name, host := range map[string]string{"same port": "", "address replaces a wildcard": "192.0.2.1"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			stale := web("stale", "", first4)
			h, r := built(t, stale)
			next := web("next", host, second4)
			next.Network, next.Addresses, next.MarkBit = "other", prefixes("10.1.2.4/24"), 7
			build := func(isStale func(string) bool) error {
				return inHost(h, func() error {
					return r.BuildReplacing(next, isStale, func() ([]nft.Entry, error) { return nil, errors.New("the entries were listed") })
				})
			}
			if err := r.PublishReplacing(next, is(stale)); !errors.Is(err, nft.ErrNotBuilt) {
				t.Errorf("without the chains: got %v, want ErrNotBuilt", err)
			}
			if err := build(is(next)); !errors.Is(err, nft.ErrPortTaken) {
				t.Errorf("the owner is not stale: got %v", err)
			}
			if err := build(is(stale)); err != nil {
				t.Fatal(err)
			}
			if text := list(t, h); strings.Contains(text, stale.Owner) || strings.Count(text, next.Owner) != 5 {
				t.Errorf("want five elements of the next owner alone:\n%s", text)
			}
		})
	}
}

// Withdraw and WithdrawOwner keep the elements of another owner with the same keys.
//
// Claim: DEL removes its own ports, whether the runtime passes them or not, with its record, without it, or with a torn one; those of
// others stay
func TestWithdrawLeavesAnotherOwnersPorts(t *testing.T) {
	next := publisher("next", port("tcp", "", 8080, first4), port("tcp", "2001:db8::1", 9090, first6), port("udp", "", 53, first4))
	next.MarkBit, next.MasqueradeAll = 20, true
	h, r := built(t, next)
	before := list(t, h)
	late := next
	late.Owner = entry("net", "cni0", "late").Owner
	if err := errors.Join(r.Withdraw(late), withdrawOwner(r, late.Owner)); err != nil {
		t.Error(err)
	}
	same(t, h, before, "after another owner's Withdraw")
}

// 4096 ports are published, completed, withdrawn and replaced in one transaction each.
//
// Claim: 4096 ports are added and removed in one transaction each, and one more is refused
func TestManyPortsInOneTransaction(t *testing.T) {
	stays := web("stays", "", second4)
	h, _ := built(t, stays)
	r := in(t, h) // a new socket, with default buffers
	before := list(t, h)
	many := publisher("many")
	for i := range uint16(4096) {
		many.Ports = append(many.Ports, port("tcp", "", 10000+i, fmt.Sprintf("10.1.2.3:%d", 20000+i)))
	}
	one := func(what string, do func() error) {
		t.Helper()
		was := generation(t, h)
		if err := do(); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if got := generation(t, h); got != was+1 {
			t.Errorf("%s: %d transactions, want 1", what, got-was)
		}
	}
	one("Publish", func() error { return r.Publish(many) })
	if n := strings.Count(list(t, h), many.Owner); n != 4097 {
		t.Errorf("%d elements, want 4097", n)
	}
	if lost := missing(t, h, r, many); len(lost) > 0 {
		t.Errorf("nothing is missing, got %q", lost)
	}
	h.Run(t, "nft", "delete element inet patchbay publish4 { tcp . 14095 }")
	if lost := missing(t, h, r, many); fmt.Sprint(lost) != "[map publish4 of nftables lacks tcp . 14095]" {
		t.Errorf("last port deleted: %q", lost)
	}
	one("Publish of what is missing", func() error { return r.Publish(many) })
	again := publisher("again", many.Ports[4095])
	if err := r.Publish(again); !errors.Is(err, nft.ErrPortTaken) {
		t.Errorf("last port again: got %v", err)
	}
	one("Withdraw", func() error { return r.Withdraw(many) })
	same(t, h, before, "after Withdraw")
	one("Publish again", func() error { return r.Publish(many) })
	next := publisher("next", many.Ports...)
	one("Replace", func() error { return r.Replace(next, is(many)) })
	one("WithdrawOwner", func() error { return withdrawOwner(r, next.Owner) })
	same(t, h, before, "after WithdrawOwner")
}

func missing(t *testing.T, h *nettest.Node, r *nft.Ruleset, e nft.Entry) (lost []string) {
	t.Helper()
	err := inHost(h, func() (err error) {
		lost, err = r.Missing(e)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return lost
}

// Missing names each part of an entry with ports and isolation that was deleted, and Rebuild restores it.
//
// Claim: CHECK reports by name each missing part of a port or of isolation, and ports that differ from the runtime's; reload restores all
// of it
func TestMissingPorts(t *testing.T) {
	e := publisher("a", port("tcp", "", 8080, first4), port("udp", "192.0.2.1", 53, first4), port("tcp", "", 8080, first6))
	e.MarkBit, e.MasqueradeAll, e.Localhost, e.Isolation = 20, true, true, nft.Isolated
	h, r := built(t, e)
	want := list(t, h)
	if lost := missing(t, h, r, e); len(lost) > 0 {
		t.Fatalf("nothing is missing, got %q", lost)
	}
	for _, tc := range []struct{ harm, lost string }{
		{"delete element inet patchbay publish4 { tcp . 8080 }", "map publish4 of nftables lacks tcp . 8080"},
		{"delete element inet patchbay publish4_addr { 192.0.2.1 . udp . 53 }", "map publish4_addr of nftables lacks 192.0.2.1 . udp . 53"},
		{"delete element inet patchbay publish6 { tcp . 8080 }", "map publish6 of nftables lacks tcp . 8080"},
		{"delete element inet patchbay mark4 { tcp . 8080 }", "map mark4 of nftables lacks tcp . 8080"},
		{`delete element inet patchbay self6 { "cni0" . 2001:db8::3 . 2001:db8::3 }`, "map self6 of nftables lacks cni0 . 2001:db8::3 . 2001:db8::3"},
		{`delete element inet patchbay all4 { "cni0" . 10.1.2.3 }`, "map all4 of nftables lacks cni0 . 10.1.2.3"},
		{`delete element inet patchbay intra { "cni0" . "cni0" }`, "map intra of nftables lacks cni0 . cni0"},
		{`delete element inet patchbay apart { "cni0" . "cni0" }`, "map apart of nftables lacks cni0 . cni0"},
		{`delete element inet patchbay isolated { "cni0" }`, "map isolated of nftables lacks cni0"},
		{`delete element inet patchbay localnet { "cni0" }`, "map localnet of nftables lacks cni0"},
		{`delete element bridge patchbay ports_apart { "vetha" }`, "map ports_apart of nftables lacks vetha"},
		{`delete element inet patchbay publish4 { tcp . 8080 }; add element inet patchbay publish4 { tcp . 8080 comment "` + e.Owner + `" : 10.1.2.9 . 80 }`, "map publish4 of nftables maps tcp . 8080 to another container"},
		{`delete element inet patchbay publish4 { tcp . 8080 }; add element inet patchbay publish4 { tcp . 8080 comment "patchbay:9 net/x/eth0" : 10.1.2.3 . 80 }`, `map publish4 of nftables has tcp . 8080 with owner "patchbay:9 net/x/eth0"`},
		{"flush chain inet patchbay translate", "chain translate of nftables has 0 rules, not 4"},
		{"flush chain inet patchbay prerouting", "chain prerouting of nftables has 0 rules, not 3"},
		{"flush chain inet patchbay localnet", "chain localnet of nftables has 0 rules, not 2"},
		{"flush chain inet patchbay publish_20", "chain publish_20 of nftables has 0 rules, not 4"},
		{"flush chain inet patchbay marked", "chain marked of nftables has 0 rules, not 1"},
		{"flush chain bridge patchbay forward", "chain forward of table bridge patchbay of nftables has 0 rules, not 3"},
		{`delete element bridge patchbay ports_self { "vetha" . "vetha" }`, "map ports_self of nftables lacks vetha . vetha"},
		{"delete table bridge patchbay", "map ports_apart of nftables lacks vetha map ports_self of nftables lacks vetha . vetha"},
		{"flush ruleset", "table inet patchbay of nftables is missing, and with it the published ports of 10.1.2.3, the isolation of bridge cni0"},
	} {
		h.Run(t, "nft", tc.harm)
		if got := missing(t, h, r, e); fmt.Sprint(got) != "["+tc.lost+"]" {
			t.Errorf("after nft %s: got %q, want %q alone", tc.harm, got, tc.lost)
		}
		if err := inHost(h, func() error { return r.Rebuild(only(e)) }); err != nil {
			t.Fatalf("Rebuild after nft %s: %v", tc.harm, err)
		}
		same(t, h, want, "after nft "+tc.harm+" and Rebuild")
	}
}
