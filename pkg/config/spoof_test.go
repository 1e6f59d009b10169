package config

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The level of the check follows from three keys and from whether the network gives addresses.
//
// Claim: `spoofCheck`, `macspoofchk` and the default of isolated networks agree, or the conflict is a specific error
func TestParseSpoofCheck(t *testing.T) {
	const ipam = `, "ipam": {"type": "patchbay", "subnet": "10.1.2.0/24"}`
	for _, tc := range []struct {
		keys string
		want SpoofCheck
	}{
		{`"isGateway": true` + ipam, SpoofCheck{SpoofNone, false}},
		{`"macspoofchk": false` + ipam, SpoofCheck{SpoofNone, false}},
		{`"macspoofchk": true` + ipam, SpoofCheck{SpoofMAC, true}},
		{`"macspoofchk": true`, SpoofCheck{SpoofMAC, true}},
		{`"macspoofchk": true, "spoofCheck": "full"` + ipam, SpoofCheck{SpoofFull, true}},
		{`"spoofCheck": "mac"`, SpoofCheck{SpoofMAC, true}},
		{`"spoofCheck": "full", "ipam": {"type": "dhcp"}`, SpoofCheck{SpoofFull, true}},
		{`"ingressPolicy": "same-bridge"` + ipam, SpoofCheck{SpoofNone, false}},
		{`"ingressPolicy": "isolated"` + ipam, SpoofCheck{SpoofFull, false}},
		{`"ingressPolicy": "isolated"`, SpoofCheck{SpoofMAC, false}},
		{`"ingressPolicy": "published"` + ipam, SpoofCheck{SpoofNone, false}},
		{`"egress": {"allow": []}` + ipam, SpoofCheck{SpoofFull, false}},
		{`"egress": {"default": "drop"}, "spoofCheck": "full"` + ipam, SpoofCheck{SpoofFull, true}},
		{`"egress": {"default": "drop"}, "macspoofchk": true, "ipam": {"type": "dhcp"}`, SpoofCheck{SpoofFull, true}},
		{`"egress": {"default": "accept"}` + ipam, SpoofCheck{SpoofNone, false}},
		{`"ingressPolicy": "isolated", "macspoofchk": true` + ipam, SpoofCheck{SpoofFull, true}},
		{`"ingressPolicy": "isolated", "spoofCheck": "none"` + ipam, SpoofCheck{SpoofNone, true}},
	} {
		c, err := Parse([]byte(spoofConfig(tc.keys)), "")
		if err != nil {
			t.Errorf("%s: %v", tc.keys, err)
			continue
		}
		if diff := cmp.Diff(tc.want, c.SpoofCheck); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tc.keys, diff)
		}
	}
}

func spoofConfig(keys string) string {
	return fmt.Sprintf(`{"cniVersion": "1.0.0", "name": "net", "type": "patchbay", %s}`, keys)
}

// Claim: `spoofCheck`, `macspoofchk` and the default of isolated networks agree, or the conflict is a specific error
func TestParseSpoofCheckRefused(t *testing.T) {
	for keys, want := range map[string]string{
		`"spoofCheck": "ip"`:                        `spoofCheck: "ip" is not known`,
		`"spoofCheck": true`:                        "spoofCheck: want a string, got true",
		`"macspoofchk": 1`:                          "macspoofchk: want true or false, got 1",
		`"spoofCheck": "none", "macspoofchk": true`: `spoofCheck: cannot be "none" where macspoofchk is true`,
		`"egress": {"default": "drop"}, "spoofCheck": "none", "ipam": {"type": "dhcp"}`: `spoofCheck: cannot be "none" with egress: a container could choose another address`,
		`"egress": {"default": "drop"}, "spoofCheck": "mac", "ipam": {"type": "dhcp"}`:  `spoofCheck: cannot be "mac" with egress: a container could choose another address`,
		`"spoofCheck": "full"`: `spoofCheck: "full" compares with addresses, and network net has no ipam`,
		`"stpGuard": "no"`:     `stpGuard: want true or false, got "no"`,
	} {
		if _, err := Parse([]byte(spoofConfig(keys)), ""); err == nil || !strings.HasPrefix(err.Error(), want+"; ") {
			t.Errorf("%s: got %v, want %s", keys, err, want)
		}
	}
}
