package conntrack

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/sys/unix"
)

// There is a dump for each port if that is less work than to receive all flows. No query has an IPv6
// address or a port of SCTP, which the kernel compares wrongly.
func TestQueries(t *testing.T) {
	udp := Mapping{Proto: unix.IPPROTO_UDP, HostPort: 8080, Count: 2, Container: ap("10.1.2.3:80")}
	on := udp
	on.HostIP = netip.MustParseAddr("192.0.2.10")
	many := udp
	many.Count = mostDumps + 1
	udp6 := Mapping{Proto: unix.IPPROTO_UDP, HostIP: netip.MustParseAddr("2001:db8::10"), HostPort: 8080, Count: 1, Container: ap("[2001:db8:5::3]:80")}
	last := Mapping{Proto: unix.IPPROTO_UDP, HostPort: 65535, Count: 1, Container: ap("10.1.2.3:80")}
	sctp := Mapping{Proto: unix.IPPROTO_SCTP, HostPort: 8080, Count: 1, Container: ap("10.1.2.3:80")}
	const in, in6, lots = unix.AF_INET, unix.AF_INET6, 1000000
	for name, tc := range map[string]struct {
		job   job
		flows int
		want  []query
	}{
		"nothing":               {flows: lots},
		"one port, few flows":   {job{mappings: []Mapping{last}}, 1, []query{{family: in, proto: 17, port: 65535}}},
		"two ports, few flows":  {job{mappings: []Mapping{udp}}, flowsPerDump - 1, []query{{family: in, proto: 17}}},
		"two ports, many flows": {job{mappings: []Mapping{udp}}, flowsPerDump, []query{{family: in, proto: 17, port: 8080}, {family: in, proto: 17, port: 8081}}},
		"same mapping twice":    {job{mappings: []Mapping{udp, udp}}, lots, []query{{family: in, proto: 17, port: 8080}, {family: in, proto: 17, port: 8081}}},
		"address of the host":   {job{mappings: []Mapping{on}}, 1, []query{{family: in, proto: 17, to: on.HostIP}}},
		"too many ports":        {job{mappings: []Mapping{many, udp6}}, lots, []query{{family: in, proto: 17}, {family: in6, proto: 17, port: 8080}}},
		"SCTP":                  {job{mappings: []Mapping{sctp}}, lots, []query{{family: in, proto: 132}}},
		"DNAT only":             {job{mappings: []Mapping{last}, dnatOnly: true}, 1, []query{{family: in, proto: 17, port: 65535, dnatOnly: true}}},
		"two ports, DNAT only":  {job{mappings: []Mapping{udp}, dnatOnly: true}, lots, []query{{family: in, proto: 17, dnatOnly: true}}},
	} {
		got := tc.job.queries(tc.flows)
		if diff := cmp.Diff(tc.want, got, cmp.AllowUnexported(query{}), cmpopts.EquateComparable(netip.Addr{}), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
