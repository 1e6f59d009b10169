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

func TestPlanAddresses(t *testing.T) {
	for _, tc := range []struct {
		name           string
		has, want      []netip.Prefix
		force          bool
		add, remove    []netip.Prefix
		clash, clashed string
	}{
		{name: "nothing there", want: prefixes("10.1.2.1/24"), add: prefixes("10.1.2.1/24")},
		{name: "there already", has: prefixes("10.1.2.1/24"), want: prefixes("10.1.2.1/24")},
		{name: "another IPv4 address", has: prefixes("192.0.2.10/24"), want: prefixes("10.1.2.1/24"), clash: "has other addresses: 192.0.2.10/24, not 10.1.2.1/24"},
		{name: "the same with another length", has: prefixes("10.1.2.1/16"), want: prefixes("10.1.2.1/24"), clash: "has other addresses: 10.1.2.1/16, not 10.1.2.1/24"},
		{name: "another one, by force", has: prefixes("192.0.2.10/24"), want: prefixes("10.1.2.1/24"), force: true, add: prefixes("10.1.2.1/24"), remove: prefixes("192.0.2.10/24")},
		{name: "another IPv6 subnet beside it", has: prefixes("2001:db8:1::1/64"), want: prefixes("2001:db8:2::1/64"), add: prefixes("2001:db8:2::1/64")},
		{name: "the IPv6 subnet itself", has: prefixes("2001:db8:2::9/64"), want: prefixes("2001:db8:2::1/64"), clash: "has other addresses: 2001:db8:2::9/64, not 2001:db8:2::1/64"},
		{name: "the other family", has: prefixes("192.0.2.10/24"), want: prefixes("2001:db8:2::1/64"), add: prefixes("2001:db8:2::1/64")},
		{name: "link-local", has: prefixes("fe80::1/64", "169.254.1.1/16"), want: prefixes("10.1.2.1/24", "fe80::2/64"), add: prefixes("10.1.2.1/24", "fe80::2/64")},
		{name: "two of one family, both wanted", has: prefixes("10.1.2.1/24"), want: prefixes("10.1.2.1/24", "10.1.3.1/24"), add: prefixes("10.1.3.1/24")},
	} {
		t.Run(tc.name, func(t *testing.T) {
			plan, err := PlanAddresses(tc.has, tc.want, tc.force)
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

// The packets byte for byte, so that nobody has to trust a checksum.
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

func TestRouteText(t *testing.T) {
	r := Route{Dst: netip.MustParsePrefix("0.0.0.0/0"), GW: netip.MustParseAddr("10.1.2.1"), Priority: 100, Table: 7}
	if got, want := r.String(), "0.0.0.0/0 via 10.1.2.1 metric 100 table 7"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
