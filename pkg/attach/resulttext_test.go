package attach

import (
	"bytes"
	"encoding/json"
	"reflect"
	"testing"

	"github.com/containernetworking/cni/pkg/types"
	types100 "github.com/containernetworking/cni/pkg/types/100"
	"github.com/google/go-cmp/cmp"
)

// TestResultText compares the text of a result with that of the library.
func TestResultText(t *testing.T) {
	tests := []struct{ name, result string }{
		{"version alone", `{"cniVersion": "1.0.0"}`},
		{"every member", `{
			"cniVersion": "1.1.0",
			"interfaces": [{"name": "br0", "mac": "02:00:00:00:00:01", "mtu": 1500},
				{"name": "eth0", "mac": "02:00:00:00:00:02", "mtu": 9000, "sandbox": "/run/netns/c", "socketPath": "/run/s", "pciID": "0000:00:1f.6"}],
			"ips": [{"address": "10.1.0.2/16", "gateway": "10.1.0.1", "interface": 0}, {"address": "fd00::2/64", "gateway": "fd00::1", "interface": 1},
				{"address": "10.2.0.2/32"}],
			"routes": [{"dst": "0.0.0.0/0"}, {"dst": "::/0", "gw": "fd00::1", "mtu": 1400, "advmss": 1360, "priority": 100, "table": 0, "scope": 0},
				{"dst": "10.3.0.0/16", "gw": "10.1.0.3", "table": 254, "scope": 253}],
			"dns": {"nameservers": ["10.1.0.1", "fd00::1"], "domain": "example.org", "search": ["a", "b"], "options": ["ndots:5"]}}`},
		{"part of dns", `{"cniVersion": "1.0.0", "dns": {"options": ["ndots:5"]}}`},
		{"characters that are escaped", `{"cniVersion": "1.0.0", "interfaces": [{"name": "<&>\"\\\u2028\u00e9", "sandbox": "/a\tb"}]}`},
		{"empty lists and names", `{"cniVersion": "1.0.0", "interfaces": [{"name": ""}], "ips": [], "routes": [], "dns": {"search": []}}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var r types100.Result
			if err := json.Unmarshal([]byte(tt.result), &r); err != nil {
				t.Fatal(err)
			}
			var want bytes.Buffer
			if err := r.PrintTo(&want); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want.String(), string(resultText(&r))); diff != "" {
				t.Errorf("text (-library +ours):\n%s", diff)
			}
		})
	}
}

// TestResultMembers fails if a version of the library has members that resultText does not write.
func TestResultMembers(t *testing.T) {
	for _, tt := range []struct {
		of   reflect.Type
		want int
	}{
		{reflect.TypeFor[types100.Result](), 5},
		{reflect.TypeFor[types100.Interface](), 6},
		{reflect.TypeFor[types100.IPConfig](), 3},
		{reflect.TypeFor[types.Route](), 7},
		{reflect.TypeFor[types.DNS](), 4},
	} {
		if got := tt.of.NumField(); got != tt.want {
			t.Errorf("%s has %d members; resultText writes %d", tt.of, got, tt.want)
		}
	}
}
