package nft_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/nft"
)

// published is an entry with a port of any address, one of a single one, and one of IPv6.
func published(name string) nft.Entry {
	e := entry("net", "cni0", name, "10.1.2.3/24", "2001:db8::3/64")
	e.MarkBit = nft.UsualMarkBit
	e.Ports = []nft.Port{
		{Proto: unix.IPPROTO_TCP, HostPort: 8080, Container: netip.MustParseAddrPort("10.1.2.3:80")},
		{Proto: unix.IPPROTO_UDP, HostPort: 53, HostIP: netip.MustParseAddr("192.0.2.1"), Container: netip.MustParseAddrPort("10.1.2.3:5353")},
		{Proto: unix.IPPROTO_SCTP, HostPort: 65535, HostIP: netip.MustParseAddr("2001:db8::1"), Container: netip.MustParseAddrPort("[2001:db8::3]:1")},
	}
	return e
}

func look(t *testing.T, r *nft.Ruleset) *nft.Look {
	t.Helper()
	l, err := r.Look()
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// A look finds every port with its owner, and says of each entry what Missing says of it.
func TestLook(t *testing.T) {
	h := host(t)
	r := in(t, h)
	e := published("a")
	same := func(of string, want int) {
		t.Helper()
		alone, err := r.Missing(e)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(alone, look(t, r).Missing(e)); diff != "" || len(alone) != want {
			t.Errorf("%s: %d sentences, want %d; (-Missing +Look):\n%s", of, len(alone), want, diff)
		}
	}
	same("without a table", 1)
	if err := inHost(h, func() error { return r.Build(e, only(e)) }); err != nil {
		t.Fatal(err)
	}
	same("as built", 0)
	h.Run(t, "nft", "flush chain inet patchbay translate")
	same("without rules", 1)
	h.Run(t, "nft", "delete element inet patchbay publish4 { tcp . 8080 }")
	h.Run(t, "nft", `delete element inet patchbay publish4_addr { 192.0.2.1 . udp . 53 }; add element inet patchbay publish4_addr { 192.0.2.1 . udp . 53 : 10.1.2.9 . 53 }`)
	same("without a port, and with one of somebody else", 2)
	l := look(t, r)
	var leads []bool
	for _, p := range e.Ports {
		leads = append(leads, l.Leads(p, e.Owner))
	}
	if diff := cmp.Diff([]bool{false, false, true}, leads); diff != "" {
		t.Errorf("which ports lead to the entry (-want +got):\n%s", diff)
	}
	h.Run(t, "nft", "rename chain inet patchbay schema_2 schema_9")
	same("of a newer patchbay", 0)
	h.Run(t, "nft", "rename chain inet patchbay schema_9 mine")
	same("of somebody else", 1)
}

// Isolation is judged too, in its own table.
func TestLookAtIsolation(t *testing.T) {
	h := host(t)
	r := in(t, h)
	e := entry("net", "cni0", "a", "10.1.2.3/24")
	e.HostLink, e.Isolation = "vethaaaaaaaaaaa", nft.Isolated
	if err := inHost(h, func() error { return r.Build(e, only(e)) }); err != nil {
		t.Fatal(err)
	}
	if lost := look(t, r).Missing(e); len(lost) != 0 {
		t.Errorf("as built: %q", lost)
	}
	h.Run(t, "nft", "flush chain bridge patchbay forward")
	lost := look(t, r).Missing(e)
	if len(lost) != 1 || !strings.Contains(lost[0], "chain forward of table bridge patchbay") {
		t.Errorf("without its rule: %q", lost)
	}
}

// Published tells all ports as they are in the ruleset, also those of nobody.
func TestPublished(t *testing.T) {
	h := host(t)
	r := in(t, h)
	e := published("a")
	if all := look(t, r).Published(); len(all) != 0 {
		t.Errorf("without a table: %v", all)
	}
	if err := inHost(h, func() error { return r.Build(e, only(e)) }); err != nil {
		t.Fatal(err)
	}
	h.Run(t, "nft", "add element inet patchbay publish6 { tcp . 1 : 2001:db8::9 . 2 }")
	want := []nft.Published{{Port: nft.Port{Proto: unix.IPPROTO_TCP, HostPort: 1, Container: netip.MustParseAddrPort("[2001:db8::9]:2")}}}
	for _, p := range e.Ports {
		want = append(want, nft.Published{Port: p, Owner: e.Owner})
	}
	got := look(t, r).Published()
	for _, all := range [][]nft.Published{got, want} {
		slices.SortFunc(all, func(a, b nft.Published) int { return strings.Compare(a.String(), b.String()) })
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b }), cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); diff != "" {
		t.Errorf("ports (-want +got):\n%s", diff)
	}
}
