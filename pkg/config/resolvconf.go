package config

import (
	"bytes"
	"strings"

	"github.com/containernetworking/cni/pkg/types"
)

// ParseResolvConf reads the text of a resolv.conf(5): name servers, search words and options
// add up, the last domain wins. It takes what it knows and passes over the rest.
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
