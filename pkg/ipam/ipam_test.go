package ipam

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }
func addr(s string) netip.Addr     { return netip.MustParseAddr(s) }

func texts(addrs []netip.Addr) []string {
	var out []string
	for _, a := range addrs {
		out = append(out, a.String())
	}
	return out
}

func TestRangeDefaults(t *testing.T) {
	for _, tc := range []struct{ subnet, start, end, gateway string }{
		{"10.1.2.0/24", "10.1.2.1", "10.1.2.254", "10.1.2.1"},
		{"10.1.2.0/30", "10.1.2.1", "10.1.2.2", "10.1.2.1"},
		{"10.1.2.4/31", "10.1.2.4", "10.1.2.5", "10.1.2.5"},
		{"10.1.2.4/32", "10.1.2.4", "10.1.2.4", "invalid IP"},
		{"2001:db8::/64", "2001:db8::1", "2001:db8::ffff:ffff:ffff:ffff", "2001:db8::1"},
		{"2001:db8::/126", "2001:db8::1", "2001:db8::3", "2001:db8::1"},
		{"2001:db8::4/127", "2001:db8::4", "2001:db8::5", "2001:db8::5"},
		{"2001:db8::4/128", "2001:db8::4", "2001:db8::4", "invalid IP"},
		{"0.0.0.0/0", "0.0.0.1", "255.255.255.254", "0.0.0.1"},
	} {
		r := Range{Subnet: prefix(tc.subnet)}
		if err := r.Complete(); err != nil {
			t.Errorf("%s: %v", tc.subnet, err)
			continue
		}
		got := []string{r.Start.String(), r.End.String(), r.Gateway.String()}
		if diff := cmp.Diff([]string{tc.start, tc.end, tc.gateway}, got); diff != "" {
			t.Errorf("%s: start, end, gateway (-want +got):\n%s", tc.subnet, diff)
		}
	}
}

func TestPoolRefuses(t *testing.T) {
	one := func(r Range) Pool { return Pool{Sets: []Set{{r}}} }
	for _, tc := range []struct {
		name string
		pool Pool
		want string
	}{
		{"no sets", Pool{}, "no ranges"},
		{"empty set", Pool{Sets: []Set{{}}}, "a set of ranges is empty"},
		{"no subnet", one(Range{}), "subnet is missing"},
		{"host bits", one(Range{Subnet: prefix("10.1.2.3/24")}), "subnet 10.1.2.3/24 has host bits set, 10.1.2.0/24 is meant"},
		{"start outside", one(Range{Subnet: prefix("10.1.2.0/24"), Start: addr("10.1.3.1")}), "rangeStart 10.1.3.1 is not in subnet 10.1.2.0/24"},
		{"end outside", one(Range{Subnet: prefix("10.1.2.0/24"), End: addr("10.1.3.1")}), "rangeEnd 10.1.3.1 is not in subnet 10.1.2.0/24"},
		{"end before start", one(Range{Subnet: prefix("10.1.2.0/24"), Start: addr("10.1.2.9"), End: addr("10.1.2.8")}), "rangeEnd 10.1.2.8 comes before rangeStart 10.1.2.9"},
		{"gateway family", one(Range{Subnet: prefix("10.1.2.0/24"), Gateway: addr("2001:db8::1")}), "gateway 2001:db8::1 is of another family than subnet 10.1.2.0/24"},
		{"two families", Pool{Sets: []Set{{{Subnet: prefix("10.1.2.0/24")}, {Subnet: prefix("2001:db8::/64")}}}}, "10.1.2.1-10.1.2.254 and 2001:db8::1-2001:db8::ffff:ffff:ffff:ffff in one range set have different address families"},
		{"overlap in a set", Pool{Sets: []Set{{{Subnet: prefix("10.1.2.0/24")}, {Subnet: prefix("10.1.2.128/25")}}}}, "10.1.2.1-10.1.2.254 and 10.1.2.129-10.1.2.254 overlap"},
		{"overlap of sets", Pool{Sets: []Set{{{Subnet: prefix("10.1.2.128/25")}}, {{Subnet: prefix("10.1.2.0/24")}}}}, "sets 10.1.2.129-10.1.2.254 and 10.1.2.1-10.1.2.254 overlap"},
		{"all excluded", Pool{Sets: []Set{{{Subnet: prefix("10.1.2.0/24")}}}, Exclude: []netip.Prefix{prefix("10.1.2.0/24")}}, "nothing is left of 10.1.2.1-10.1.2.254 without its gateway and exclude"},
		{"only the gateway", one(Range{Subnet: prefix("10.1.2.0/24"), End: addr("10.1.2.1")}), "nothing is left of 10.1.2.1-10.1.2.1 without its gateway and exclude"},
		{"a /64 all excluded but its gateway", Pool{Sets: []Set{{{Subnet: prefix("2001:db8::/64")}}}, Exclude: []netip.Prefix{prefix("2001:db8::/65"), prefix("2001:db8:0:0:8000::/65")}}, "nothing is left"},
	} {
		err := tc.pool.Complete()
		if !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want it to say %q", tc.name, err, tc.want)
		}
	}
}

