package config

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Claim: `vlan`, `vlanTrunk` and `preserveDefaultVlan` have the meanings of the reference bridge; contradictions and wrong IDs are errors that name the key
func TestParseVLANs(t *testing.T) {
	for _, tc := range []struct {
		keys    string
		want    VLANs
		native  int
		segment string
	}{
		{`"vlan": 0`, VLANs{}, 0, "cni0"},
		{`"vlan": null, "vlanTrunk": null, "preserveDefaultVlan": true`, VLANs{}, 0, "cni0"},
		{`"vlanTrunk": []`, VLANs{}, 0, "cni0"},
		{`"vlan": 1`, VLANs{ID: 1}, 1, "cni0"},
		{`"vlan": 4094`, VLANs{ID: 4094}, 4094, "cni0.4094"},
		{`"vlan": 100, "preserveDefaultVlan": true`, VLANs{ID: 100, KeepDefault: true}, 100, "cni0.100"},
		{`"vlanTrunk": [{"id": 5}]`, VLANs{Trunk: []VLANRange{{5, 5}}}, 1, "cni0"},
		{`"vlanTrunk": [{"minID": 1, "maxID": 4094}]`, VLANs{Trunk: []VLANRange{{1, 4094}}}, 1, "cni0"},
		{`"vlanTrunk": [{"id": 30, "minID": 10, "maxID": 20}, {"id": 5}], "vlan": 7`, VLANs{ID: 7, Trunk: []VLANRange{{5, 5}, {10, 20}, {30, 30}}}, 7, "cni0.7"},
	} {
		c, err := Parse([]byte(conf(tc.keys)), "")
		if err != nil {
			t.Errorf("%s: %v", tc.keys, err)
			continue
		}
		if diff := cmp.Diff(tc.want, c.VLANs); diff != "" || c.VLANs.Native() != tc.native || c.Segment() != tc.segment {
			t.Errorf("%s: native %d, segment %s (-want +got):\n%s", tc.keys, c.VLANs.Native(), c.Segment(), diff)
		}
	}
}

// The gateway of a VLAN is on an interface of its own, if there is one.
func TestVLANGatewayLink(t *testing.T) {
	const ipam = `, "ipam": {"type": "patchbay", "subnet": "10.1.2.0/24"}`
	for keys, want := range map[string]string{
		`"vlan": 100, "isGateway": true` + ipam:                       "cni0.100",
		`"vlan": 100, "isDefaultGateway": true` + ipam:                "cni0.100",
		`"vlan": 100` + ipam:                                          "cni0",
		`"vlan": 100, "isGateway": true`:                              "cni0",
		`"vlan": 1, "isGateway": true` + ipam:                         "cni0",
		`"vlanTrunk": [{"id": 5}], "isGateway": true` + ipam:          "cni0",
		`"bridge": "br-eleven-12", "vlan": 4094` + ipam:               "br-eleven-12",
		`"bridge": "br-ten-123", "vlan": 4, "isGateway": true` + ipam: "br-ten-123.4",
	} {
		c, err := Parse([]byte(conf(keys)), "")
		if err != nil {
			t.Errorf("%s: %v", keys, err)
			continue
		}
		if got := c.GatewayLink(); got != want {
			t.Errorf("%s: the gateway is on %s, want %s", keys, got, want)
		}
	}
}

// Claim: `vlan`, `vlanTrunk` and `preserveDefaultVlan` have the meanings of the reference bridge; contradictions and wrong IDs are errors that name the key
func TestParseVLANsRefused(t *testing.T) {
	for keys, want := range map[string]string{
		`"vlan": 4095`:                              "vlan: 4095 is out of range",
		`"vlan": -1`:                                "vlan: -1 is out of range",
		`"vlan": "100"`:                             `vlan: want a whole number, got "100"`,
		`"vlan": 1.5`:                               "vlan: want a whole number, got 1.5",
		`"preserveDefaultVlan": "no"`:               `preserveDefaultVlan: want true or false, got "no"`,
		`"portIsolation": 1`:                        "portIsolation: want true or false, got 1",
		`"vlanTrunk": {"id": 5}`:                    `vlanTrunk: want a list of objects, got {"id":5}`,
		`"vlanTrunk": [5]`:                          "vlanTrunk: want a list of objects, got [5]",
		`"vlanTrunk": [{}]`:                         "vlanTrunk[0]: names no VLAN",
		`"vlanTrunk": [null]`:                       "vlanTrunk[0]: names no VLAN",
		`"vlanTrunk": [{"id": 0}]`:                  "vlanTrunk[0].id: 0 is out of range",
		`"vlanTrunk": [{"id": 5}, {"id": 4095}]`:    "vlanTrunk[1].id: 4095 is out of range",
		`"vlanTrunk": [{"id": "5"}]`:                `vlanTrunk[0].id: want a whole number, got "5"`,
		`"vlanTrunk": [{"minID": 10}]`:              "vlanTrunk[0]: maxID is missing",
		`"vlanTrunk": [{"maxID": 10, "id": 4}]`:     "vlanTrunk[0]: minID is missing",
		`"vlanTrunk": [{"minID": 0, "maxID": 10}]`:  "vlanTrunk[0].minID: 0 is out of range",
		`"vlanTrunk": [{"minID": 20, "maxID": 10}]`: "vlanTrunk[0]: minID 20 is greater than maxID 10",
		`"vlanTrunk": [{"id": 5}, {"id": 5}]`:       "vlanTrunk: 5 and 5 overlap",
		`"vlanTrunk": [{"minID": 10, "maxID": 20}, {"minID": 20, "maxID": 30}]`:                                            "vlanTrunk: 10-20 and 20-30 overlap",
		`"vlanTrunk": [{"id": 15, "minID": 10, "maxID": 20}]`:                                                              "vlanTrunk: 10-20 and 15 overlap",
		`"vlan": 5, "vlanTrunk": [{"minID": 1, "maxID": 10}]`:                                                              "vlanTrunk: 1-10 contains 5, which is vlan",
		`"vlan": 100, "isGateway": true, "bridge": "br-twelve-123", "ipam": {"type": "patchbay", "subnet": "10.1.2.0/24"}`: `bridge: "br-twelve-123.100" cannot name the gateway's interface of VLAN 100: name is too long`,
	} {
		if _, err := Parse([]byte(conf(keys)), ""); err == nil || !strings.HasPrefix(err.Error(), want+"; ") {
			t.Errorf("%s: got %v, want %s", keys, err, want)
		}
	}
}
