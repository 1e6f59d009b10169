package link

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"syscall"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/nlsock"
)

// Route is a route of a container. A zero field leaves the value to the kernel.
type Route struct {
	Dst      netip.Prefix
	GW       netip.Addr // zero: no router
	MTU      int        // bytes
	AdvMSS   int        // bytes
	Priority int        // metric
	Table    int        // 0: main
	Scope    int        // 0: global
	Link     int        // index of the interface; only in what Routes returns

	onLink bool // RTNH_F_ONLINK: no subnet of the link contains the gateway
}

// String returns the route in the words of ip-route(8): "192.0.2.0/24 via 10.1.2.1 metric 100".
func (r Route) String() string {
	text := r.Dst.String()
	if r.GW.IsValid() {
		text += " via " + r.GW.String()
	}
	if r.Priority != 0 {
		text += fmt.Sprintf(" metric %d", r.Priority)
	}
	if r.Table != 0 && r.Table != unix.RT_TABLE_MAIN {
		text += fmt.Sprintf(" table %d", r.Table)
	}
	return text
}

const (
	metricStep   = 100  // between routes to one destination through several networks
	mostNetworks = 256  // of one container
	ipv6Metric   = 1024 // of an IPv6 route that is added without one (IP6_RT_PRIO_USER)
)

// addRoutes adds routes in order, and returns them as they were added.
func (s *Sandbox) addRoutes(l *Link, set Setup) ([]Route, error) {
	applied := make([]Route, 0, len(set.Routes))
	for _, r := range set.Routes {
		done, err := s.addRoute(l, r, set.Addresses)
		if err != nil {
			return nil, err
		}
		applied = append(applied, done)
	}
	return applied, nil
}

// addRoute adds one route. If the container has a route to the same destination through another network
// and r has no metric, r gets a higher one: the first network keeps its traffic. If r has a metric, the
// configuration asked for it, and the error wraps ErrRouteExists.
//
// The kernel's own route to a subnet of this link is not one of another network: a route to the same
// subnet is added before it (no NLM_F_EXCL), as with the reference plugins.
//
// NLM_F_EXCL is what makes the conflict visible. Without it IPv4 adds a second route in
// front of the first (as "ip route prepend" does), and IPv6 makes one multipath route of
// two routes with gateways, which sends a part of the connections to the other network.
//
// The kernel compares prefix and metric, for IPv4 also the TOS, and not the gateway. An
// IPv4 route without a metric has 0, an IPv6 route 1024.
func (s *Sandbox) addRoute(l *Link, r Route, addresses []netip.Prefix) (Route, error) {
	add := func(r Route, flags int) error {
		return s.socket.execute(routeRequest(unix.RTM_NEWROUTE, unix.NLM_F_CREATE|flags, r.on(l, addresses)), nil)
	}
	asked, err := r, add(r, unix.NLM_F_EXCL)
	if errors.Is(err, syscall.EEXIST) && r.isConnected(addresses) && !s.routedElsewhere(l, r) {
		err = add(r, 0)
	}
	for step := 1; errors.Is(err, syscall.EEXIST) && asked.Priority == 0 && step <= mostNetworks; step++ {
		r.Priority = step * metricStep
		if is6(r.Dst.Addr()) {
			r.Priority += ipv6Metric
		}
		err = add(r, unix.NLM_F_EXCL)
	}
	if errors.Is(err, syscall.EEXIST) {
		err = ErrRouteExists
	}
	if err != nil {
		return asked, fmt.Errorf("add route %s to %s: %w", asked, l.Name, err)
	}
	return r, nil
}

// isConnected reports whether the kernel adds a route with the same destination and metric for one of
// the addresses of the link (a connected route).
func (r Route) isConnected(addresses []netip.Prefix) bool {
	const kernelMetric6 = 256 // IP6_RT_PRIO_ADDRCONF
	metric := 0
	if is6(r.Dst.Addr()) {
		metric = kernelMetric6
	}
	return r.Priority == metric && (r.Table == 0 || r.Table == unix.RT_TABLE_MAIN) &&
		slices.ContainsFunc(addresses, func(p netip.Prefix) bool { return p.Masked() == r.Dst })
}

