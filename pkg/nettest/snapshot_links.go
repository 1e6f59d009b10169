package nettest

import (
	"fmt"
	"net"
	"net/netip"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// linkNames has the names of links by index.
type linkNames map[int]string

func (l linkNames) of(index int) string {
	if index == 0 {
		return "-"
	}
	if name, ok := l[index]; ok {
		return name
	}
	return fmt.Sprintf("if%d", index)
}

func (s *Snapshot) addLinks(h *netlink.Handle) error {
	links, err := dump(h.LinkList)
	if err != nil {
		return fmt.Errorf("links: %w", err)
	}
	s.names = make(linkNames, len(links))
	for _, l := range links {
		s.names[l.Attrs().Index] = l.Attrs().Name
	}
	for _, l := range links {
		a := l.Attrs()
		state := func(what string, value any) { s.set(a.Name, fmt.Sprint(value), "link", a.Name, what) }
		s.set(a.Name, l.Type(), "link", a.Name)
		state("master", s.names.of(a.MasterIndex))
		state("mac", a.HardwareAddr)
		state("mtu", a.MTU)
		state("group", a.Group)
		state("txqueuelen", a.TxQLen)
		state("alias", a.Alias)
		state("altnames", strings.Join(a.AltNames, " "))
		state("up", a.RawFlags&unix.IFF_UP != 0)
		state("promisc", a.RawFlags&unix.IFF_PROMISC != 0)
		state("allmulti", a.RawFlags&unix.IFF_ALLMULTI != 0)
		if br, ok := l.(*netlink.Bridge); ok {
			state("bridge", bridgeSettings(br))
		}
	}
	return nil
}

// addQdiscs adds the qdiscs that a program attached; those that the kernel attaches by itself have no handle.
func (s *Snapshot) addQdiscs(h *netlink.Handle) error {
	qdiscs, err := dump(func() ([]netlink.Qdisc, error) { return h.QdiscList(nil) })
	if err != nil {
		return fmt.Errorf("qdiscs: %w", err)
	}
	for _, q := range qdiscs {
		if a := q.Attrs(); a.Handle != 0 {
			name := s.names.of(a.LinkIndex)
			s.set(name, q.Type(), "qdisc", name, netlink.HandleStr(a.Handle))
		}
	}
	return nil
}

func bridgeSettings(br *netlink.Bridge) string {
	return fmt.Sprintf("mcast_snooping=%s vlan_filtering=%s pvid=%s ageing=%s hello=%s group_fwd_mask=%s",
		deref(br.MulticastSnooping), deref(br.VlanFiltering), deref(br.VlanDefaultPVID),
		deref(br.AgeingTime), deref(br.HelloTime), deref(br.GroupFwdMask))
}

func deref[T any](p *T) string {
	if p == nil {
		return "-"
	}
	return fmt.Sprint(*p)
}

func (s *Snapshot) addAddresses(h *netlink.Handle) error {
	list, err := dump(func() ([]netlink.Addr, error) { return h.AddrList(nil, netlink.FAMILY_ALL) })
	if err != nil {
		return fmt.Errorf("addresses: %w", err)
	}
	for _, a := range list {
		p := prefixOf(a.IPNet)
		if kernelMade(p) {
			continue
		}
		link := s.names.of(a.LinkIndex)
		value := "scope " + netlink.Scope(a.Scope).String()
		if a.Peer != nil && !a.Peer.IP.Equal(a.IP) {
			value += " peer " + a.Peer.String()
		}
		if a.Label != "" && a.Label != link {
			value += " label " + a.Label
		}
		s.set(link, value, "address", link, p.String())
	}
	return nil
}

// kernelMade reports whether an address is a link-local one that the kernel
// derived from a MAC (fe80::/64 and ff:fe in the middle). They come up to a
// second after the link and say nothing that the link does not.
func kernelMade(p netip.Prefix) bool {
	if !p.Addr().Is6() || !p.Addr().IsLinkLocalUnicast() {
		return false
	}
	b := p.Addr().As16()
	return b[11] == 0xff && b[12] == 0xfe
}

func (s *Snapshot) addRoutes(h *netlink.Handle) error {
	list, err := dump(func() ([]netlink.Route, error) {
		return h.RouteListFiltered(netlink.FAMILY_ALL, &netlink.Route{}, netlink.RT_FILTER_TABLE)
	})
	if err != nil {
		return fmt.Errorf("routes: %w", err)
	}
	for _, r := range list {
		if derived(r) {
			continue
		}
		link := s.names.of(r.LinkIndex)
		hops := fmt.Sprintf("via %s dev %s", orDash(r.Gw), link)
		for _, hop := range r.MultiPath {
			hops += fmt.Sprintf(" nexthop %s dev %s", orDash(hop.Gw), s.names.of(hop.LinkIndex))
		}
		name := fmt.Sprintf("table %d %s metric %d %s", r.Table, routeDst(r), r.Priority, hops)
		value := fmt.Sprintf("type %d proto %s scope %s src %s mtu %d advmss %d",
			r.Type, r.Protocol, r.Scope, orDash(r.Src), r.MTU, r.AdvMSS)
		s.set(link, value, "route", name)
	}
	return nil
}

// derived reports whether the kernel made a route from an address or a link, now
// or when duplicate address detection or forwarding let it.
func derived(r netlink.Route) bool {
	if r.Protocol != unix.RTPROT_KERNEL {
		return false
	}
	if r.Table == unix.RT_TABLE_LOCAL || r.Type == unix.RTN_ANYCAST {
		return true
	}
	dst := prefixOf(r.Dst).Addr()
	return dst.Is6() && (dst.IsLinkLocalUnicast() || dst.IsMulticast())
}

func routeDst(r netlink.Route) string {
	if r.Dst != nil {
		return r.Dst.String()
	}
	if r.Family == unix.AF_INET6 {
		return "::/0"
	}
	return "0.0.0.0/0"
}

func orDash(ip net.IP) string {
	if len(ip) == 0 {
		return "-"
	}
	return ip.String()
}

func (s *Snapshot) addRules(h *netlink.Handle) error {
	for _, family := range []int{netlink.FAMILY_V4, netlink.FAMILY_V6} {
		list, err := dump(func() ([]netlink.Rule, error) { return h.RuleList(family) })
		if err != nil {
			return fmt.Errorf("rules: %w", err)
		}
		for _, r := range list {
			name := fmt.Sprintf("family %d %s iif %q oif %q mark %x proto %d", family, r, r.IifName, r.OifName, r.Mark, r.IPProto)
			s.set("", "present", "rule", name)
		}
	}
	return nil
}
