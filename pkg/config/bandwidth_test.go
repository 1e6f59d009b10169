package config

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func bandwidthConfig(keys string) []byte {
	return []byte(`{"cniVersion": "1.0.0", "name": "net", "type": "bandwidth", ` + keys + `}`)
}

// The limits come from one of three places. Those of the configuration replace those of the runtime, unless they ask for nothing.
//
// Claim: Bandwidth limits come from the configuration, or else from the runtime; zeros and null count as not given
func TestParseBandwidth(t *testing.T) {
	const pod = `"runtimeConfig": {"bandwidth": {"ingressRate": 3000, "ingressBurst": 3, "egressRate": 4000}}`
	ofPod := &Bandwidth{Ingress: Rate{3000, 3}, Egress: Rate{Rate: 4000}}
	subnets := []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("2001:db8::1/128")}
	for keys, want := range map[string]*Bandwidth{
		`"a": 1`: nil,
		`"bandwidth": null, "ingressRate": null, "runtimeConfig": null`:                          nil,
		`"bandwidth": {}, "egressRate": 0, "egressBurst": 0, "runtimeConfig": {"bandwidth": {}}`: nil,
		`"runtimeConfig": {"bandwidth": {"ingressRate": 0, "ingressBurst": 0}}`:                  nil,
		`"ingressRate": 1000`: {Ingress: Rate{Rate: 1000}},
		`"ingressRate": 1000, "ingressBurst": 18446744073709551615`:           {Ingress: Rate{1000, 1<<64 - 1}},
		`"bandwidth": {"egressRate": 18446744073709551615, "egressBurst": 2}`: {Egress: Rate{1<<64 - 1, 2}},
		pod: ofPod,
		`"ingressRate": 0, "bandwidth": {"egressBurst": 0}, ` + pod:                                                   ofPod,
		`"egressRate": 5000, ` + pod:                                                                                  {Egress: Rate{Rate: 5000}},
		`"shapedSubnets": ["10.1.2.3/16", "2001:db8::1"]`:                                                             nil,
		`"shapedSubnets": ["10.1.2.3/16", "2001:db8::1"], ` + pod:                                                     {Ingress: ofPod.Ingress, Egress: ofPod.Egress, Shaped: subnets},
		`"runtimeConfig": {"bandwidth": {"egressRate": 4000, "unshapedSubnets": ["10.1.0.0/16", "2001:db8::1/128"]}}`: {Egress: Rate{Rate: 4000}, Unshaped: subnets},
	} {
		got, err := ParseBandwidth(bandwidthConfig(keys))
		if err != nil {
			t.Errorf("%s: %v", keys, err)
		}
		if diff := cmp.Diff(want, got, netips()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", keys, diff)
		}
	}
}

// Claim: A wrong bandwidth limit is an error that names the key
func TestParseBandwidthRefused(t *testing.T) {
	const number = "want a whole number from 0 to 18446744073709551615, got "
	for keys, want := range map[string]string{
		`"ingressRate": -1`:                                                   "ingressRate: " + number + "-1",
		`"ingressRate": 18446744073709551616`:                                 "ingressRate: " + number + "18446744073709551616",
		`"egressRate": "1M"`:                                                  "egressRate: " + number + `"1M"`,
		`"egressRate": 1.5`:                                                   "egressRate: " + number + "1.5",
		`"egressRate": 999`:                                                   "egressRate: 999 bit/s is too slow",
		`"egressBurst": 100000`:                                               "egressBurst: there is no egressRate",
		`"bandwidth": {"ingressRate": 0, "ingressBurst": 1}`:                  "bandwidth.ingressBurst: there is no bandwidth.ingressRate",
		`"bandwidth": 5`:                                                      "bandwidth: want an object, got 5",
		`"bandwidth": {"ingressRate": 1000}, "egressRate": 1000`:              "bandwidth: the limits are given twice",
		`"runtimeConfig": {"bandwidth": {"ingressRate": -5}}`:                 "runtimeConfig.bandwidth.ingressRate: " + number + "-5",
		`"runtimeConfig": {"bandwidth": [1]}`:                                 "runtimeConfig.bandwidth: want an object, got [1]",
		`"shapedSubnets": "10.0.0.0/8"`:                                       `shapedSubnets: want a list of strings, got "10.0.0.0/8"`,
		`"shapedSubnets": ["10.0.0.0/33"]`:                                    `shapedSubnets: "10.0.0.0/33" is neither an IP address nor a CIDR`,
		`"unshapedSubnets": ["example.org"]`:                                  `unshapedSubnets: "example.org" is neither an IP address nor a CIDR`,
		`"shapedSubnets": ["10.0.0.0/8"], "unshapedSubnets": ["10.1.0.0/16"]`: "unshapedSubnets: cannot be given together with shapedSubnets",
		`"egressRate": 1000, "shapedSubnets": ["10.0.0.1"` + strings.Repeat(`, "10.0.0.1"`, 128) + `]`: "shapedSubnets: 129 entries are too many",
	} {
		if _, err := ParseBandwidth(bandwidthConfig(keys)); err == nil || !strings.HasPrefix(err.Error(), want+"; ") {
			t.Errorf("%s: got %v, want %s", keys, err, want)
		}
	}
}
