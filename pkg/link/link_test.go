package link

import (
	"encoding/hex"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func prefixes(texts ...string) []netip.Prefix {
	var out []netip.Prefix
	for _, text := range texts {
		out = append(out, netip.MustParsePrefix(text))
	}
	return out
}

// Claim: ADD keeps other addresses of the bridge beside the gateway; without `forceAddress` another subnet is a conflict on an existing
// bridge, and `forceAddress` removes only addresses that overlap
func TestPlanAddresses(t *testing.T) {
	own, force := AddressRules{Own: true}, AddressRules{Force: true}
	for _, tc := range []struct {
		name        string
		has, want   []netip.Prefix
		rules       AddressRules
		add, remove []netip.Prefix
		clash       string
	}{
		{name: "bridge without addresses", want: prefixes("10.1.2.1/24"), add: prefixes("10.1.2.1/24")},
		{name: "already present", has: prefixes("10.1.2.1/24"), want: prefixes("10.1.2.1/24")},
		{name: "present beside others", has: prefixes("192.0.2.10/24", "10.1.2.100/32", "10.1.2.1/24", "10.1.2.9/24", "2001:db8::1/64"), want: prefixes("10.1.2.1/24")},
		{name: "present beside others, with force", has: prefixes("192.0.2.10/24", "10.1.2.1/24", "10.1.2.9/24"), want: prefixes("10.1.2.1/24"), rules: force},
		{name: "another IPv4 subnet", has: prefixes("192.0.2.10/24"), want: prefixes("10.1.2.1/24"), clash: "conflicting addresses: present is 192.0.2.10/24, required is 10.1.2.1/24"},
		{name: "another IPv4 subnet, with force", has: prefixes("192.0.2.10/24"), want: prefixes("10.1.2.1/24"), rules: force, add: prefixes("10.1.2.1/24")},
		{name: "the same with another length", has: prefixes("10.1.2.1/16"), want: prefixes("10.1.2.1/24"), clash: "conflicting addresses: present is 10.1.2.1/16, required is 10.1.2.1/24"},
		{name: "overlapping, with force", has: prefixes("10.1.2.9/24", "10.1.0.1/16", "10.1.2.100/32", "192.0.2.10/24"), want: prefixes("10.1.2.1/24"), rules: force, add: prefixes("10.1.2.1/24"), remove: prefixes("10.1.2.9/24", "10.1.0.1/16")},
		{name: "a single IPv4 address", has: prefixes("10.1.2.100/32", "192.0.2.1/32"), want: prefixes("10.1.2.1/24"), add: prefixes("10.1.2.1/24")},
		{name: "the address alone", has: prefixes("10.1.2.1/32"), want: prefixes("10.1.2.1/24"), add: prefixes("10.1.2.1/24")},
		{name: "a single IPv6 address", has: prefixes("2001:db8:2::100/128"), want: prefixes("2001:db8:2::1/64"), add: prefixes("2001:db8:2::1/64")},
		{name: "the IPv6 address alone", has: prefixes("2001:db8:2::1/128"), want: prefixes("2001:db8:2::1/64"), clash: "conflicting addresses: present is 2001:db8:2::1/128, required is 2001:db8:2::1/64"},
		{name: "another IPv6 subnet beside it", has: prefixes("2001:db8:1::1/64"), want: prefixes("2001:db8:2::1/64"), add: prefixes("2001:db8:2::1/64")},
		{name: "the IPv6 subnet itself", has: prefixes("2001:db8:2::9/64"), want: prefixes("2001:db8:2::1/64"), clash: "conflicting addresses: present is 2001:db8:2::9/64, required is 2001:db8:2::1/64"},
		{name: "the IPv6 subnet itself, with force", has: prefixes("2001:db8:2::9/64", "2001:db8:3::9/64"), want: prefixes("2001:db8:2::1/64"), rules: force, add: prefixes("2001:db8:2::1/64"), remove: prefixes("2001:db8:2::9/64")},
		{name: "a longer IPv6 prefix is no gateway of another's bridge", has: prefixes("2001:db8:2::1/48"), want: prefixes("2001:db8:2::1/64"), clash: "conflicting addresses: present is 2001:db8:2::1/48, required is 2001:db8:2::1/64"},
		{name: "the other family", has: prefixes("192.0.2.10/24"), want: prefixes("2001:db8:2::1/64"), add: prefixes("2001:db8:2::1/64")},
		{name: "link-local", has: prefixes("fe80::1/64", "169.254.1.1/16"), want: prefixes("10.1.2.1/24", "fe80::2/64"), add: prefixes("10.1.2.1/24", "fe80::2/64")},
		{name: "two of one family, both wanted", has: prefixes("10.1.2.1/24"), want: prefixes("10.1.2.1/24", "10.1.3.1/24"), add: prefixes("10.1.3.1/24")},
		{name: "two of one family, one wanted now", has: prefixes("10.1.2.1/24"), want: prefixes("10.1.3.1/24"), rules: AddressRules{Siblings: prefixes("10.1.2.1/24", "10.1.3.1/24")}, add: prefixes("10.1.3.1/24")},
		{name: "own: another subnet", has: prefixes("10.1.2.1/24", "2001:db8:1::1/64"), want: prefixes("10.1.3.1/24", "2001:db8:2::1/64"), rules: own, add: prefixes("10.1.3.1/24", "2001:db8:2::1/64")},
		{name: "own: the same subnet", has: prefixes("10.1.2.1/24", "2001:db8:1::1/64"), want: prefixes("10.1.2.254/24", "2001:db8:1::ff/64"), rules: own, add: prefixes("10.1.2.254/24", "2001:db8:1::ff/64")},
		{name: "own: a shorter IPv4 prefix", has: prefixes("10.1.0.1/24"), want: prefixes("10.1.0.1/16"), rules: own, add: prefixes("10.1.0.1/16")},
		{name: "own: a shorter IPv6 prefix", has: prefixes("2001:db8:1::1/64"), want: prefixes("2001:db8:1::1/48"), rules: own, add: prefixes("2001:db8:1::1/48"), remove: prefixes("2001:db8:1::1/64")},
		{name: "own: a longer IPv6 prefix", has: prefixes("2001:db8:1::1/48"), want: prefixes("2001:db8:1::1/64"), rules: own},
		{name: "own: force removes nothing", has: prefixes("10.1.2.9/24"), want: prefixes("10.1.2.1/24"), rules: AddressRules{Own: true, Force: true}, add: prefixes("10.1.2.1/24")},
	} {
		t.Run(tc.name, func(t *testing.T) {
			plan, err := PlanAddresses(tc.has, tc.want, tc.rules)
			if tc.clash != "" {
				if !errors.Is(err, ErrClash) || err.Error() != tc.clash {
					t.Errorf("got error %v, want %q", err, tc.clash)
				}
				return
			}
			want := AddressPlan{Add: tc.add, Remove: tc.remove, Want: tc.want}
			if err != nil || !cmp.Equal(want, plan, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })) {
				t.Errorf("got %+v, %v, want %+v", plan, err, want)
			}
		})
	}
}

