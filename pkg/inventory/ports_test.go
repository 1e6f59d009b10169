package inventory

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/patchbay-cni/patchbay/pkg/store"
)

// TestPortsChangedMeanwhile: a port that is not ok is left out if its attachment changed between two readings; one that is ok
// stays.
//
// Claim: `ports`, `ls`, `inspect` and `show` report who publishes what, in documented fields, and each kind of loss with a word, a mark
// and `reload` as the remedy
func TestPortsChangedMeanwhile(t *testing.T) {
	attachment := func(name string, second int64) Attachment {
		return Attachment{Network: "net", ContainerID: name, IfName: "eth0", Record: &store.Record{Created: time.Unix(second, 0)}}
	}
	before := []Attachment{attachment("stays", 1), attachment("deleted", 1), attachment("replaced", 1), attachment("ok", 1)}
	after := []Attachment{attachment("stays", 1), attachment("replaced", 2), attachment("added", 2)}
	var all []Publication
	for _, name := range []string{"stays", "deleted", "replaced", "added", "unknown"} {
		all = append(all, Publication{Network: "net", ContainerID: name, IfName: "eth0", State: PortLost})
	}
	all = append(all, Publication{Network: "net", ContainerID: "ok", IfName: "eth0", State: PortOK})
	var kept []string
	for _, p := range withoutChanged(all, before, after) {
		kept = append(kept, p.ContainerID)
	}
	if diff := cmp.Diff([]string{"stays", "unknown", "ok"}, kept); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestSortPorts: by number, then protocol; any address before single ones, IPv4 before IPv6.
//
// Claim: `ports`, `ls`, `inspect` and `show` report who publishes what, in documented fields, and each kind of loss with a word, a mark
// and `reload` as the remedy
func TestSortPorts(t *testing.T) {
	want := []Publication{
		{Port: Port{HostPort: 53, Protocol: "tcp", Address: "10.1.0.2"}},
		{Port: Port{HostPort: 53, Protocol: "udp", Address: "10.1.0.2"}},
		{Port: Port{HostPort: 80, Protocol: "tcp", Address: "10.1.0.2"}},
		{Port: Port{HostPort: 80, Protocol: "tcp", Address: "2001:db8::2"}},
		{Port: Port{HostPort: 443, Protocol: "tcp", HostIP: "192.0.2.9", Address: "10.1.0.2"}},
		{Port: Port{HostPort: 443, Protocol: "tcp", HostIP: "192.0.2.10", Address: "10.1.0.2"}},
		{Port: Port{HostPort: 443, Protocol: "tcp", HostIP: "2001:db8::1", Address: "2001:db8::2"}},
		{Port: Port{HostPort: 8080, Protocol: "tcp", Address: "10.1.0.2"}},
	}
	var got []Publication
	for i := range want {
		got = append(got, want[(i*5+3)%len(want)])
	}
	sortPorts(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
