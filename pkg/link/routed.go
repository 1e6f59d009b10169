package link

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// minBits is the shortest prefix that says where something is. Shorter ones are default routes, also one
// in two halves (0.0.0.0/1 and 128.0.0.0/1), as VPN clients add it.
const minBits = 8

// FirstUnrouted returns the first of the prefixes, all of one family, that does not overlap the destination of a route
// of the host, in any table and of any type. Routes by the interface named besides are ignored. The
// result is the zero Prefix if all overlap.
//
// Tables other than main count, because a VPN or a VRF keeps its routes there. So do routes
// of types such as unreachable: they reserve a prefix (aggregates of a router).
func (h *Host) FirstUnrouted(prefixes []netip.Prefix, besides string) (netip.Prefix, error) {
	own := 0
	if l, err := h.byName(besides); err == nil {
		own = l.Index
	}
	family := netlink.FAMILY_V4
	if len(prefixes) > 0 && prefixes[0].Addr().Is6() {
		family = netlink.FAMILY_V6
	}
	routed, err := h.routed(family, own)
	if err != nil {
		return netip.Prefix{}, err
	}
	for _, p := range prefixes {
		if !overlapsAny(p, routed) {
			return p, nil
		}
	}
	return netip.Prefix{}, nil
}

func overlapsAny(p netip.Prefix, others []netip.Prefix) bool {
	for _, other := range others {
		if p.Overlaps(other) {
			return true
		}
	}
	return false
}

// routed returns the destinations of all routes of a family except those by one interface.
func (h *Host) routed(family, besides int) ([]netip.Prefix, error) {
	library, err := h.dumper()
	if err != nil {
		return nil, err
	}
	all := &netlink.Route{Table: unix.RT_TABLE_UNSPEC}
	routes, err := surveyDump("routes", func() ([]netlink.Route, error) {
		return library.RouteListFiltered(family, all, netlink.RT_FILTER_TABLE)
	})
	if err != nil {
		return nil, fmt.Errorf("find an unused subnet: %w", err)
	}
	var found []netip.Prefix
	for i := range routes {
		prefix, ok := surveyPrefix(routes[i].Dst)
		if ok && prefix.Bits() >= minBits && (besides == 0 || routes[i].LinkIndex != besides) {
			found = append(found, prefix)
		}
	}
	return found, nil
}

// Uplink reports whether a bridge port connects the bridge to something outside the host: any kind of
// link except taps, and veths with a generated name (veth...), which belong to containers. A veth that
// is named like a network card is the uplink of a host that is itself a container.
func (l *SurveyLink) Uplink() bool { return isUplink(l.Kind, l.Name) }

// Uplink reports the same as SurveyLink.Uplink.
func (l *Link) Uplink() bool { return isUplink(l.Kind, l.Name) }

func isUplink(kind, name string) bool {
	return kind != "tun" && kind != "tuntap" && !(kind == "veth" && strings.HasPrefix(name, "veth"))
}
