package cli

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/patchbay-cni/patchbay/pkg/store"
)

// TestSteady: what is not well only because it came or went between two looks is not told; what is well
// always is.
func TestSteady(t *testing.T) {
	life := func(name string, second int64) Attachment {
		return Attachment{Network: "net", ContainerID: name, IfName: "eth0", record: &store.Record{Created: time.Unix(second, 0)}}
	}
	before := []Attachment{life("stays", 1), life("goes", 1), life("again", 1), life("well", 1)}
	after := []Attachment{life("stays", 1), life("again", 2), life("comes", 2)}
	var all []Publication
	for _, name := range []string{"stays", "goes", "again", "comes", "nobody"} {
		all = append(all, Publication{Network: "net", ContainerID: name, IfName: "eth0", State: PortLost})
	}
	all = append(all, Publication{Network: "net", ContainerID: "well", IfName: "eth0", State: PortOK})
	var kept []string
	for _, p := range steady(all, before, after) {
		kept = append(kept, p.ContainerID)
	}
	if diff := cmp.Diff([]string{"stays", "nobody", "well"}, kept); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestSortPorts: by number, then protocol; any address before single ones, IPv4 before IPv6.
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
