package config

import (
	"fmt"
	"strings"
	"testing"
)

// egressConf returns a configuration with addresses and the given keys.
func egressConf(keys string) string {
	return conf(keys + `, "ipam": {"type": "patchbay", "subnet": "10.1.2.0/24"}`)
}

// The list is sorted and merged, and an empty section allows nothing.
//
// Claim: `egress` and `outboundAddr4` are decoded, merged and checked: what is wrong is named by key, index and value
func TestParseEgress(t *testing.T) {
	const none = "no restriction"
	for keys, want := range map[string]string{
		`"egress": null`: none,
		`"egress": {}`:   "[]", `"egress": {"default": ""}`: "[]", `"egress": {"allow": null}`: "[]",
		`"egress": {"default": "accept", "allow": ["10.0.0.0/8"]}`:                                                    none,
		`"egress": {"allow": []}`:                                                                                     "[]",
		`"egress": {"default": "drop"}`:                                                                               "[]",
		`"egress": {"allow": ["192.0.2.7", "2001:db8::1", "::ffff:192.0.2.8"]}`:                                       "[192.0.2.7/32 192.0.2.8/32 2001:db8::1/128]",
		`"egress": {"ALLOW": ["10.1.0.0/16", "10.0.0.0/8", "10.255.255.255", "11.0.0.0/8", "10.0.0.0/8"]}`:            "[10.0.0.0/8 11.0.0.0/8]",
		`"egress": {"allow": ["0.0.0.0/0", "192.0.2.0/24", "::/0", "2001:db8::/32"], "default": "drop"}`:              "[0.0.0.0/0 ::/0]",
		`"egress": {"allow": ["2001:db8:8000::/33", "2001:db8::/33", "2001:db8::/34", "10.0.0.0/9", "10.128.0.0/9"]}`: "[10.0.0.0/9 10.128.0.0/9 2001:db8::/33 2001:db8:8000::/33]",
	} {
		c, err := Parse([]byte(egressConf(keys)), "")
		if err != nil {
			t.Errorf("%s: %v", keys, err)
			continue
		}
		got := none
		if c.Egress != nil {
			got = fmt.Sprint(c.Egress.Allow)
		}
		if got != want {
			t.Errorf("%s: got %s, want %s", keys, got, want)
		}
	}
}

// Claim: `egress` and `outboundAddr4` are decoded, merged and checked: what is wrong is named by key, index and value
func TestParseEgressRefused(t *testing.T) {
	for keys, want := range map[string]string{
		`"egress": []`:                                                             `egress: want an object, got []; `,
		`"egress": {"alow": []}`:                                                   `egress: "alow" is not known; give "allow" and "default"`,
		`"egress": {"default": "reject"}`:                                          `egress.default: "reject" is not known; give "drop" or "accept"`,
		`"egress": {"allow": "10.0.0.0/8"}`:                                        `egress.allow: want a list of strings, got "10.0.0.0/8"; `,
		`"egress": {"allow": ["10.0.0.0/8", "::/0", "example.com"]}`:               `egress.allow[2]: "example.com" is not a CIDR; give a CIDR such as 10.0.0.0/8, or an address; names are not resolved`,
		`"egress": {"allow": ["10.1.2.3/8"]}`:                                      `egress.allow[0]: "10.1.2.3/8" has bits set behind its prefix length; give 10.0.0.0/8, or 10.1.2.3 for the address alone`,
		`"egress": {"allow": ["fe80::1%eth0"]}`:                                    `egress.allow[0]: "fe80::1%eth0" is not a CIDR; `,
		`"egress": {"allow": ["::ffff:10.0.0.0/104"]}`:                             `egress.allow[0]: "::ffff:10.0.0.0/104" is an IPv4-mapped IPv6 prefix, which no packet has as destination; `,
		`"egress": {"allow": [""]}`:                                                `egress.allow[0]: "" is not a CIDR; `,
		`"egress": {"default": "accept", "allow": ["x"]}`:                          `egress.allow[0]: "x" is not a CIDR; `,
		`"egress": {"allow": [` + strings.Repeat(`"::1", `, maxEgress) + `"::1"]}`: `egress.allow: 1001 entries are too many; give at most 1000`,
	} {
		if _, err := Parse([]byte(egressConf(keys)), ""); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%.80s: got %v, want %s", keys, err, want)
		}
	}
	const want = "egress: network net has no ipam, and containers are recognised by their addresses; "
	if _, err := Parse([]byte(conf(`"egress": {"default": "drop"}`)), ""); err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("without ipam: got %v, want %s", err, want)
	}
}

