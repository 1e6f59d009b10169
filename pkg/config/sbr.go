package config

import (
	"encoding/json"
	"fmt"
	"math"
	"net/netip"
	"slices"
)

// SBR is source-based routing, the work of the reference plugin sbr.
type SBR struct {
	Table          int          // table that others fill; 0: one is chosen for each address
	Gateways       []netip.Addr // at most one for each family; they replace those of the addresses
	AddSourceHints bool         // keep the routes to the subnets in the main table too
}

// Gateway returns the gateway for a family, or else the one that is given; configured reports which.
func (s *SBR) Gateway(is4 bool, otherwise netip.Addr) (gateway netip.Addr, configured bool) {
	for _, gateway := range s.Gateways {
		if gateway.Is4() == is4 {
			return gateway, true
		}
	}
	return otherwise, false
}

// sbr decodes the key "sbr": true, or an object with the keys of the reference plugin. It returns nil if
// the key is absent or false.
func (d *decoder) sbr(top section) *SBR {
	raw, found := top.raw("sbr")
	if !found {
		return nil
	}
	var on bool
	if json.Unmarshal(raw, &on) == nil {
		if on {
			return &SBR{}
		}
		return nil
	}
	if raw[0] != '{' {
		d.fail(invalid("sbr", "give true, or an object with table, gateways or addSourceHints", "want true, false or an object, got %s", brief(raw)))
		return nil
	}
	return d.sbrKeys(d.inner(top, "sbr"))
}

// sbrKeys decodes the keys of the plugin, which the reference has beside its type.
func (d *decoder) sbrKeys(s section) *SBR {
	sbr := &SBR{
		Table:          d.number(s, "table", 1, math.MaxUint32),
		AddSourceHints: d.flag(s, "addSourceHints"),
	}
	if names := map[int]string{253: "default", 254: "main", 255: "local"}; names[sbr.Table] != "" {
		d.fail(invalid(s.path+"table", "give another number, or leave the key out", "%d is the table %s of the kernel", sbr.Table, names[sbr.Table]))
	}
	for _, text := range d.texts(s, "gateways") {
		gateway, err := netip.ParseAddr(text)
		if err != nil || gateway.Zone() != "" {
			d.fail(invalid(s.path+"gateways", "give at most one IPv4 and one IPv6 address", "%q is not an IP address", text))
			return sbr
		}
		gateway = gateway.Unmap()
		d.unicast(s.path+"gateways", gateway, gateway)
		if slices.ContainsFunc(sbr.Gateways, func(other netip.Addr) bool { return other.Is4() == gateway.Is4() }) {
			d.fail(invalid(s.path+"gateways", "give at most one of each family", "%s is the second gateway of its family", gateway))
		}
		sbr.Gateways = append(sbr.Gateways, gateway)
	}
	return sbr
}

// checkSBR checks the key against others. With a table that others fill the reference ignores the keys
// for routes without a word.
func (d *decoder) checkSBR(c *Config) {
	switch {
	case c.SBR == nil:
	case c.IPAMType == "":
		d.fail(invalid("sbr", `give the network addresses with "ipam", or leave the key out`, "routes by source addresses, and network %s has no ipam", c.Name))
	case c.SBR.Table != 0 && (len(c.SBR.Gateways) > 0 || c.SBR.AddSourceHints):
		d.fail(invalid("sbr.table", "leave out table, or gateways and addSourceHints", "no routes are added to table %d, which others fill", c.SBR.Table))
	}
}

// String returns the key's value for messages.
func (s *SBR) String() string {
	switch {
	case s == nil:
		return "false"
	case s.Table != 0:
		return fmt.Sprintf("with table %d", s.Table)
	}
	return "true"
}
