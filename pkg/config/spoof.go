package config

import "slices"

// Values of spoofCheck: which source addresses of frames are checked at the bridge port.
const (
	SpoofNone = "none" // none
	SpoofMAC  = "mac"  // MAC, as macspoofchk of the reference bridge
	SpoofFull = "full" // also the addresses in IPv4, IPv6, ARP and neighbour discovery
)

// SpoofCheck is the source address check of a network. Explicit is false if Level is only
// the default.
type SpoofCheck struct {
	Level    string
	Explicit bool
}

// spoofCheck decodes spoofCheck and macspoofchk. The default of an isolated network is
// and of one with egress is to check: its containers are recognised by bridge port and
// address, which a container must not be able to choose.
func (d *decoder) spoofCheck(top section, c *Config) {
	level, mac := d.text(top, "spoofCheck"), d.flag(top, "macspoofchk")
	switch {
	case !slices.Contains([]string{"", SpoofNone, SpoofMAC, SpoofFull}, level):
		d.fail(invalid("spoofCheck", `give "none", "mac" or "full"`, "%q is not known", level))
	case level == SpoofNone && mac:
		d.fail(invalid("spoofCheck", "leave out one of the two keys", `cannot be "none" where macspoofchk is true`))
	case level != "" && level != SpoofFull && c.Egress != nil:
		d.fail(invalid("spoofCheck", "leave one of the two keys out", `cannot be %q with egress: a container could choose another address`, level))
	case level == SpoofFull && c.IPAMType == "":
		d.fail(invalid("spoofCheck", `give "mac", or give the network addresses with "ipam"`, `"full" compares with addresses, and network %s has no ipam`, c.Name))
	}
	c.SpoofCheck = SpoofCheck{Level: level, Explicit: level != "" || mac}
	if level != "" {
		return
	}
	switch {
	case c.Egress != nil, c.IngressPolicy == PolicyIsolated && c.IPAMType != "":
		c.SpoofCheck.Level = SpoofFull
	case c.IngressPolicy == PolicyIsolated || mac:
		c.SpoofCheck.Level = SpoofMAC
	default:
		c.SpoofCheck.Level = SpoofNone
	}
}
