package attach

import (
	"errors"
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

func leased(texts ...string) (all []store.Address) {
	for _, text := range texts {
		all = append(all, store.Address{Address: netip.MustParsePrefix(text)})
	}
	return all
}

// A mapping leads to the container's first address of each family that its hostIP is for.
func TestPortsOf(t *testing.T) {
	dual := leased("10.1.2.3/24", "2001:db8::3/64", "10.1.3.3/24", "2001:db8:1::3/64")
	four, six := store.Port{Protocol: "tcp", HostPort: 8080, Count: 2, Container: addr("10.1.2.3"), ContainerPort: 80}, store.Port{Protocol: "tcp", HostPort: 8080, Count: 2, Container: addr("2001:db8::3"), ContainerPort: 80}
	on := func(p store.Port, host string) store.Port {
		p.HostIP = addr(host)
		return p
	}
	for _, tc := range []struct {
		name, host string
		addresses  []store.Address
		want       []store.Port
	}{
		{"any, of two families", "", dual, []store.Port{four, six}},
		{"any, of IPv4 alone", "", leased("10.1.2.3/24"), []store.Port{four}},
		{"any, of IPv6 alone", "", leased("2001:db8::3/64"), []store.Port{six}},
		{"any of IPv4", "0.0.0.0", dual, []store.Port{four}},
		{"any of IPv6", "::", dual, []store.Port{six}},
		{"one of IPv4", "192.0.2.1", dual, []store.Port{on(four, "192.0.2.1")}},
		{"one of IPv6", "2001:db8:f::1", dual, []store.Port{on(six, "2001:db8:f::1")}},
		{"one of a family without address", "2001:db8:f::1", leased("10.1.2.3/24"), nil},
		{"any of a family without address", "0.0.0.0", leased("2001:db8::3/64"), nil},
		{"no address at all", "", nil, nil},
	} {
		m := config.PortMapping{Protocol: "tcp", HostPort: 8080, ContainerPort: 80, Count: 2}
		if tc.host != "" {
			m.HostIP = addr(tc.host)
		}
		got, err := portsOf([]config.PortMapping{m}, tc.addresses)
		if diff := cmp.Diff(tc.want, got, netips()); diff != "" || errors.Is(err, errNoFamily) != (tc.want == nil) {
			t.Errorf("%s: %v (-want +got):\n%s", tc.name, err, diff)
		}
	}
	if got, err := portsOf(nil, nil); got != nil || err != nil {
		t.Errorf("of no mappings: %v, %v", got, err)
	}
}

// Only a port of IPv4, of any address or of one of 127.0.0.0/8, is reached by 127.0.0.1.
func TestOpensLocalhost(t *testing.T) {
	for _, tc := range []struct {
		host, container string
		want            bool
	}{
		{"", "10.1.2.3", true},
		{"127.0.0.1", "10.1.2.3", true},
		{"127.1.2.3", "10.1.2.3", true},
		{"192.0.2.1", "10.1.2.3", false},
		{"", "2001:db8::3", false},
		{"2001:db8::1", "2001:db8::3", false},
	} {
		p := store.Port{Container: addr(tc.container)}
		if tc.host != "" {
			p.HostIP = addr(tc.host)
		}
		other := store.Port{Container: addr("2001:db8::9")}
		if got := opensLocalhost([]store.Port{other, p}); got != tc.want {
			t.Errorf("%+v: got %t", tc, got)
		}
	}
}

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
		Network: "net", Bridge: "cni0", HostLink: "veth1", Owner: "patchbay:1 net/c1/eth0", Isolation: nft.Isolated,
		Addresses: r.Masquerade.Addresses, Exclude: r.Masquerade.Exclude, RandomFully: true, All: true, MarkBit: 20, Localhost: true,
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
	if diff := cmp.Diff(want, entryOf(bare), netips()); diff != "" || inRules(bare) {
		t.Errorf("of a record that has nothing there, in rules %t (-want +got):\n%s", inRules(bare), diff)
	}
	for what, has := range map[string]*store.Record{
		"ports": {Publish: r.Publish}, "masquerade": {Masquerade: r.Masquerade}, "isolation": {Policy: config.PolicySameBridge},
	} {
		if !inRules(has) {
			t.Errorf("a record with %s is not in the rules", what)
		}
	}
	if got := entryOf(&store.Record{Policy: config.PolicySameBridge, Publish: &store.Publish{Plain: true, MarkBit: 0}}); got.Isolation != nft.SameBridge || !got.Plain || got.MarkBit != 0 {
		t.Errorf("got %+v", got)
	}
}

// The policy open, which most have, takes no room in a record.
func TestPolicyOf(t *testing.T) {
	for policy, want := range map[string]string{"open": "", "same-bridge": "same-bridge", "isolated": "isolated"} {
		if got := policyOf(&config.Config{IngressPolicy: policy}); got != want || named(got) != policy {
			t.Errorf("%s: got %q, named %q", policy, got, named(got))
		}
	}
}