func TestCandidatesRoundRobin(t *testing.T) {
	two := []Set{{
		{Subnet: prefix("10.1.2.0/24"), Start: addr("10.1.2.1"), End: addr("10.1.2.3")},
		{Subnet: prefix("10.1.9.0/24"), Start: addr("10.1.9.7"), End: addr("10.1.9.8")},
	}}
	for _, tc := range []struct {
		name, last string
		exclude    []netip.Prefix
		want       string
	}{
		{"from the start", "", nil, "10.1.2.2 10.1.2.3 10.1.9.7 10.1.9.8"},
		{"after the first", "10.1.2.2", nil, "10.1.2.3 10.1.9.7 10.1.9.8 10.1.2.2"},
		{"after the last of a range", "10.1.2.3", nil, "10.1.9.7 10.1.9.8 10.1.2.2 10.1.2.3"},
		{"in the second range", "10.1.9.7", nil, "10.1.9.8 10.1.2.2 10.1.2.3 10.1.9.7"},
		{"at the very end", "10.1.9.8", nil, "10.1.2.2 10.1.2.3 10.1.9.7 10.1.9.8"},
		{"cursor outside", "10.7.7.7", nil, "10.1.2.2 10.1.2.3 10.1.9.7 10.1.9.8"},
		{"cursor on the gateway", "10.1.2.1", nil, "10.1.2.2 10.1.2.3 10.1.9.7 10.1.9.8"},
		{"with exclusions", "10.1.2.2", []netip.Prefix{prefix("10.1.9.8/32"), prefix("10.1.2.2/32")}, "10.1.2.3 10.1.9.7"},
	} {
		p := Pool{Sets: two, Exclude: tc.exclude}
		if err := p.Complete(); err != nil {
			t.Fatal(err)
		}
		var last netip.Addr
		if tc.last != "" {
			last = addr(tc.last)
		}
		got := strings.Join(texts(slices.Collect(p.Candidates(0, last))), " ")
		if got != tc.want {
			t.Errorf("%s: got %s, want %s", tc.name, got, tc.want)
		}
	}
}

// An exclusion of half a /64 is skipped in one step, and the highest address has no next one.
func TestCandidatesAtTheEdges(t *testing.T) {
	p := Pool{
		Sets:    []Set{{{Subnet: prefix("2001:db8::/64")}}},
		Exclude: []netip.Prefix{prefix("2001:db8::/65")},
	}
	if err := p.Complete(); err != nil {
		t.Fatal(err)
	}
	for a := range p.Candidates(0, netip.Addr{}) {
		if a != addr("2001:db8::8000:0:0:0") {
			t.Errorf("first address after the exclusion: got %s", a)
		}
		break
	}
	top := Pool{Sets: []Set{{{Subnet: prefix("255.255.255.254/31"), Gateway: addr("10.0.0.1")}}}}
	if err := top.Complete(); err != nil {
		t.Fatal(err)
	}
	got := texts(slices.Collect(top.Candidates(0, addr("255.255.255.255"))))
	if diff := cmp.Diff([]string{"255.255.255.254", "255.255.255.255"}, got); diff != "" {
		t.Errorf("top of the address space (-want +got):\n%s", diff)
	}
}

// An exclusion may end at the highest address, which has no next one.
func TestCandidatesAtTheTop(t *testing.T) {
	const top = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:"
	for _, tc := range []struct{ subnet, start, last, exclude, want string }{
		{top + "fffc/126", top + "fffe", "", "", top + "fffe " + top + "ffff"},
		{top + "fffc/126", top + "fffe", top + "ffff", "", top + "fffe " + top + "ffff"},
		{top + "fffe/127", "", "", "", top + "fffe"},
		{top + "ffff/128", "", top + "ffff", "", top + "ffff"},
		{top + "fffc/126", "", "", top + "fffe/127", ""},
		{"::/0", "", "", "::/1 8000::/2 c000::/3 e000::/4 f000::/5 f800::/5", ""},
		{"255.255.255.0/24", "255.255.255.250", "", "255.255.255.252/30 10.0.0.0/8", "255.255.255.250 255.255.255.251"},
		{"255.255.255.255/32", "", "255.255.255.255", "", "255.255.255.255"},
		{"0.0.0.0/0", "", "", "0.0.0.0/0", ""},
	} {
		r := Range{Subnet: prefix(tc.subnet)}
		if tc.start != "" {
			r.Start = addr(tc.start)
		}
		p := Pool{Sets: []Set{{r}}}
		for _, text := range strings.Fields(tc.exclude) {
			p.Exclude = append(p.Exclude, prefix(text))
		}
		err := p.Complete()
		if tc.want == "" {
			if !errors.Is(err, ErrInvalid) {
				t.Errorf("%s without %s: got %v, want ErrInvalid", tc.subnet, tc.exclude, err)
			}
			continue
		}
		var last netip.Addr
		if tc.last != "" {
			last = addr(tc.last)
		}
		if got := strings.Join(texts(slices.Collect(p.Candidates(0, last))), " "); got != tc.want || err != nil {
			t.Errorf("%s after %q: got %s, %v, want %s", tc.subnet, tc.last, got, err, tc.want)
		}
	}
}