// routedElsewhere reports whether another link has a route with the same destination and metric. It
// returns true if the routes cannot be listed.
func (s *Sandbox) routedElsewhere(l *Link, r Route) bool {
	library, err := s.dumper()
	if err != nil {
		return true
	}
	dst := net.IPNet{IP: r.Dst.Addr().AsSlice(), Mask: net.CIDRMask(r.Dst.Bits(), r.Dst.Addr().BitLen())}
	filter := &netlink.Route{Dst: &dst, Table: unix.RT_TABLE_MAIN}
	list, err := library.RouteListFiltered(familyOf(r.Dst.Addr()), filter, netlink.RT_FILTER_DST|netlink.RT_FILTER_TABLE)
	return err != nil || slices.ContainsFunc(list, func(k netlink.Route) bool {
		return k.LinkIndex != l.Index && k.Priority == r.Priority
	})
}

// RemoveRoutes removes routes from an interface that is kept. A route that is absent is no error.
func (s *Sandbox) RemoveRoutes(ifname string, routes []Route) error {
	l, err := s.byName(ifname)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, r := range routes {
		e := s.socket.execute(routeRequest(unix.RTM_DELROUTE, 0, r.on(l, nil)), nil)
		if e != nil && !errors.Is(e, syscall.ESRCH) {
			err = errors.Join(err, fmt.Errorf("remove route %s from %s: %w", r, ifname, e))
		}
	}
	return err
}

// on returns the route with the interface set, and with onLink if no address of the interface has the
// gateway in its subnet: of a /32 address, or with a gateway outside the subnet.
//
// Without RTNH_F_ONLINK the kernel looks the gateway up, and refuses one that no connected
// route covers (for IPv4 ENETUNREACH, "Nexthop has invalid gateway").
func (r Route) on(l *Link, addresses []netip.Prefix) Route {
	r.Link = l.Index
	inSubnet := slices.ContainsFunc(addresses, func(p netip.Prefix) bool { return p.Contains(r.GW) })
	r.onLink = r.GW.IsValid() && !inSubnet // the gateway of a /32, or one outside the subnet
	return r
}

// routeRequest returns a request that adds or deletes a route. A delete matches any scope
// (RT_SCOPE_NOWHERE).
//
// The protocol is RTPROT_BOOT and the type RTN_UNICAST (nl.NewRtMsg), as "ip route add"
// sends them. A delete without RTA_PRIORITY matches any metric; ESRCH means that no route
// matches.
func routeRequest(proto, flags int, r Route) *nl.NetlinkRequest {
	req := nl.NewNetlinkRequest(proto, flags|unix.NLM_F_ACK)
	msg := nl.NewRtMsg()
	msg.Family, msg.Dst_len, msg.Scope = uint8(familyOf(r.Dst.Addr())), uint8(r.Dst.Bits()), uint8(r.Scope)
	if r.onLink {
		msg.Flags = unix.RTNH_F_ONLINK
	}
	if proto == unix.RTM_DELROUTE {
		msg.Scope = unix.RT_SCOPE_NOWHERE // whatever scope it has
	}
	req.AddData(msg)
	req.AddData(nl.NewRtAttr(unix.RTA_DST, r.Dst.Addr().AsSlice()))
	if r.GW.IsValid() {
		req.AddData(nl.NewRtAttr(unix.RTA_GATEWAY, r.GW.AsSlice()))
	}
	for _, n := range []struct{ attr, value int }{{unix.RTA_OIF, r.Link}, {unix.RTA_PRIORITY, r.Priority}, {unix.RTA_TABLE, r.Table}} {
		if n.value != 0 {
			req.AddData(nl.NewRtAttr(n.attr, nl.Uint32Attr(uint32(n.value))))
		}
	}
	if r.MTU != 0 || r.AdvMSS != 0 {
		req.AddData(metrics(r))
	}
	return req
}

// metrics returns the nested attribute RTA_METRICS.
func metrics(r Route) *nl.RtAttr {
	attr := nl.NewRtAttr(unix.RTA_METRICS, nil)
	if r.MTU != 0 {
		attr.AddRtAttr(unix.RTAX_MTU, nl.Uint32Attr(uint32(r.MTU)))
	}
	if r.AdvMSS != 0 {
		attr.AddRtAttr(unix.RTAX_ADVMSS, nl.Uint32Attr(uint32(r.AdvMSS)))
	}
	return attr
}

// Routes returns the routes of an interface in every table, without those that the kernel adds for its
// addresses in the local table. It lists all routes of the container, so it is for CHECK and not for ADD.
func (s *Sandbox) Routes(index int) ([]Route, error) {
	library, err := s.dumper()
	if err != nil {
		return nil, err
	}
	filter := &netlink.Route{LinkIndex: index, Table: unix.RT_TABLE_UNSPEC}
	list, err := library.RouteListFiltered(netlink.FAMILY_ALL, filter, netlink.RT_FILTER_OIF|netlink.RT_FILTER_TABLE)
	if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) {
		return nil, fmt.Errorf("list routes: %w", err)
	}
	routes := make([]Route, 0, len(list))
	for _, k := range list {
		if k.Table == unix.RT_TABLE_LOCAL || k.Dst == nil {
			continue
		}
		routes = append(routes, routeOf(k))
	}
	return routes, nil
}

