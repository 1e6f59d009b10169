package config

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/patchbay-cni/patchbay/pkg/ipam"
)

func addr(s string) netip.Addr     { return netip.MustParseAddr(s) }
func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }

// netips lets cmp look at addresses, which hide what they are made of.
func netips() cmp.Option { return cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{}) }

// conf is a network of layer 2 with further members.
func conf(members string) string {
	if members != "" {
		members = ", " + members
	}
	return `{"cniVersion": "1.0.0", "name": "net", "type": "patchbay"` + members + `}`
}

// ipamConf is a network with the built-in IPAM, its range and further members of "ipam".
func ipamConf(members string) string {
	if members != "" {
		members = ", " + members
	}
	return conf(`"ipam": {"type": "patchbay", "subnet": "10.1.2.0/24"` + members + `}`)
}

// bare is what conf("") says.
func bare() *Config {
	return &Config{
		Ident: Ident{
			CNIVersion: "1.0.0", Name: "net", Type: "patchbay",
			StateDir: "/run/patchbay", DataDir: "/run/patchbay/ipam",
		},
		Bridge: "cni0",
	}
}

// withIPAM is what ipamConf("") says.
func withIPAM() *Config {
	c := bare()
	c.IPAMType = "patchbay"
	c.IPAM = &IPAM{Pool: ipam.Pool{Sets: []ipam.Set{{wholeRange()}}}}
	return c
}

func wholeRange() ipam.Range {
	return ipam.Range{Subnet: prefix("10.1.2.0/24"), Start: addr("10.1.2.1"), End: addr("10.1.2.254"), Gateway: addr("10.1.2.1")}
}

// accepts parses and compares the whole configuration.
func accepts(t *testing.T, data, args string, want *Config) {
	t.Helper()
	got, err := Parse([]byte(data), args)
	if err != nil {
		t.Fatalf("Parse(%s, %q): %v", data, args, err)
	}
	if diff := cmp.Diff(want, got, netips()); diff != "" {
		t.Errorf("Parse(%s, %q) (-want +got):\n%s", data, args, diff)
	}
}

// refuses parses and compares the whole error.
func refuses(t *testing.T, data, args string, want *Error) {
	t.Helper()
	got, err := Parse([]byte(data), args)
	if got != nil {
		t.Errorf("Parse(%s, %q) returned a configuration beside its error", data, args)
	}
	sameError(t, want, err)
}

func sameError(t *testing.T, want *Error, err error) {
	t.Helper()
	got, ok := err.(*Error) //nolint:errorlint // exactly this type: attach makes the CNI code of it
	if !ok {
		t.Fatalf("got %T %v, want the error %q", err, err, want.Msg)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("error (-want +got):\n%s", diff)
	}
}

func TestErrorText(t *testing.T) {
	with := &Error{Msg: "mtu: 5 is out of range", Details: "give a number"}
	if got, want := with.Error(), "mtu: 5 is out of range; give a number"; got != want {
		t.Errorf("with details: got %q, want %q", got, want)
	}
	without := &Error{Msg: "mtu: 5 is out of range"}
	if got, want := without.Error(), "mtu: 5 is out of range"; got != want {
		t.Errorf("without details: got %q, want %q", got, want)
	}
}

func TestDelegated(t *testing.T) {
	for _, tc := range []struct {
		plugin, ipam string
		want         bool
	}{
		{"patchbay", "patchbay", false},
		{"patchbay", "", false},
		{"macvlan", "patchbay", true},
		{"macvlan", "host-local", false},
		{"macvlan", "", false},
	} {
		id := Ident{Type: tc.plugin, IPAMType: tc.ipam}
		if got := id.Delegated(); got != tc.want {
			t.Errorf("type %q, ipam.type %q: got %t, want %t", tc.plugin, tc.ipam, got, tc.want)
		}
	}
}
