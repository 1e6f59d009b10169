package nfnl_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/pkg/nfnl"
)

// subscribed runs a test on a host whose nftables are watched.
func subscribed(t *testing.T, run func(h *nettest.Node, c *nfnl.Changes)) {
	t.Helper()
	h := nettest.Host(t)
	h.Allow("nft ")
	var c *nfnl.Changes
	var err error
	h.Do(func() { c, err = nfnl.OpenChanges() })
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	run(h, c)
}

// TestChanges: each transaction ends with its program, and has what it deleted, by table, chain and kind, and the chains that it created.
func TestChanges(t *testing.T) {
	subscribed(t, func(h *nettest.Node, c *nfnl.Changes) {
		h.Run(t, "nft", "add table inet a; add chain inet a c; add rule inet a c drop; add set inet a s { type ipv4_addr; elements = { 10.0.0.1 }; }")
		h.Run(t, "nft", "delete element inet a s { 10.0.0.1 }; flush chain inet a c")
		h.Run(t, "nft", "delete table inet a")
		want := [][]nfnl.Object{
			nil,
			{{unix.NFT_MSG_DELSETELEM, unix.NFPROTO_INET, "a", ""}, {unix.NFT_MSG_DELRULE, unix.NFPROTO_INET, "a", "c"}},
			{{unix.NFT_MSG_DELTABLE, unix.NFPROTO_INET, "a", ""}, {unix.NFT_MSG_DELCHAIN, unix.NFPROTO_INET, "a", "c"}, {unix.NFT_MSG_DELSET, unix.NFPROTO_INET, "a", ""}},
		}
		var got []nfnl.Transaction
		for len(got) < len(want) {
			ended, err := c.Read()
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, ended...)
		}
		for i, one := range got {
			if one.Program != "nft" || one.PID <= 0 {
				t.Errorf("transaction %d is of %q (%d)", i, one.Program, one.PID)
			}
			for _, r := range want[i] {
				if !strings.Contains(fmt.Sprint(one.Removed), fmt.Sprint(r)) {
					t.Errorf("transaction %d: %+v is not in %+v", i, r, one.Removed)
				}
			}
		}
		if len(got[0].Removed) > 0 {
			t.Errorf("the first transaction removed %+v", got[0].Removed)
		}
		for i, want := range []string{"[{3 1 a c}]", "[]", "[]"} { // NFT_MSG_NEWCHAIN, NFPROTO_INET
			if made := fmt.Sprint(got[i].Chains); made != want {
				t.Errorf("transaction %d created %s, want %s", i, made, want)
			}
		}
	})
}

// TestChangesLost: notifications that do not fit into the receive buffer are an ENOBUFS, and later ones are read.
func TestChangesLost(t *testing.T) {
	subscribed(t, func(h *nettest.Node, c *nfnl.Changes) {
		if err := unix.SetsockoptInt(c.FD(), unix.SOL_SOCKET, unix.SO_RCVBUF, 4096); err != nil {
			t.Fatal(err)
		}
		for i := range 30 {
			h.Run(t, "nft", fmt.Sprintf("add table inet t%d; add set inet t%d s { type inet_service; elements = { 1, 2, 3, 4, 5, 6, 7, 8, 9 }; }", i, i))
		}
		for {
			if _, err := c.Read(); errors.Is(err, unix.ENOBUFS) {
				break
			} else if err != nil {
				t.Fatalf("got %v, want ENOBUFS", err)
			}
		}
		for {
			if _, err := c.Read(); err != nil {
				break // read to its end
			}
		}
		h.Run(t, "nft", "add table inet last")
		var ended []nfnl.Transaction
		for err := error(nil); err == nil && len(ended) == 0; {
			ended, err = c.Read()
		}
		if len(ended) != 1 || ended[0].Program != "nft" {
			t.Errorf("got %+v", ended)
		}
	})
}