func routeOf(k netlink.Route) Route {
	bits, _ := k.Dst.Mask.Size()
	dst, _ := netip.AddrFromSlice(k.Dst.IP)
	r := Route{
		Dst: netip.PrefixFrom(dst.Unmap(), bits), MTU: k.MTU, AdvMSS: k.AdvMSS,
		Priority: k.Priority, Table: k.Table, Scope: int(k.Scope), Link: k.LinkIndex,
	}
	if k.Dst.IP.To4() != nil && len(k.Dst.Mask) == 16 {
		r.Dst = netip.PrefixFrom(dst, bits) // ::/0 and v4-mapped destinations stay IPv6
	}
	if gw, ok := netip.AddrFromSlice(k.Gw); ok {
		r.GW = gw.Unmap()
	}
	return r
}

// AddHostRoute adds a route to a single address by the bridge: no subnet of the bridge contains the
// address of a container whose subnet is a /32 or /128. It is idempotent.
//
// NLM_F_REPLACE replaces a route of the same prefix and metric: one that a container which
// had the address before left by another bridge.
func (h *Host) AddHostRoute(b *Bridge, addr netip.Addr) error {
	err := h.socket.execute(routeRequest(unix.RTM_NEWROUTE, unix.NLM_F_CREATE|unix.NLM_F_REPLACE, hostRoute(b.Index, addr)), nil)
	if err != nil {
		return fmt.Errorf("add route to %s by bridge %s: %w", addr, b.Name, err)
	}
	return nil
}

// RemoveHostRoute removes that route. Neither a missing route nor a missing bridge is an error.
func (h *Host) RemoveHostRoute(bridge string, addr netip.Addr) error {
	b, err := h.byName(bridge)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	err = h.socket.execute(routeRequest(unix.RTM_DELROUTE, 0, hostRoute(b.Index, addr)), nil)
	if err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("remove route to %s by bridge %s: %w", addr, bridge, err)
	}
	return nil
}

// HasHostRoute reports whether the host sends packets to an address by the bridge, without a router.
func (h *Host) HasHostRoute(b *Bridge, addr netip.Addr) bool {
	r, err := h.lookUp(addr)
	return err == nil && r.link == b.Index && !r.gateway
}

// hostRoute returns a route to a single address by an interface.
func hostRoute(index int, addr netip.Addr) Route {
	return Route{Link: index, Dst: netip.PrefixFrom(addr, addr.BitLen()), Scope: scopeOf(addr)}
}

// scopeOf returns the scope that the kernel expects of a route without gateway: link for IPv4; IPv6 has
// no scopes.
func scopeOf(addr netip.Addr) int {
	if is6(addr) {
		return unix.RT_SCOPE_UNIVERSE
	}
	return unix.RT_SCOPE_LINK
}

// hop is the result of a route lookup.
type hop struct {
	kind    uint8 // RTN_UNICAST, RTN_LOCAL, ...
	link    int   // index of the interface
	gateway bool  // through a router
}

// lookUp asks the kernel for the route to one address (ip route get). No packet is sent.
func (c *conn) lookUp(addr netip.Addr) (hop, error) {
	req := nl.NewNetlinkRequest(unix.RTM_GETROUTE, 0)
	req.AddData(&nl.RtMsg{RtMsg: unix.RtMsg{Family: uint8(familyOf(addr)), Dst_len: uint8(addr.BitLen())}})
	req.AddData(nl.NewRtAttr(unix.RTA_DST, addr.AsSlice()))
	var next hop
	err := c.socket.execute(req, func(body []byte) { next = parseHop(body) })
	return next, err
}

func parseHop(body []byte) (next hop) {
	if len(body) < unix.SizeofRtMsg {
		return next
	}
	next.kind = nl.DeserializeRtMsg(body).Type
	for kind, value := range nlsock.Attributes(body[unix.SizeofRtMsg:]) {
		switch kind {
		case unix.RTA_OIF:
			next.link = number(value)
		case unix.RTA_GATEWAY, unix.RTA_VIA:
			next.gateway = true
		}
	}
	return next
}
