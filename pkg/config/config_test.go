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

// netips lets cmp compare addresses and prefixes, which have unexported fields.
func netips() cmp.Option { return cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{}) }

// conf returns a configuration of a layer 2 network with further members.
func conf(members string) string {
	if members != "" {
		members = ", " + members
	}
	return `{"cniVersion": "1.0.0", "name": "net", "type": "patchbay"` + members + `}`
}

// ipamConf returns a configuration with the built-in IPAM, its range and further members of "ipam".
func ipamConf(members string) string {
	if members != "" {
		members = ", " + members
	}
	return conf(`"ipam": {"type": "patchbay", "subnet": "10.1.2.0/24"` + members + `}`)
}

// bare returns the Config of conf("").
func bare() *Config {
	return &Config{
		Publish: Publish{SNAT: true, MarkBit: 13, Localhost: true}, IngressPolicy: PolicyOpen, Firewall: FirewallReport,
		SpoofCheck: SpoofCheck{Level: SpoofNone}, STPGuard: true,
		Ident: Ident{
			CNIVersion: "1.0.0", Name: "net", Type: "patchbay",
			StateDir: "/run/patchbay", DataDir: "/run/patchbay/ipam",
		},
		Bridge: "cni0",
	}
}

// withIPAM returns the Config of ipamConf("").
func withIPAM() *Config {
	c := bare()
	c.IPAMType = "patchbay"
	c.IPAM = &IPAM{Pool: ipam.Pool{Sets: []ipam.Set{{wholeRange()}}}}
	return c
}

func wholeRange() ipam.Range {
	return ipam.Range{Subnet: prefix("10.1.2.0/24"), Start: addr("10.1.2.1"), End: addr("10.1.2.254"), Gateway: addr("10.1.2.1")}
}

// accepts parses a configuration and compares the whole Config.
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

// refuses parses a configuration and compares the whole error.
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
	got, ok := err.(*Error) //nolint:errorlint // exactly this type: attach derives the CNI code from it
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

// Claim: A link named host-local to this program is the built-in IPAM with host-local's directory, for Patchbay and for other main plugins
func TestDelegated(t *testing.T) {
	asHostLocal := Called{Alias: "host-local", AsIPAM: true}
	for _, tc := range []struct {
		plugin, ipam       string
		called             Called
		delegated, foreign bool
	}{
		{"patchbay", "patchbay", Called{}, false, false},
		{"patchbay", "", Called{}, false, false},
		{"macvlan", "patchbay", Called{AsIPAM: true}, true, false},
		{"bridge", "patchbay", Called{}, false, false},
		{"macvlan", "static", Called{AsIPAM: true}, false, true},
		{"macvlan", "host-local", Called{}, false, true},
		{"macvlan", "", Called{}, false, false},
		{"patchbay", "host-local", Called{}, false, true},
		{"patchbay", "host-local", Called{Alias: "host-local"}, false, false},
		{"patchbay", "static", Called{Alias: "host-local"}, false, true},
		{"patchbay", "host-local", asHostLocal, true, false},
		{"ptp", "host-local", asHostLocal, true, false},
		{"ptp", "patchbay", asHostLocal, true, false},
		{"ptp", "", asHostLocal, false, false},
	} {
		id := Ident{Type: tc.plugin, IPAMType: tc.ipam, Called: tc.called}
		if got := id.CalledAsIPAM(); got != tc.delegated {
			t.Errorf("type %q, ipam.type %q, called %v: delegated %t, want %t", tc.plugin, tc.ipam, tc.called, got, tc.delegated)
		}
		if got := id.DelegatesIPAM(); got != tc.foreign {
			t.Errorf("type %q, ipam.type %q, called %v: foreign %t, want %t", tc.plugin, tc.ipam, tc.called, got, tc.foreign)
		}
	}
}

// TestForeign: no reading decodes the keys of a delegated IPAM plugin; called by another name, the built-in IPAM decodes them.
//
// Claim: A link named host-local to this program is the built-in IPAM with host-local's directory, for Patchbay and for other main plugins
func TestForeign(t *testing.T) {
	const text = `{"cniVersion": "0.2.0", "name": "net", "type": "patchbay", "ipam": {"type": "host-local", "dataDir": "/x", "subnet": "10.1.2.0/24"}}`
	c, err := Parse([]byte(text), "")
	if err != nil || c.IPAM != nil || !c.DelegatesIPAM() || c.DataDir != "/run/patchbay/ipam" {
		t.Errorf("got %+v, %v", c, err)
	}
	if id := ParseLenient([]byte(text)); id.DataDir != "/run/patchbay/ipam" || !id.DelegatesIPAM() {
		t.Errorf("leniently: %+v", id)
	}
	if _, err := Parse([]byte(`{"cniVersion": "1.0.0", "name": "net", "type": "patchbay", "ipam": {"type": "x", "dataDir": 7, "ranges": 8}}`), ""); err != nil {
		t.Error(err)
	}
	for _, tc := range []struct{ keys, dataDir string }{{``, DefaultSharedDir}, {`, "dataDir": "/x"`, "/x"}} {
		text := []byte(`{"cniVersion": "1.0.0", "name": "net", "type": "patchbay", "ipam": {"type": "host-local", "subnet": "10.1.2.0/24"` + tc.keys + `}}`)
		called := Called{Alias: "host-local"}
		c, err := called.Parse(text, "")
		if err != nil || c.IPAM == nil || c.DataDir != tc.dataDir {
			t.Errorf("by its name: %+v, %v", c, err)
		}
		if id := called.ParseLenient(text); id.DataDir != tc.dataDir {
			t.Errorf("leniently, by its name: %+v", id)
		}
	}
}

// TestDecodeResult: the version in the result counts, else that of the configuration.
//
// Claim: The result of an IPAM plugin may be of any version, also another than the configuration's
func TestDecodeResult(t *testing.T) {
	for result, fails := range map[string]bool{
		`{"cniVersion": "0.2.0", "ip4": {"ip": "10.1.0.2/24"}}`: false,
		`{"ips": [{"address": "10.1.0.2/24"}]}`:                 false,
		`{"cniVersion": "9.0.0"}`:                               true,
		`{"ips": [null]}`:                                       true,
		`[]`:                                                    true,
		``:                                                      true,
	} {
		r, err := DecodeResult([]byte(result), "1.0.0")
		if fails != (err != nil) {
			t.Errorf("%s: %v", result, err)
		}
		if err == nil && (len(r.IPs) != 1 || r.IPs[0].Address.String() != "10.1.0.2/24") {
			t.Errorf("%s: %v", result, r)
		}
	}
}
