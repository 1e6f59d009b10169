package config

import "math"

// routes decodes ipam.routes. It rejects what the kernel would reject in the middle of
// ADD: a gateway of another family, and host bits in an IPv4 destination.
func (d *decoder) routes(s section) []Route {
	var routes []Route
	for _, r := range d.inners(s, "routes", maxRoutes) {
		route := Route{
			Dst:      d.prefix(r, "dst"),
			GW:       d.address(r, "gw"),
			MTU:      d.number(r, "mtu", minMTU, maxMTU),
			AdvMSS:   d.number(r, "advmss", 1, maxMTU),
			Priority: d.number(r, "priority", 0, math.MaxUint32),
			Table:    d.optional(r, "table", math.MaxUint32),
			Scope:    d.optional(r, "scope", math.MaxUint8),
		}
		d.route(r, &route)
		routes = append(routes, route)
	}
	return routes
}

// route checks a route.
func (d *decoder) route(s section, r *Route) {
	if d.err != nil {
		return
	}
	if !r.Dst.IsValid() {
		d.fail(invalid(s.path+"dst", `give a CIDR; the default route is "0.0.0.0/0" or "::/0"`, "missing"))
		return
	}
	if r.Dst.Masked() != r.Dst && r.Dst.Addr().Is4() {
		d.fail(invalid(s.path+"dst", "write "+r.Dst.Masked().String(), "%s has host bits set", r.Dst))
	}
	r.Dst = r.Dst.Masked()
	d.unicast(s.path+"gw", r.GW, r.GW)
	if r.GW.IsValid() && r.GW.Is4() != r.Dst.Addr().Is4() {
		d.fail(invalid(s.path+"gw", "give a gateway of the destination's family", "%s cannot be the gateway to %s", r.GW, r.Dst))
	}
}
