package badinput

import "testing"

// TestBandwidthKeys: wrong limits are refused before anything is created, also a burst that does not fit the MTU of the network.
//
// Claim: Invalid input gives a CNI error and exit status 1, and changes nothing in the kernel
func TestBandwidthKeys(t *testing.T) {
	t.Parallel()
	b := newTable(t)
	const (
		invalid = 7
		number  = "want a whole number from 0 to 18446744073709551615, got "
		give    = "give a whole number from 0 to 18446744073709551615, or leave the key out"
		packet  = "give a burst of at least one packet, or leave the key out for the default"
		twice   = "leave out the object, or the same keys outside of it"
	)
	b.try(t, []row{
		{name: "rate negative", config: network(`"ingressRate": -1`), code: invalid, msg: "ingressRate: " + number + "-1", details: give},
		{name: "rate above 64 bits", config: network(`"egressRate": 18446744073709551616`), code: invalid, msg: "egressRate: " + number + "18446744073709551616", details: give},
		{name: "rate as text", config: network(`"runtimeConfig": {"bandwidth": {"egressRate": "10M"}}`), code: invalid, msg: "runtimeConfig.bandwidth.egressRate: " + number + `"10M"`, details: give},
		{name: "rate in the wrong unit", config: network(`"egressRate": 10`), code: invalid, msg: "egressRate: 10 bit/s is too slow", details: "give at least 1000 bit/s, or 0 for no limit"},
		{name: "burst without rate", config: network(`"bandwidth": {"egressBurst": 100000}`), code: invalid, msg: "bandwidth.egressBurst: there is no bandwidth.egressRate", details: "give the rate too, or leave the key out"},
		{name: "burst of 1517 bytes", config: network(`"ingressRate": 1000000, "ingressBurst": 12143`), code: invalid, msg: "ingressBurst: burst shorter than a packet: 12143 bits are 1517 bytes, a packet with MTU 1500 needs 12144 bits", details: packet},
		{name: "burst for a large MTU", config: network(`"mtu": 9000, "egressRate": 1000000, "egressBurst": 12144`), code: invalid, msg: "egressBurst: burst shorter than a packet: 12144 bits are 1518 bytes, a packet with MTU 9000 needs 72144 bits", details: packet},
		{name: "limits twice", config: network(`"ingressRate": 1000000, "bandwidth": {"ingressRate": 1000000}`), code: invalid, msg: "bandwidth: the limits are given twice", details: twice},
		{name: "subnets of both kinds", config: network(`"ingressRate": 1000000, "shapedSubnets": ["10.0.0.0/8"], "unshapedSubnets": ["10.1.0.0/16"]`), code: invalid, msg: "unshapedSubnets: cannot be given together with shapedSubnets", details: "leave out one of the two keys"},
		{name: "subnet by name", config: network(`"ingressRate": 1000000, "shapedSubnets": ["example.org"]`), code: invalid, msg: `shapedSubnets: "example.org" is neither an IP address nor a CIDR`, details: "give addresses or CIDRs"},
	})
}
