package config

import (
	"bytes"
	"strings"

	"github.com/containernetworking/cni/pkg/types"
)

// UseResolvConf sets DNS from the text of a resolv.conf(5). The error is an *Error
// about lists that are too long.
func (c *Config) UseResolvConf(text []byte) error {
	d, dns := &decoder{}, ParseResolvConf(text)
	d.atMostDNS("ipam.resolvConf", dns)
	if d.err != nil {
		return d.err
	}
	c.DNS = dns
	return nil
}

// ParseResolvConf parses the text of a resolv.conf(5). Name servers, search domains and
// options of all lines are collected, the last domain is used, other lines are ignored.
func ParseResolvConf(text []byte) types.DNS {
	var dns types.DNS
	for line := range bytes.Lines(text) {
		fields := strings.Fields(string(line))
		if len(fields) < 2 || strings.HasPrefix(fields[0], "#") || strings.HasPrefix(fields[0], ";") {
			continue
		}
		switch fields[0] {
		case "nameserver":
			dns.Nameservers = append(dns.Nameservers, fields[1])
		case "domain":
			dns.Domain = fields[1]
		case "search":
			dns.Search = append(dns.Search, fields[1:]...)
		case "options":
			dns.Options = append(dns.Options, fields[1:]...)
		}
	}
	return dns
}
