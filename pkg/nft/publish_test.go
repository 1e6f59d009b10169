package nft_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/pkg/nft"
)

// entry returns the entry of an attachment. The ID of its owner is the name in hexadecimal.
func entry(network, bridge, name string, addresses ...string) nft.Entry {
	e := nft.Entry{Network: network, Bridge: bridge, Owner: fmt.Sprintf("patchbay:%012x %s/%s/eth0", name, network, name)}
	e.Addresses = prefixes(addresses...)
	return e
}

func prefixes(texts ...string) (all []netip.Prefix) {
	for _, text := range texts {
		all = append(all, netip.MustParsePrefix(text))
	}
	return all
}

func only(entries ...nft.Entry) func() ([]nft.Entry, error) {
	return func() ([]nft.Entry, error) { return entries, nil }
}

// host returns a host on which the test may leave tables of nftables.
func host(t *testing.T) *nettest.Node {
	h := nettest.Host(t)
	nettest.Need(t, nettest.Tool("nft"))
	h.Allow("nft ")
	return h
}

// in opens the ruleset of a host.
func in(t *testing.T, h *nettest.Node) *nft.Ruleset {
	t.Helper()
	var r *nft.Ruleset
	var err error
	h.Do(func() { r, err = nft.Open() })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

// inHost calls run in the network namespace of the host: it opens sockets.
func inHost(h *nettest.Node, run func() error) (err error) {
	h.Do(func() { err = run() })
	return err
}

func list(t *testing.T, h *nettest.Node) string { return h.Run(t, "nft", "list", "ruleset") }

// Claim: An address of a bridge belongs to one attachment; a second claim names the owner, a stale owner is replaced in one transaction,
// an existing equal element is accepted
func TestPublishNeedsBuild(t *testing.T) {
	h := host(t)
	r := in(t, h)
	e := entry("net", "cni0", "a", "10.1.2.3/24", "2001:db8::3/64")
	if err := r.Publish(e); !errors.Is(err, nft.ErrNotBuilt) {
		t.Fatalf("without a table: got %v, want ErrNotBuilt", err)
	}
	if got := list(t, h); got != "" {
		t.Fatalf("a refused Publish left:\n%s", got)
	}
	if err := inHost(h, func() error { return r.Build(e, only(e)) }); err != nil {
		t.Fatal(err)
	}
	before := list(t, h)
	for _, line := range []string{
		`"cni0" . 10.1.2.3 comment "patchbay:` + fmt.Sprintf("%012x", "a") + ` net/a/eth0" : jump masq_net_`,
		`"cni0" . 2001:db8::3 comment`, "ip daddr 10.1.2.0/24 return", "ip6 daddr 2001:db8::/64 return", "ip daddr 224.0.0.0/4 return",
		"chain schema_4 {",
	} {
		if !strings.Contains(before, line) {
			t.Errorf("%q is not in\n%s", line, before)
		}
	}
	other := entry("net", "cni0", "b", "10.1.2.4/24", "2001:db8::4/64")
	if err := r.Publish(other); err != nil {
		t.Fatalf("Publish where all is built: %v", err)
	}
	if list(t, h) == before {
		t.Error("Publish changed nothing")
	}
	if err := r.Withdraw(other); err != nil {
		t.Fatal(err)
	}
	if got := list(t, h); got != before {
		t.Errorf("after Withdraw\n%s\nbefore\n%s", got, before)
	}
	t.Log(before)
}

// Claim: After `nft flush ruleset`, `patchbay reload` restores connectivity without touching a container; CHECK reports the loss before;
// the next ADD of any attachment repairs it too
// Claim: The table is built complete: at first, after a flush, when damaged, and from an older version; a newer one's and a foreign one
// are kept as they are
func TestMissing(t *testing.T) {
	h := host(t)
	r := in(t, h)
	e := entry("net", "cni0", "a", "10.1.2.3/24")
	if err := inHost(h, func() error { return r.Build(e, only(e)) }); err != nil {
		t.Fatal(err)
	}
	missing := func() (lost []string) {
		t.Helper()
		err := inHost(h, func() (err error) { lost, err = r.Missing(e); return err })
		if err != nil {
			t.Fatal(err)
		}
		return lost
	}
	if got := missing(); len(got) > 0 {
		t.Fatalf("nothing is missing, got %q", got)
	}
	for _, tc := range []struct{ command, want string }{
		{"flush map inet patchbay masq4", "map masq4 of nftables lacks cni0 . 10.1.2.3"},
		{"flush chain inet patchbay postrouting", "chain postrouting of nftables has 0 rules, not 5"},
		{`delete element inet patchbay masq4 { "cni0" . 10.1.2.3 }; add element inet patchbay masq4 { "cni0" . 10.1.2.3 comment "patchbay:9 net/other/eth0" : accept }`, `map masq4 of nftables has cni0 . 10.1.2.3 with owner "patchbay:9 net/other/eth0"`},
		{`add chain inet patchbay x; delete element inet patchbay masq4 { "cni0" . 10.1.2.3 }; add element inet patchbay masq4 { "cni0" . 10.1.2.3 comment "` + e.Owner + `" : jump x }`, "map masq4 of nftables maps cni0 . 10.1.2.3 to chain x, not masq_net_"},
		{"add chain inet patchbay y; delete chain inet patchbay schema_4", "table inet patchbay of nftables: table not built by patchbay"},
		{"delete table inet patchbay", "table inet patchbay of nftables is missing"},
	} {
		h.Run(t, "nft", tc.command)
		got := missing()
		if !slices.ContainsFunc(got, func(s string) bool { return strings.HasPrefix(s, tc.want) }) {
			t.Errorf("after nft %s: got %q, want %q", tc.command, got, tc.want)
		}
		if strings.Contains(tc.command, "schema_4") {
			h.Run(t, "nft", "delete table inet patchbay") // otherwise Rebuild returns ErrForeign
		}
		if err := inHost(h, func() error { return r.Rebuild(only(e)) }); err != nil {
			t.Fatalf("rebuild after nft %s: %v", tc.command, err)
		}
		if got := missing(); len(got) > 0 {
			t.Errorf("after Rebuild: %q", got)
		}
	}
	h.Run(t, "nft", "flush map inet patchbay masq4; delete chain inet patchbay schema_4; add chain inet patchbay schema_5")
	if got := missing(); len(got) > 0 {
		t.Errorf("table of a newer version, whose rules this one does not know: %q", got)
	}
}

// generation returns the generation ID of the host's ruleset, which each transaction increments.
func generation(t *testing.T, h *nettest.Node) (n uint32) {
	t.Helper()
	err := inHost(h, func() error {
		c, err := netlink.Dial(unix.NETLINK_NETFILTER, nil)
		if err != nil {
			return err
		}
		defer c.Close()
		answers, err := c.Execute(netlink.Message{
			Header: netlink.Header{Type: unix.NFNL_SUBSYS_NFTABLES<<8 | unix.NFT_MSG_GETGEN, Flags: netlink.Request},
			Data:   []byte{unix.AF_UNSPEC, unix.NFNETLINK_V0, 0, 0},
		})
		if err != nil {
			return err
		}
		ad, err := netlink.NewAttributeDecoder(answers[0].Data[4:])
		if err != nil {
			return err
		}
		ad.ByteOrder = binary.BigEndian
		for ad.Next() {
			if ad.Type() == unix.NFTA_GEN_ID {
				n = ad.Uint32()
			}
		}
		return ad.Err()
	})
	if err != nil || n == 0 {
		t.Fatalf("generation %d: %v", n, err)
	}
	return n
}
