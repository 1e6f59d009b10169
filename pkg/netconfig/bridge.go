package netconfig

import (
	"fmt"
	"net/netip"
)

// File is a file to write.
type File struct {
	Path    string
	Mode    uint32
	Content string
}

// Bridge is a bridge with its only port, as it should be after a boot.
type Bridge struct {
	Name, Port string
	MAC        string // of the bridge
	MTU        int    // bytes
	Addresses  []netip.Prefix
	Routes     []Route
	DNS        []netip.Addr
	Search     []string // domains

	DHCP4, DHCP6 bool // a DHCP server assigns addresses
	AcceptRA     bool // routers advertise IPv6 prefixes and routes
}

// Route is a route of a bridge.
type Route struct {
	To       netip.Prefix
	Gateway  netip.Addr // the zero Addr without one
	Source   netip.Addr // the zero Addr without one
	Metric   uint32     // 0: the default
	Table    uint32     // 254 is main
	OnLink   bool       // the gateway is reached without a route to it
	MTU      uint32     // bytes; 0 for none
	Multiple bool       // it has several next hops, which no format here has
}

const (
	mainTable   = 254 // RT_TABLE_MAIN
	ethernetMTU = 1500
)

func (r Route) is4() bool { return r.To.Addr().Is4() }

func (r Route) isDefault() bool { return r.To.Bits() == 0 }

// String returns the route as ip(8) has it.
func (r Route) String() string {
	to := r.To.String()
	if r.isDefault() {
		to = "default"
	}
	if r.Gateway.IsValid() {
		to += " via " + r.Gateway.String()
	}
	return to
}

// usual returns the routes that a format can express, and a note for each of the others.
func (b *Bridge) usual() (routes []Route, notes []string) {
	for _, r := range b.Routes {
		if r.Multiple {
			notes = append(notes, fmt.Sprintf("route %s has several next hops: add it by hand", r))
			continue
		}
		routes = append(routes, r)
	}
	return routes, notes
}

// family returns the addresses of one family.
func (b *Bridge) family(is4 bool) (all []netip.Prefix) {
	for _, p := range b.Addresses {
		if p.Addr().Is4() == is4 {
			all = append(all, p)
		}
	}
	return all
}
