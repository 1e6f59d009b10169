package link

import (
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// leastBits is the shortest prefix that says where something is. What is shorter is a default route,
// also one in two halves (0.0.0.0/1 and 128.0.0.0/1), as VPNs make it.
const leastBits = 8

// FirstUnrouted is the first of the prefixes that no route of the host leads to, or leads to a part
// of, whatever table it is in and whatever becomes of the packets. Routes through the link that is
// named do not count. It is not valid if all are routed.
func (h *Host) FirstUnrouted(prefixes []netip.Prefix, besides string) (netip.Prefix, error) {
	own := 0
	if l, err := h.byName(besides); err == nil {
		own = l.Index
	}
	routed, err := h.routed(own)
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

// routed are the destinations of all routes but those through one link.
func (h *Host) routed(besides int) ([]netip.Prefix, error) {
	library, err := h.dumper()
	if err != nil {
		return nil, err
	}
	all := &netlink.Route{Table: unix.RT_TABLE_UNSPEC}
	routes, err := surveyDump("routes", func() ([]netlink.Route, error) {
		return library.RouteListFiltered(netlink.FAMILY_V4, all, netlink.RT_FILTER_TABLE)
	})
	if err != nil {
		return nil, fmt.Errorf("look for a free subnet: %w", err)
	}
	var found []netip.Prefix
	for i := range routes {
		prefix, ok := surveyPrefix(routes[i].Dst)
		if ok && prefix.Bits() >= leastBits && (besides == 0 || routes[i].LinkIndex != besides) {
			found = append(found, prefix)
		}
	}
	return found, nil
}

// Uplink reports whether a bridge port leads out of the host: any kind of link but taps, and veths
// with a made-up name (veth...), which are containers. A veth named like a card is what a host that
// is itself a container has for one.
func (l *SurveyLink) Uplink() bool {
	made := len(l.Name) >= 4 && l.Name[:4] == "veth"
	return l.Kind != "tun" && l.Kind != "tuntap" && !(l.Kind == "veth" && made)
}
