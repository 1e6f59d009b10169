package config

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

const sbrIPAM = `"ipam": {"type": "patchbay", "subnet": "10.1.2.0/24"}, `

func TestParseSBR(t *testing.T) {
	for keys, want := range map[string]*SBR{
		`"sbr": null`:                  nil,
		`"sbr": false`:                 nil,
		`"sbr": true`:                  {},
		`"sbr": {}`:                    {},
		`"sbr": {"table": 0}`:          {},
		`"sbr": {"table": 252}`:        {Table: 252},
		`"sbr": {"table": 256}`:        {Table: 256},
		`"sbr": {"table": 4294967295}`: {Table: 4294967295},
		`"sbr": {"gateways": ["10.1.2.9", "fd00::9"], "addSourceHints": true}`: {Gateways: []netip.Addr{netip.MustParseAddr("10.1.2.9"), netip.MustParseAddr("fd00::9")}, AddSourceHints: true},
	} {
		c, err := Parse([]byte(spoofConfig(sbrIPAM+keys)), "")
		if err != nil {
			t.Errorf("%s: %v", keys, err)
			continue
		}
		if diff := cmp.Diff(want, c.SBR, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", keys, diff)
		}
	}
}

// Claim: `sbr` with a table of the kernel, or without addresses to route by, is refused by name
func TestParseSBRRefused(t *testing.T) {
	for keys, want := range map[string]string{
		`"sbr": 1`:                                      `sbr: want true, false or an object, got 1`,
		`"sbr": "yes"`:                                  `sbr: want true, false or an object, got "yes"`,
		`"sbr": []`:                                     `sbr: want true, false or an object, got []`,
		`"sbr": {"table": -1}`:                          `sbr.table: -1 is out of range`,
		`"sbr": {"table": 4294967296}`:                  `sbr.table: 4294967296 is out of range`,
		`"sbr": {"table": "100"}`:                       `sbr.table: want a whole number, got "100"`,
		`"sbr": {"table": 253}`:                         `sbr.table: 253 is the table default of the kernel`,
		`"sbr": {"table": 254}`:                         `sbr.table: 254 is the table main of the kernel`,
		`"sbr": {"table": 255}`:                         `sbr.table: 255 is the table local of the kernel`,
		`"sbr": {"gateways": "10.1.2.1"}`:               `sbr.gateways: want a list of strings, got "10.1.2.1"`,
		`"sbr": {"gateways": ["gw"]}`:                   `sbr.gateways: "gw" is not an IP address`,
		`"sbr": {"gateways": ["fe80::1%eth0"]}`:         `sbr.gateways: "fe80::1%eth0" is not an IP address`,
		`"sbr": {"gateways": ["224.0.0.1"]}`:            `sbr.gateways: 224.0.0.1 is multicast`,
		`"sbr": {"gateways": ["10.1.2.1","10.1.2.2"]}`:  `sbr.gateways: 10.1.2.2 is the second gateway of its family`,
		`"sbr": {"addSourceHints": 1}`:                  `sbr.addSourceHints: want true or false, got 1`,
		`"sbr": {"table": 7, "addSourceHints": true}`:   `sbr.table: no routes are added to table 7, which others fill`,
		`"sbr": {"table": 7, "gateways": ["10.1.2.1"]}`: `sbr.table: no routes are added to table 7, which others fill`,
	} {
		if _, err := Parse([]byte(spoofConfig(sbrIPAM+keys)), ""); err == nil || !strings.HasPrefix(err.Error(), want+"; ") {
			t.Errorf("%s: got %v, want %s", keys, err, want)
		}
	}
	if _, err := Parse([]byte(spoofConfig(`"sbr": true`)), ""); err == nil || !strings.HasPrefix(err.Error(), "sbr: routes by source addresses, and network net has no ipam; ") {
		t.Errorf("without ipam: %v", err)
	}
}