// TestAnnouncements compares the packets byte for byte, checksums included.
func TestAnnouncements(t *testing.T) {
	mac, _ := net.ParseMAC("02:11:22:33:44:55")
	packets := announcements(mac, prefixes("192.0.2.100/24", "2001:db8::a1:b2c3/64"))
	want := []string{
		// listener report: hop-by-hop router alert, change to exclude ff02::1:ffa1:b2c3
		"60000000" + "0024" + "00" + "01" + strings.Repeat("00", 16) + "ff020000000000000000000000000016" +
			"3a00050200000100" + "8f00" + "bc25" + "00000001" + "04000000" + "ff0200000000000000000001ffa1b2c3",
		// unsolicited neighbour advertisement, override, to all nodes
		"60000000" + "0020" + "3a" + "ff" + "20010db8000000000000000000a1b2c3" + "ff020000000000000000000000000001" +
			"8800" + "2bcb" + "20000000" + "20010db8000000000000000000a1b2c3" + "0201" + "021122334455",
	}
	var got []string
	for _, packet := range packets {
		got = append(got, hex.EncodeToString(packet))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("packets (-want +got):\n%s", diff)
	}
	if none := announcements(mac, prefixes("192.0.2.100/24")); len(none) != 0 {
		t.Errorf("packets for an IPv4 address alone: %d", len(none))
	}
}

// TestRouteText: a route is printed as ip-route(8) prints it.
func TestRouteText(t *testing.T) {
	r := Route{Dst: netip.MustParsePrefix("0.0.0.0/0"), GW: netip.MustParseAddr("10.1.2.1"), Priority: 100, Table: 7}
	if got, want := r.String(), "0.0.0.0/0 via 10.1.2.1 metric 100 table 7"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
