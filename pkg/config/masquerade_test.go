package config

import (
	"net/netip"
	"testing"
)

// Claim: Masquerading: `masqExclude`, `masqFamilies` and `randomFully` work; both values of `ipMasqBackend` are accepted
func TestParseMasq(t *testing.T) {
	with := func(m Masq) *Config {
		c := bare()
		c.Masq = &m
		return c
	}
	both := Masq{IPv4: true, IPv6: true}
	for keys, want := range map[string]*Config{
		`"ipMasq": false`: bare(),
		`"ipMasq": false, "masqExclude": ["10.0.0.0/8"], "randomFully": true`: bare(),
		`"ipMasq": true`:                                with(both),
		`"ipMasq": true, "ipMasqBackend": ""`:           with(both),
		`"ipMasq": true, "ipMasqBackend": "iptables"`:   with(both),
		`"ipMasq": true, "ipMasqBackend": "nftables"`:   with(both),
		`"ipMasq": true, "masqFamilies": []`:            with(both),
		`"ipMasq": true, "masqFamilies": ["ipv4"]`:      with(Masq{IPv4: true}),
		`"ipMasq": true, "masqFamilies": ["ipv6"]`:      with(Masq{IPv6: true}),
		`"ipMasq": true, "randomFully": true`:           with(Masq{IPv4: true, IPv6: true, RandomFully: true}),
		`"ipMasq": true, "masqExclude": ["10.1.2.3/8"]`: with(Masq{IPv4: true, IPv6: true, Exclude: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}),
		`"ipMasq": true, "masqExclude": ["2001:db8::1", "192.0.2.7"]`: with(Masq{IPv4: true, IPv6: true, Exclude: []netip.Prefix{
			netip.MustParsePrefix("2001:db8::1/128"), netip.MustParsePrefix("192.0.2.7/32"),
		}}),
	} {
		accepts(t, conf(keys), "", want)
	}
	// Invalid options are errors also without ipMasq.
	refuses(t, conf(`"masqExclude": ["lan"]`), "", &Error{Msg: `masqExclude: "lan" is neither an IP address nor a CIDR`, Details: "give addresses or CIDRs"})
	refuses(t, conf(`"masqFamilies": ["inet"]`), "", &Error{Msg: `masqFamilies: "inet" is not an address family`, Details: `give a list of "ipv4" and "ipv6"`})
	refuses(t, conf(`"ipMasqBackend": "ipchains"`), "", &Error{
		Msg: `ipMasqBackend: "ipchains" is not known`, Details: `give "nftables" or "iptables", or leave the key out; Patchbay uses nftables`,
	})
}
