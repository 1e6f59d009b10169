package verbs

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// TestAddressesOfEveryKind: the addresses are assigned, and the containers reach their gateways and each other.
//
// Claim: IPv4, IPv6 only, dual stack and several addresses per family are supported
func TestAddressesOfEveryKind(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		subnets  []string
		want     []string
		gateways []string
	}{
		{"IPv4", []string{"10.1.0.0/24"}, []string{"10.1.0.2/24"}, []string{"10.1.0.1"}},
		{"IPv6", []string{"fd00:1::/64"}, []string{"fd00:1::2/64"}, []string{"fd00:1::1"}},
		{"dual stack", []string{"10.1.0.0/24", "fd00:1::/64"}, []string{"10.1.0.2/24", "fd00:1::2/64"}, []string{"10.1.0.1", "fd00:1::1"}},
		{"several IPv4", []string{"10.1.0.0/24", "10.2.0.0/24"}, []string{"10.1.0.2/24", "10.2.0.2/24"}, []string{"10.1.0.1", "10.2.0.1"}},
		{"several IPv6", []string{"fd00:1::/64", "fd00:2::/120"}, []string{"fd00:1::2/64", "fd00:2::2/120"}, []string{"fd00:1::1", "fd00:2::1"}},
		{
			"several of both",
			[]string{"10.1.0.0/24", "fd00:1::/64", "10.2.0.0/28", "fd00:2::/64"},
			[]string{"10.1.0.2/24", "fd00:1::2/64", "10.2.0.2/28", "fd00:2::2/64"},
			[]string{"10.1.0.1", "fd00:1::1", "10.2.0.1", "fd00:2::1"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := nettest.Host(t)
			c, d := h.Container("c"), h.Container("d")
			a, r := attach(t, h, c, cni.Network(cni.DefaultGateway(), cni.Pool(tt.subnets...)))
			_, neighbour := attach(t, h, d, cni.Network(cni.DefaultGateway(), cni.Pool(tt.subnets...)))
			expect.Equal(t, "addresses", addresses(r), tt.want)
			sorted := slices.Sorted(slices.Values(tt.want))
			expect.Equal(t, "in the kernel", addressesOf(t, c.Netns, "eth0"), sorted)
			for i, gateway := range tt.gateways {
				ping(t, c.Netns, gateway)
				ping(t, c.Netns, addr(t, neighbour, i).String())
			}
			a.check(t)
		})
	}
}

// TestRoundRobin: a released address is assigned again after all others.
//
// Claim: IPAM supports exclusions, sticky addresses, small pools, round robin, requested addresses and resolvConf
func TestRoundRobin(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c := h.Container("c")
	small := cni.Network(cni.Pool("10.1.0.0/29", "fd00:1::/125"))
	var got []string
	for range 7 {
		a := on(h, c, small)
		got = append(got, addresses(a.add(t))...)
		a.del(t)
	}
	expect.Equal(t, "addresses", got, []string{
		"10.1.0.2/29", "fd00:1::2/125", "10.1.0.3/29", "fd00:1::3/125", "10.1.0.4/29", "fd00:1::4/125", "10.1.0.5/29", "fd00:1::5/125",
		"10.1.0.6/29", "fd00:1::6/125", "10.1.0.2/29", "fd00:1::7/125", "10.1.0.3/29", "fd00:1::2/125",
	})
}

// TestRangesOfASetAreUsedInOrder, one address from each set.
func TestRangesOfASetAreUsedInOrder(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	_, results := containers(t, h, 3, cni.Network(cni.IPAM(cni.Conf{"ranges": [][]cni.Conf{{
		{"subnet": "10.1.0.0/24", "rangeStart": "10.1.0.10", "rangeEnd": "10.1.0.11"}, {"subnet": "10.2.0.0/24", "rangeStart": "10.2.0.200"},
	}}})))
	expect.Equal(t, "addresses", []string{addresses(results[0])[0], addresses(results[1])[0], addresses(results[2])[0]},
		[]string{"10.1.0.10/24", "10.1.0.11/24", "10.2.0.200/24"})
	expect.Equal(t, "gateway", results[2].IPs[0].Gateway.String(), "10.2.0.1")
}

