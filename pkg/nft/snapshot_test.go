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

// published returns an entry with a wildcard port, a port of one address, and a port of IPv6.
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

func snapshot(t *testing.T, r *nft.Ruleset) *nft.Snapshot {
	t.Helper()
	s, err := r.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// A snapshot has each port with its owner, and Snapshot.Missing returns the same as Ruleset.Missing.
//
// Claim: `ports`, `ls`, `inspect` and `show` report who publishes what, in documented fields, and each kind of loss with a word, a mark
// and `reload` as the remedy
func TestSnapshot(t *testing.T) {
	h := host(t)
	r := in(t, h)
	e := published("a")
	same := func(of string, want int) {
		t.Helper()
		alone, err := r.Missing(e)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(alone, snapshot(t, r).Missing(e)); diff != "" || len(alone) != want {
			t.Errorf("%s: %d messages, want %d; (-Ruleset +Snapshot):\n%s", of, len(alone), want, diff)
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
	same("one port deleted, one of another owner", 2)
	s := snapshot(t, r)
	var leads []bool
	for _, p := range e.Ports {
		leads = append(leads, s.IsPublished(p, e.Owner))
	}
	if diff := cmp.Diff([]bool{false, false, true}, leads); diff != "" {
		t.Errorf("which ports lead to the entry (-want +got):\n%s", diff)
	}
	h.Run(t, "nft", "rename chain inet patchbay schema_4 schema_9")
	same("table of a newer version", 0)
	h.Run(t, "nft", "rename chain inet patchbay schema_9 mine")
	same("table of another program", 1)
}

// Snapshot.Missing compares the table of the bridge family too.
//
// Claim: `ports`, `ls`, `inspect` and `show` report who publishes what, in documented fields, and each kind of loss with a word, a mark
// and `reload` as the remedy
func TestSnapshotOfIsolation(t *testing.T) {
	h := host(t)
	r := in(t, h)
	e := entry("net", "cni0", "a", "10.1.2.3/24")
	e.HostInterface, e.Isolation = "vethaaaaaaaaaaa", nft.Isolated
	if err := inHost(h, func() error { return r.Build(e, only(e)) }); err != nil {
		t.Fatal(err)
	}
	if lost := snapshot(t, r).Missing(e); len(lost) != 0 {
		t.Errorf("as built: %q", lost)
	}
	h.Run(t, "nft", "flush chain bridge patchbay forward")
	lost := snapshot(t, r).Missing(e)
	if len(lost) != 1 || !strings.Contains(lost[0], "chain forward of table bridge patchbay") {
		t.Errorf("without its rule: %q", lost)
	}
}

// Published returns all ports of the ruleset, also those without an owner.
//
// Claim: `ports`, `ls`, `inspect` and `show` report who publishes what, in documented fields, and each kind of loss with a word, a mark
// and `reload` as the remedy
func TestPublished(t *testing.T) {
	h := host(t)
	r := in(t, h)
	e := published("a")
	if all := snapshot(t, r).Published(); len(all) != 0 {
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
	got := snapshot(t, r).Published()
	for _, all := range [][]nft.Published{got, want} {
		slices.SortFunc(all, func(a, b nft.Published) int { return strings.Compare(a.String(), b.String()) })
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b }), cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); diff != "" {
		t.Errorf("ports (-want +got):\n%s", diff)
	}
}
