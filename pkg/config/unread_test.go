package config

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// Keys in objects are found, also in objects of objects, and so are objects of others, but not what is in them.
//
// Claim: doctor reports a key of a network that ADD ignores and that is nearly one that it reads
func TestParseAll(t *testing.T) {
	const pool = `"type": "patchbay", "ranges": [[{"subnet": "10.1.0.0/24"}]]`
	for keys, want := range map[string][]string{
		`"cniVersions": ["1.0.0"], "capabilities": {"portMappings": true}, "ISGATEWAY": true, "ipam": {` + pool + `}`: nil,
		`"isDefaultGatway": true, "a": {"mtu": 1}`:                             {"a", "isDefaultGatway"},
		`"dns": {"nameserver": []}, "args": {"cni": {"macc": ""}, "label": 1}`: {"args.cni.macc", "args.label", "dns.nameserver"},
		`"ipam": {` + pool + `, "range": []}`:                                  {"ipam.range"},
		`"ipam": {"type": "dhcp", "daemonSocketPath": "/x"}`:                   nil,
		`"mtu": "big", "mtuu": 1`:                                              nil, // Parse fails
	} {
		var got []string
		_, unread, _ := ParseAll([]byte(conf(keys)))
		for _, u := range unread {
			got = append(got, u.Section+u.Key)
			if len(u.Known) == 0 {
				t.Errorf("%s: nothing is known in %q", keys, u.Section)
			}
		}
		slices.Sort(got)
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", keys, diff)
		}
	}
}
