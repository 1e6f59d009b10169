package conntrack

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/sys/unix"
)

// The kernel is asked port by port if that is less work than to be told of every flow, and never for
// an IPv6 address or a port of SCTP, which its filter gets wrong.
func TestQuestions(t *testing.T) {
	udp := Mapping{Proto: unix.IPPROTO_UDP, HostPort: 8080, Count: 2, Container: ap("10.1.2.3:80")}
	on := udp
	on.HostIP = netip.MustParseAddr("192.0.2.10")
	many := udp
	many.Count = mostWalks + 1
	udp6 := Mapping{Proto: unix.IPPROTO_UDP, HostIP: netip.MustParseAddr("2001:db8::10"), HostPort: 8080, Count: 1, Container: ap("[2001:db8:5::3]:80")}
	last := Mapping{Proto: unix.IPPROTO_UDP, HostPort: 65535, Count: 1, Container: ap("10.1.2.3:80")}
	sctp := Mapping{Proto: unix.IPPROTO_SCTP, HostPort: 8080, Count: 1, Container: ap("10.1.2.3:80")}
	const in, in6, lots = unix.AF_INET, unix.AF_INET6, 1000000
	for name, tc := range map[string]struct {
		job   job
		flows int
		want  []question
	}{
		"nothing":               {flows: lots},
		"one port, few flows":   {job{mappings: []Mapping{last}}, 1, []question{{family: in, proto: 17, port: 65535}}},
		"two ports, few flows":  {job{mappings: []Mapping{udp}}, toldInOneWalk - 1, []question{{family: in, proto: 17}}},
		"two ports, many flows": {job{mappings: []Mapping{udp}}, toldInOneWalk, []question{{family: in, proto: 17, port: 8080}, {family: in, proto: 17, port: 8081}}},
		"twice the same":        {job{mappings: []Mapping{udp, udp}}, lots, []question{{family: in, proto: 17, port: 8080}, {family: in, proto: 17, port: 8081}}},
		"a host's address":      {job{mappings: []Mapping{on}}, 1, []question{{family: in, proto: 17, to: on.HostIP}}},
		"too many ports":        {job{mappings: []Mapping{many, udp6}}, lots, []question{{family: in, proto: 17}, {family: in6, proto: 17, port: 8080}}},
		"SCTP":                  {job{mappings: []Mapping{sctp}}, lots, []question{{family: in, proto: 132}}},
		"translated":            {job{mappings: []Mapping{last}, translated: true}, 1, []question{{family: in, proto: 17, port: 65535, translated: true}}},
		"two ports, translated": {job{mappings: []Mapping{udp}, translated: true}, lots, []question{{family: in, proto: 17, translated: true}}},
	} {
		got := tc.job.questions(tc.flows)
		if diff := cmp.Diff(tc.want, got, cmp.AllowUnexported(question{}), cmpopts.EquateComparable(netip.Addr{}), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