// TestRangeKeys: a range at the top level of ipam, host-local's older form.
//
// Claim: The built-in IPAM has host-local's keys and on-disk format
func TestRangeKeys(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	_, r := attach(t, h, h.Container("c"), cni.Network(cni.IPAM(cni.Conf{
		"subnet": "10.1.0.0/24", "rangeStart": "10.1.0.20", "rangeEnd": "10.1.0.30", "gateway": "10.1.0.254",
		"ranges": [][]cni.Conf{{{"subnet": "fd00:1::/64"}}},
	})))
	expect.Equal(t, "addresses", addresses(r), []string{"10.1.0.20/24", "fd00:1::2/64"})
	expect.Equal(t, "gateway", r.IPs[0].Gateway.String(), "10.1.0.254")
}

// TestExclude: addresses and whole subnets are not assigned; half a /64 is skipped in one step.
//
// Claim: IPAM supports exclusions, sticky addresses, small pools, round robin, requested addresses and resolvConf
func TestExclude(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	_, results := containers(t, h, 3, cni.Network(cni.IPAM(cni.Conf{
		"ranges":  [][]cni.Conf{{{"subnet": "10.1.0.0/24"}}, {{"subnet": "fd00:1::/64"}}},
		"exclude": []string{"10.1.0.2", "10.1.0.4/30", "fd00:1::/65"},
	})))
	var got []string
	for _, r := range results {
		got = append(got, addresses(r)...)
	}
	expect.Equal(t, "addresses", got, []string{
		"10.1.0.3/24", "fd00:1:0:0:8000::/64", "10.1.0.8/24", "fd00:1::8000:0:0:1/64", "10.1.0.9/24", "fd00:1::8000:0:0:2/64",
	})
}

func TestExcludeWinsOverRequests(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	a := on(h, h.Container("c"), cni.Network(cni.IPAM(cni.Conf{"ranges": [][]cni.Conf{{{"subnet": "10.1.0.0/24"}}}, "exclude": []string{"10.1.0.64/26"}})))
	a.args = "IP=10.1.0.77"
	expect.Contains(t, a.fails(t, "ADD", 7).Msg, "10.1.0.77", "excluded by 10.1.0.64/26")
}

// TestGatewayIsNeverGiven: wherever it is in the range.
func TestGatewayIsNeverGiven(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	_, results := containers(t, h, 2, cni.Network(cni.IPAM(cni.Conf{"ranges": [][]cni.Conf{{{"subnet": "10.1.0.0/29", "gateway": "10.1.0.2"}}}})))
	expect.Equal(t, "addresses", []string{addresses(results[0])[0], addresses(results[1])[0]}, []string{"10.1.0.1/29", "10.1.0.3/29"})
}

// TestExhaustedPool: the error names the range, and ADD leaves nothing; a released address can be assigned again.
func TestExhaustedPool(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	all, _ := containers(t, h, 5, cni.Network(cni.Pool("10.1.0.0/29")))
	last := on(h, h.Container("last"), cni.Network(cni.Pool("10.1.0.0/29")))
	expect.Contains(t, last.fails(t, "ADD", 11).Msg, "no IP addresses available", "10.1.0.1-10.1.0.6")
	expect.Equal(t, "records", len(files(t, h, "/run/patchbay/net")), 5)
	all[2].del(t)
	expect.Equal(t, "addresses", addresses(last.add(t)), []string{"10.1.0.4/29"})
}

// TestTornAddressFileIsAFreeAddress: a crash between creating and writing the file leaves it empty.
func TestTornAddressFileIsAFreeAddress(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	writeFile(t, h, "/run/patchbay/ipam/net/10.1.0.2", "")
	_, r := attach(t, h, h.Container("c"), cni.Network(cni.Pool("10.1.0.0/24")))
	expect.Equal(t, "addresses", addresses(r), []string{"10.1.0.2/24"})
}