// TestGatewayOfAnotherRange: a gateway is never allocated, in whatever range it is.
func TestGatewayOfAnotherRange(t *testing.T) {
	p := Pool{Sets: []Set{
		{
			{Subnet: prefix("10.1.2.0/24"), Start: addr("10.1.2.10"), End: addr("10.1.2.11"), Gateway: addr("10.1.2.25")},
			{Subnet: prefix("10.1.2.0/24"), Start: addr("10.1.2.24"), End: addr("10.1.2.26")},
		},
		{{Subnet: prefix("10.1.3.0/24"), Start: addr("10.1.3.2"), End: addr("10.1.3.2"), Gateway: addr("10.1.2.24")}},
	}}
	if err := p.Complete(); err != nil {
		t.Fatal(err)
	}
	want := []string{"10.1.2.10", "10.1.2.11", "10.1.2.26"}
	if diff := cmp.Diff(want, texts(slices.Collect(p.Candidates(0, netip.Addr{})))); diff != "" {
		t.Errorf("candidates (-want +got):\n%s", diff)
	}
}

func TestExcluded(t *testing.T) {
	p := Pool{Exclude: []netip.Prefix{prefix("10.1.2.0/25"), prefix("2001:db8::5/128")}}
	for a, want := range map[string]netip.Prefix{
		"10.1.2.127": p.Exclude[0], "10.1.2.128": {}, "2001:db8::5": p.Exclude[1], "2001:db8::6": {},
	} {
		if got := p.Excluded(addr(a)); got != want {
			t.Errorf("%s: got %v, want %v", a, got, want)
		}
	}
}

func TestSetOf(t *testing.T) {
	p := Pool{Sets: []Set{{{Subnet: prefix("10.1.2.0/24")}}, {{Subnet: prefix("2001:db8::/64")}}}}
	if err := p.Complete(); err != nil {
		t.Fatal(err)
	}
	if !p.Sets[0].Is4() || p.Sets[1].Is4() {
		t.Error("the first set is of IPv4, the second of IPv6")
	}
	for a, want := range map[string]int{"10.1.2.77": 0, "2001:db8::77": 1, "10.1.2.255": -1, "10.9.9.9": -1} {
		if got := p.SetOf(addr(a)); got != want {
			t.Errorf("SetOf(%s) = %d, want %d", a, got, want)
		}
	}
}

// For every cursor, each address that can be allocated is returned exactly once.
func FuzzCandidates(f *testing.F) {
	f.Add(uint8(0), uint8(9), uint8(3))
	f.Add(uint8(7), uint8(7), uint8(7))
	f.Fuzz(func(t *testing.T, start, end, last uint8) {
		at := func(b uint8) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, 0, b}) }
		p := Pool{Sets: []Set{{{Subnet: prefix("10.0.0.0/24"), Start: at(start), End: at(end)}}}}
		if p.Complete() != nil {
			t.Skip()
		}
		got := slices.Collect(p.Candidates(0, at(last)))
		sorted := slices.Clone(got)
		slices.SortFunc(sorted, netip.Addr.Compare)
		want := slices.Collect(p.Candidates(0, netip.Addr{}))
		if !slices.Equal(sorted, want) {
			t.Errorf("cursor %d: %v, want every one of %v", last, got, want)
		}
	})
}

