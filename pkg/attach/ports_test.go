package attach

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/patchbay-cni/patchbay/pkg/config"
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

// TestPortsOf: a mapping applies to the first container address of each family of its hostIP.
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
		got, unserved := PortsOf([]config.PortMapping{m}, tc.addresses)
		if diff := cmp.Diff(tc.want, got, netips()); diff != "" || len(unserved) == 1 != (tc.want == nil) {
			t.Errorf("%s: %v (-want +got):\n%s", tc.name, unserved, diff)
		}
	}
	if got, unserved := PortsOf(nil, nil); got != nil || unserved != nil {
		t.Errorf("of no mappings: %v, %v", got, unserved)
	}
}

// TestOpensLocalhost: only an IPv4 port that is published on all addresses or on one of 127.0.0.0/8 is reachable on 127.0.0.1.
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

// TestPolicyOf: the default policy open is not written to records.
func TestPolicyOf(t *testing.T) {
	for policy, want := range map[string]string{"open": "", "same-bridge": "same-bridge", "isolated": "isolated"} {
		if got := policyOf(&config.Config{IngressPolicy: policy}); got != want || named(got) != policy {
			t.Errorf("%s: got %q, named %q", policy, got, named(got))
		}
	}
}
