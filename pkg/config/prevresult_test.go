package config

import (
	"net"
	"strings"
	"testing"

	"github.com/containernetworking/cni/pkg/types"
	types100 "github.com/containernetworking/cni/pkg/types/100"
	"github.com/google/go-cmp/cmp"
)

func cidr(t *testing.T, s string) net.IPNet {
	t.Helper()
	n, err := types.ParseCIDR(s)
	if err != nil {
		t.Fatal(err)
	}
	return *n
}

// withResult is a network of a version with a prevResult.
func withResult(version, result string) string {
	return `{"cniVersion": "` + version + `", "name": "net", "type": "patchbay", "prevResult": ` + result + `}`
}

func TestPrevResult(t *testing.T) {
	address := func() []*types100.IPConfig {
		return []*types100.IPConfig{{Address: cidr(t, "10.1.2.3/24"), Gateway: net.ParseIP("10.1.2.1")}}
	}
	eth0 := []*types100.Interface{{Name: "eth0", Sandbox: "/run/netns/a"}}
	none := []*types.Route{}
	for _, tc := range []struct {
		name, version, result string
		want                  *types100.Result
	}{
		{"0.1.0", "0.1.0", `{"cniVersion": "0.1.0", "ip4": {"ip": "10.1.2.3/24", "gateway": "10.1.2.1"}}`, &types100.Result{IPs: address(), Routes: none}},
		{"0.2.0 without its version", "0.2.0", `{"ip4": {"ip": "10.1.2.3/24", "gateway": "10.1.2.1"}}`, &types100.Result{IPs: address(), Routes: none}},
		{"0.3.1 without its version", "0.3.1", `{"interfaces": [{"name": "eth0", "sandbox": "/run/netns/a"}]}`, &types100.Result{Interfaces: eth0, Routes: none}},
		{"0.4.0", "0.4.0", `{"cniVersion": "0.4.0", "ips": [{"version": "4", "address": "10.1.2.3/24", "gateway": "10.1.2.1"}]}`, &types100.Result{IPs: address(), Routes: none}},
		{"1.0.0", "1.0.0", `{"cniVersion": "1.0.0", "ips": [{"address": "10.1.2.3/24", "gateway": "10.1.2.1"}]}`, &types100.Result{IPs: address()}},
		{"1.0.0 with an empty version", "1.0.0", `{"CNIVersion": "", "ips": [{"address": "10.1.2.3/24", "gateway": "10.1.2.1"}]}`, &types100.Result{IPs: address()}},
		{"1.1.0 with mtu", "1.1.0", `{"cniVersion": "1.1.0", "interfaces": [{"name": "eth0", "mtu": 1400}]}`, &types100.Result{Interfaces: []*types100.Interface{{Name: "eth0", Mtu: 1400}}}},
		{"empty lists", "1.1.0", `{"cniVersion": "1.1.0", "ips": null, "routes": []}`, &types100.Result{Routes: none}},
		{"null in another list", "1.1.0", `{"cniVersion": "1.1.0", "x": [null]}`, &types100.Result{}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.want.CNIVersion = "1.1.0"
			data := withResult(tc.version, tc.result)
			c, err := Parse([]byte(data), "")
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, c.PrevResult); diff != "" {
				t.Errorf("Parse (-want +got):\n%s", diff)
			}
			// The same from a configuration in which everything else is wrong, or cut off after it.
			broken := strings.TrimSuffix(strings.Replace(data, `"type": "patchbay"`, `"type": 5, "mtu": "x"`, 1), "}") + `, "ipam": {"ty`
			if diff := cmp.Diff(tc.want, PrevResultLenient([]byte(broken))); diff != "" {
				t.Errorf("PrevResultLenient (-want +got):\n%s", diff)
			}
		})
	}
}

func TestPrevResultRefused(t *testing.T) {
	const help = ": pass what ADD, or the plugin before this one, printed"
	for _, tc := range []struct{ version, result, details string }{
		{"1.0.0", `"x"`, "json: cannot unmarshal string into Go value of type map[string]json.RawMessage"},
		{"1.0.0", `[]`, "json: cannot unmarshal array into Go value of type map[string]json.RawMessage"},
		{"1.0.0", `{"cniVersion": "0.4.0"}`, `result type supports [1.0.0 1.1.0] but unmarshalled CNIVersion is "0.4.0"`},
		{"0.4.0", `{"cniVersion": "1.0.0"}`, `result type supports [0.3.0 0.3.1 0.4.0] but unmarshalled CNIVersion is "1.0.0"`},
		{"0.4.0", `{"ips": [null]}`, "ips: a member is null"},
		{"0.4.0", `{"Interfaces": [{"name": "a"}, null]}`, "Interfaces: a member is null"},
		{"0.3.0", `{"routes": [null]}`, "routes: a member is null"},
		{"1.1.0", `{"ips": [null]}`, "ips: a member is null"},
		{"1.1.0", `{"ips": [{"address": "10.1.2"}]}`, "invalid CIDR address: 10.1.2"},
	} {
		t.Run(tc.version+" "+tc.result, func(t *testing.T) {
			data := withResult(tc.version, tc.result)
			refuses(t, data, "", &Error{
				Kind: Undecodable, Msg: "prevResult: cannot be decoded as a result of version " + tc.version,
				Details: tc.details + help,
			})
			if got := PrevResultLenient([]byte(data)); got != nil {
				t.Errorf("PrevResultLenient: got %v, want nothing", got)
			}
		})
	}
	for _, data := range []string{``, `{}`, `{"prevResult": null}`, withResult("1.0.0", `null`), withResult("9.9.9", `{}`), withResult("", `{"ip4": 5}`)} {
		if got := PrevResultLenient([]byte(data)); got != nil {
			t.Errorf("PrevResultLenient(%s): got %v, want nothing", data, got)
		}
	}
}