// TestRefusal: an address has the same refusal in every function, and no candidate is refused.
//
// Claim: No container gets an address of the bridge, a gateway of the host or of the network's routes, or the network or broadcast
// address: the pool and sticky addresses skip it; a request for it, or an IPAM plugin that returns it, is refused
func TestRefusal(t *testing.T) {
	p := Pool{
		Sets: []Set{
			{{Subnet: prefix("192.0.2.0/28"), Start: addr("192.0.2.0"), End: addr("192.0.2.15"), Gateway: addr("192.0.2.3")}},
			{{Subnet: prefix("2001:db8::/124"), Start: addr("2001:db8::")}},
		},
		Exclude: []netip.Prefix{prefix("192.0.2.4/31")},
	}
	if err := p.Complete(); err != nil {
		t.Fatal(err)
	}
	p.Refuse = func(a netip.Addr) error {
		if a == addr("192.0.2.6") {
			return errors.New("is an address of bridge br0")
		}
		return nil
	}
	for text, want := range map[string]string{
		"192.0.2.0": "is the network address of 192.0.2.0/28", "192.0.2.15": "is the broadcast address of 192.0.2.0/28",
		"192.0.2.3": "is the gateway of its subnet", "192.0.2.5": "is excluded by 192.0.2.4/31", "192.0.2.6": "is an address of bridge br0",
		"2001:db8::": "is the router anycast address of 2001:db8::/124", "2001:db8::1": "is the gateway of its subnet",
	} {
		if got := p.Refusal(addr(text)); got == nil || got.Error() != want {
			t.Errorf("%s: got %v, want %s", text, got, want)
		}
	}
	for n := range p.Sets {
		for a := range p.Candidates(n, netip.Addr{}) {
			if why := p.Refusal(a); why != nil {
				t.Errorf("candidate %s is refused: %v", a, why)
			}
		}
	}
	count, first := p.Refused(0, 2)
	if count != 3 || len(first) != 2 || first[0].Error() != "192.0.2.0 is the network address of 192.0.2.0/28" {
		t.Errorf("refused: %d, %v", count, first)
	}
	if p.Refusal(addr("198.51.100.1")) != nil || p.Refusal(addr("2001:db8::f")) != nil {
		t.Error("an address of no set, or the last one of an IPv6 subnet, is refused")
	}
}

// Claim: No container gets an address of the bridge, a gateway of the host or of the network's routes, or the network or broadcast
// address: the pool and sticky addresses skip it; a request for it, or an IPAM plugin that returns it, is refused
func TestEdge(t *testing.T) {
	for text, want := range map[string]string{
		"192.0.2.0/24": "is the network address of 192.0.2.0/24", "192.0.2.255/24": "is the broadcast address of 192.0.2.0/24",
		"2001:db8::/64": "is the router anycast address of 2001:db8::/64",
		"192.0.3.0/23":  "", "192.0.2.0/31": "", "192.0.2.1/31": "", "192.0.2.255/32": "", "2001:db8::/127": "", "2001:db8::/128": "",
		"2001:db8::ffff:ffff:ffff:ffff/64": "",
	} {
		if why := Edge(prefix(text)); (why == nil) != (want == "") || why != nil && why.Error() != want {
			t.Errorf("%s: got %v, want %q", text, why, want)
		}
	}
}

// TestManyExclusions: many exclusions, nested, adjacent and unsorted. BenchmarkExclusions compares what they cost with what few of them do.
//
// Claim: Lists in the configuration, CNI_ARGS, prevResult and resolvConf have a maximum length; the error names key, length and limit;
// many exclusions cost one search each
func TestManyExclusions(t *testing.T) {
	p := Pool{Sets: []Set{{{Subnet: prefix("10.0.0.0/12")}}}}
	for i := 100000; i > 1; i-- {
		at := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
		p.Exclude = append(p.Exclude, netip.PrefixFrom(at, 32), netip.PrefixFrom(at, 31))
	}
	if err := p.Complete(); err != nil {
		t.Fatal(err)
	}
	for a := range p.Candidates(0, addr("10.0.0.1")) {
		if a != addr("10.1.134.162") { // the /31 of 10.1.134.160 ends at .161
			t.Errorf("first candidate %s", a)
		}
		break
	}
	p.LeaveOut(addr("10.1.134.162"))
	if p.Excluded(addr("10.1.134.162")) != prefix("10.1.134.162/32") || p.Excluded(addr("10.1.134.163")).IsValid() || p.Excluded(addr("10.0.0.77")) != prefix("10.0.0.76/31") {
		t.Error("the wrong addresses are excluded")
	}
}

// BenchmarkExclusions prints how much more a choice among many exclusions costs than one among few, which a binary search keeps small: their
// number grows a thousandfold.
func BenchmarkExclusions(b *testing.B) {
	pool := func(n int) *Pool {
		p := &Pool{Sets: []Set{{{Subnet: prefix("10.0.0.0/9")}}}}
		for i := range n {
			p.Exclude = append(p.Exclude, netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 14), byte(i >> 6), byte(i << 2)}), 31))
		}
		if err := p.Complete(); err != nil {
			b.Fatal(err)
		}
		return p
	}
	few, many := pool(100), pool(100_000)
	var took [2]time.Duration
	for b.Loop() {
		for i, p := range []*Pool{few, many} {
			begun := time.Now()
			for range 1000 {
				p.Excluded(addr("10.0.0.140"))
			}
			took[i] += time.Since(begun)
		}
	}
	b.ReportMetric(took[1].Seconds()/took[0].Seconds(), "times-few")
	b.ReportMetric(0, "ns/op")
}
