package config

import "fmt"

// Maximum lengths of lists in the configuration. A longer list is an error or an
// attack: the cost of some steps of ADD grows with the square of a length.
const (
	maxPrefixes      = 4096    // exclude, masqExclude
	maxRoutes        = 1024    // routes
	maxRanges        = 256     // ranges in ranges and ipRanges together
	maxEgress        = 1000    // egress.allow: its elements must fit into one netlink attribute of 64 KiB
	maxIPs           = 256     // requested addresses, and gateways, of each source
	maxDNS           = 256     // name servers, search domains and options
	maxResultEntries = 4096    // interfaces, ips and routes of a result
	maxArgs          = 1 << 16 // CNI_ARGS, bytes
	maxSubnets       = 128     // shapedSubnets, unshapedSubnets
)

// atMost rejects a list that is too long, and reports whether it is short enough.
func (d *decoder) atMost(key string, count, most int) bool {
	if count > most {
		d.fail(tooMany(key, count, most))
	}
	return count <= most
}

// tooMany returns the error about a list that is too long.
func tooMany(key string, count, most int) *Error {
	return invalid(key, fmt.Sprintf("give at most %d", most), "%d entries are too many", count)
}
