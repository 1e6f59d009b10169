package ruleset

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/config"
	"github.com/patchbay-cni/patchbay/pkg/nft"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

func netips() cmp.Option {
	return cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{}, netip.AddrPort{})
}

func addr(text string) netip.Addr { return netip.MustParseAddr(text) }

// What a record says of the ruleset, all of it, is what is published and withdrawn.
func TestEntryOf(t *testing.T) {
	r := &store.Record{
		Network: "net", Bridge: "cni0", HostLink: "veth1", Alias: "patchbay:1 net/c1/eth0", Policy: config.PolicyIsolated,
		Masquerade: &store.Masquerade{Addresses: []netip.Prefix{netip.MustParsePrefix("10.1.2.3/24")}, Exclude: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}, RandomFully: true},
		Publish: &store.Publish{All: true, MarkBit: 20, Localhost: true, Ports: []store.Port{
			{Protocol: "udp", HostIP: addr("192.0.2.1"), HostPort: 65534, Count: 2, Container: addr("10.1.2.3"), ContainerPort: 80},
			{Protocol: "sctp", HostPort: 9, Container: addr("2001:db8::3"), ContainerPort: 7}, // one is not counted
		}},
	}
	to := netip.MustParseAddrPort
	want := nft.Entry{
		Network: "net", Bridge: "cni0", HostInterface: "veth1", Owner: "patchbay:1 net/c1/eth0", Isolation: nft.Isolated,
		Addresses: r.Masquerade.Addresses, Exclude: r.Masquerade.Exclude, RandomFully: true, MasqueradeAll: true, MarkBit: 20, Localhost: true,
		Ports: []nft.Port{
			{Proto: unix.IPPROTO_UDP, HostIP: addr("192.0.2.1"), HostPort: 65534, Container: to("10.1.2.3:80")},
			{Proto: unix.IPPROTO_UDP, HostIP: addr("192.0.2.1"), HostPort: 65535, Container: to("10.1.2.3:81")},
			{Proto: unix.IPPROTO_SCTP, HostPort: 9, Container: to("[2001:db8::3]:7")},
		},
	}
	if diff := cmp.Diff(want, entryOf(r), netips()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	bare := &store.Record{Network: "net", Bridge: "cni0", Alias: "patchbay:1 net/c1/eth0"}
	want = nft.Entry{Network: "net", Bridge: "cni0", Owner: "patchbay:1 net/c1/eth0", MarkBit: nft.UsualMarkBit}
	if diff := cmp.Diff(want, entryOf(bare), netips()); diff != "" || IsNeeded(bare) {
		t.Errorf("of a record that has nothing there, in rules %t (-want +got):\n%s", IsNeeded(bare), diff)
	}
	for what, has := range map[string]*store.Record{
		"ports": {Publish: r.Publish}, "masquerade": {Masquerade: r.Masquerade}, "isolation": {Policy: config.PolicySameBridge},
	} {
		if !IsNeeded(has) {
			t.Errorf("a record with %s is not in the rules", what)
		}
	}
	if got := entryOf(&store.Record{Policy: config.PolicySameBridge, Publish: &store.Publish{Plain: true, MarkBit: 0}}); got.Isolation != nft.SameBridge || !got.NoMasquerade || got.MarkBit != 0 {
		t.Errorf("got %+v", got)
	}
}