// outboundAddr4 and 6 work alone, for their family, and with ipMasq.
//
// Claim: `egress` and `outboundAddr4` are decoded, merged and checked: what is wrong is named by key, index and value
func TestParseOutbound(t *testing.T) {
	for keys, want := range map[string]string{
		`"outboundAddr4": "", "outboundAddr6": null`:                                                              "none",
		`"outboundAddr4": "203.0.113.5"`:                                                                          "ipv4 203.0.113.5",
		`"outboundAddr6": "2001:db8::5"`:                                                                          "ipv6 2001:db8::5",
		`"outboundAddr4": "203.0.113.5", "ipMasq": true`:                                                          "ipv4 203.0.113.5, ipv6 invalid IP",
		`"outboundAddr4": "203.0.113.5", "ipMasq": true, "masqFamilies": ["ipv4"]`:                                "ipv4 203.0.113.5",
		`"outboundAddr4": "203.0.113.5", "outboundAddr6": "2001:db8::5", "masqExclude": ["::1"], "ipMasq": false`: "ipv4 203.0.113.5, ipv6 2001:db8::5, except [::1/128]",
	} {
		c, err := Parse([]byte(egressConf(keys)), "")
		if err != nil {
			t.Errorf("%s: %v", keys, err)
			continue
		}
		if got := outboundText(c.Masq); got != want {
			t.Errorf("%s: got %s, want %s", keys, got, want)
		}
	}
}

func outboundText(m *Masq) string {
	if m == nil {
		return "none"
	}
	var all []string
	if m.IPv4 {
		all = append(all, "ipv4 "+m.Outbound4.String())
	}
	if m.IPv6 {
		all = append(all, "ipv6 "+m.Outbound6.String())
	}
	if len(m.Exclude) > 0 {
		all = append(all, fmt.Sprint("except ", m.Exclude))
	}
	return strings.Join(all, ", ")
}

// Claim: `egress` and `outboundAddr4` are decoded, merged and checked: what is wrong is named by key, index and value
func TestParseOutboundRefused(t *testing.T) {
	for keys, want := range map[string]string{
		`"outboundAddr4": 5`:                                       `outboundAddr4: want a string, got 5; `,
		`"outboundAddr4": "host"`:                                  `outboundAddr4: "host" is not an IP address; give one address, without a prefix length`,
		`"outboundAddr4": "203.0.113.5/24"`:                        `outboundAddr4: "203.0.113.5/24" is not an IP address; `,
		`"outboundAddr4": "2001:db8::5"`:                           `outboundAddr4: "2001:db8::5" is not an IPv4 address; give an address of that family, or use outboundAddr6`,
		`"outboundAddr6": "203.0.113.5"`:                           `outboundAddr6: "203.0.113.5" is not an IPv6 address; give an address of that family, or use outboundAddr4`,
		`"outboundAddr6": "::ffff:203.0.113.5"`:                    `outboundAddr6: "::ffff:203.0.113.5" is not an IPv6 address; `,
		`"outboundAddr4": "0.0.0.0"`:                               `outboundAddr4: "0.0.0.0" cannot be the source of a packet to another host; `,
		`"outboundAddr4": "224.0.0.1"`:                             `outboundAddr4: "224.0.0.1" cannot be the source`,
		`"outboundAddr4": "255.255.255.255"`:                       `outboundAddr4: "255.255.255.255" cannot be the source`,
		`"outboundAddr4": "127.0.0.1"`:                             `outboundAddr4: "127.0.0.1" cannot be the source`,
		`"outboundAddr6": "fe80::1"`:                               `outboundAddr6: "fe80::1" cannot be the source`,
		`"outboundAddr6": "2001:db8::1%eth0"`:                      `outboundAddr6: "2001:db8::1%eth0" cannot be the source`,
		`"outboundAddr6": "::"`:                                    `outboundAddr6: "::" cannot be the source`,
		`"outboundAddr6": "ff02::1"`:                               `outboundAddr6: "ff02::1" cannot be the source`,
		`"outboundAddr6": "2001:db8::5", "masqFamilies": ["ipv4"]`: `outboundAddr6: masqFamilies does not contain "ipv6"; add it there, or leave one of the two keys out`,
	} {
		if _, err := Parse([]byte(egressConf(keys)), ""); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", keys, err, want)
		}
	}
	const want = "outboundAddr4: network net has no ipam, and so no address to replace; "
	if _, err := Parse([]byte(conf(`"outboundAddr4": "203.0.113.5"`)), ""); err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("without ipam: got %v, want %s", err, want)
	}
}