// TestAddsAtOnceGetDifferentAddresses: twenty concurrent ADDs on one network.
func TestAddsAtOnceGetDifferentAddresses(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	var all []*attachment
	var running []*nettest.Running
	for i := range 20 {
		a := on(h, h.Container("c"+string(rune('a'+i))), cni.Network(cni.DefaultGateway(), cni.Pool("10.1.0.0/24", "fd00:1::/64")))
		all, running = append(all, a), append(running, h.StartCNI(t, a.call(t, "ADD")))
	}
	seen := map[netip.Addr]bool{}
	for i, one := range running {
		answer := one.Wait(t).OK(t)
		all[i].prev = answer.Stdout
		r := answer.Result(t)
		seen[addr(t, r, 0)], seen[addr(t, r, 1)] = true, true
	}
	expect.Equal(t, "different addresses", len(seen), 40)
	for _, a := range all {
		a.check(t)
		a.del(t)
	}
}

// small is a pool of a very small subnet: on such an interface there is no network or broadcast address.
type small struct {
	name    string
	conf    cni.Conf
	want    string
	gateway string
}

func smallPools() []small {
	one := func(keys cni.Conf) cni.Conf { return cni.IPAM(cni.Conf{"ranges": [][]cni.Conf{{keys}}}) }
	return []small{
		{"31 bits", cni.Pool("10.9.0.0/31"), "10.9.0.0/31", "10.9.0.1"},
		{"31 bits with the lower as gateway", one(cni.Conf{"subnet": "10.9.0.0/31", "gateway": "10.9.0.0"}), "10.9.0.1/31", "10.9.0.0"},
		{"32 bits", one(cni.Conf{"subnet": "10.9.0.5/32", "gateway": "10.9.0.1"}), "10.9.0.5/32", "10.9.0.1"},
		{"127 bits", cni.Pool("fd00:9::/127"), "fd00:9::/127", "fd00:9::1"},
		{"128 bits", one(cni.Conf{"subnet": "fd00:9::5/128", "gateway": "fd00:9::1"}), "fd00:9::5/128", "fd00:9::1"},
		{"32 bits with a gateway far away", one(cni.Conf{"subnet": "10.9.0.5/32", "gateway": "169.254.1.1"}), "10.9.0.5/32", "169.254.1.1"},
	}
}

// TestSmallPools: the container reaches its gateway over the bridge, and the host reaches the container.
//
// Claim: IPAM supports exclusions, sticky addresses, small pools, round robin, requested addresses and resolvConf
func TestSmallPools(t *testing.T) {
	t.Parallel()
	for _, tt := range smallPools() {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := nettest.Host(t)
			c := h.Container("c")
			a, r := attach(t, h, c, cni.Network(cni.DefaultGateway(), tt.conf))
			expect.Equal(t, "addresses", addresses(r), []string{tt.want})
			expect.Equal(t, "gateway", r.IPs[0].Gateway.String(), tt.gateway)
			ping(t, c.Netns, tt.gateway)
			ping(t, h.Netns, addr(t, r, 0).String())
			a.check(t)
			a.del(t)
			gone(t, a, c, hostEnd(t, r))
		})
	}
}

// TestSingleAddressesReachEachOther: through the host, which is their gateway.
//
// Claim: IPAM supports exclusions, sticky addresses, small pools, round robin, requested addresses and resolvConf
func TestSingleAddressesReachEachOther(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	set := []cni.Conf{
		{"subnet": "10.9.0.5/32", "gateway": "10.9.0.1"}, {"subnet": "10.9.0.6/32", "gateway": "10.9.0.1"},
	}
	n := cni.Network(cni.DefaultGateway(), cni.IPAM(cni.Conf{"ranges": [][]cni.Conf{set}}))
	c, d := h.Container("c"), h.Container("d")
	a, _ := attach(t, h, c, n)
	b, r := attach(t, h, d, n)
	expect.Equal(t, "addresses", addresses(r), []string{"10.9.0.6/32"})
	ping(t, c.Netns, "10.9.0.6")
	a.check(t)
	b.check(t)
}

// TestSingleAddressWithoutGateway: the container gets an address and no route.
func TestSingleAddressWithoutGateway(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c := h.Container("c")
	a, r := attach(t, h, c, cni.Network(cni.Pool("10.9.0.5/32", "fd00:9::5/128")))
	expect.Equal(t, "addresses", addressesOf(t, c.Netns, "eth0"), []string{"10.9.0.5/32", "fd00:9::5/128"})
	if r.IPs[0].Gateway != nil || r.IPs[1].Gateway != nil {
		t.Errorf("gateways: %v", r.IPs)
	}
	a.check(t)
}
