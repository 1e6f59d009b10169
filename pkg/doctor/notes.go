package doctor

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/printable"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// notes returns what may be intended and explains why containers cannot reach other networks: a host without a default route.
func (x *examination) notes() []string {
	var notes []string
	for _, is4 := range []bool{true, false} {
		networks := x.leaving(is4)
		if len(networks) == 0 || x.hasDefaultRoute(is4) {
			continue
		}
		option := "-4"
		if !is4 {
			option = "-6"
		}
		text := fmt.Sprintf("the host has no %s default route: containers of network %s can only reach networks that the host has a route to (# %s)",
			family(is4), strings.Join(networks, ", "), printable.Command("ip", option, "route", "add", "default", "via", "ROUTER", "dev", "INTERFACE"))
		notes = append(notes, printable.Text(text, maxLine))
	}
	return append(notes, x.nameNotes()...)
}

// leaving returns the names of networks whose containers reach other networks through the host: it masquerades them, or
// is their default gateway. The latter does not count for IPv6, where a site often has no uplink.
func (x *examination) leaving(is4 bool) []string {
	var networks []string
	for _, r := range x.live {
		masquerades := r.Masquerade != nil && slices.ContainsFunc(r.Masquerade.Addresses, func(p netip.Prefix) bool { return p.Addr().Is4() == is4 })
		if masquerades || is4 && r.Gateway && slices.ContainsFunc(r.Planned, isDefault4) {
			networks = append(networks, r.Network)
		}
	}
	slices.Sort(networks)
	return slices.Compact(networks)
}

func isDefault4(route store.Route) bool { return route.Dst.Addr().Is4() && route.Dst.Bits() == 0 }

// hasDefaultRoute reports whether the host has a default route of a family, or another route to a root name server: by a
// rule for another table, or by two routes for one half of the addresses each. It sends nothing.
func (x *examination) hasDefaultRoute(is4 bool) bool {
	if slices.ContainsFunc(x.survey.Routes, func(r link.SurveyRoute) bool { return r.IPv6 != is4 }) {
		return true
	}
	far := netip.AddrFrom4([4]byte{198, 41, 0, 4}) // a.root-servers.net
	if !is4 {
		far = netip.MustParseAddr("2001:503:ba3e::2:30")
	}
	_, err := x.host.InterfaceTo(far)
	return err == nil
}
