package link

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"syscall"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Route is a route of a container. Zero values are the kernel's choice.
type Route struct {
	Dst      netip.Prefix
	GW       netip.Addr // zero: what is on the link itself
	MTU      int        // bytes
	AdvMSS   int        // bytes
	Priority int        // metric
	Table    int        // 0: main
	Scope    int        // 0: global
	Link     int        // index of the interface; only in what Routes returns

	onLink bool // the gateway is on the link although no subnet says so
}

// String is "192.0.2.0/24 via 10.1.2.1".
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
	ipv6Metric   = 1024 // what the kernel gives an IPv6 route without one (IP6_RT_PRIO_USER)
)

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

// addRoute adds one route. If the same destination is there already, through another network
// of this container, the new one comes behind it with a metric of its own: the first network
// keeps what it has. A route that has a metric was meant that way: then it is ErrRouteExists.
func (s *Sandbox) addRoute(l *Link, r Route, addresses []netip.Prefix) (Route, error) {
	add := func(r Route) error {
		return s.socket.execute(routeRequest(unix.RTM_NEWROUTE, unix.NLM_F_CREATE|unix.NLM_F_EXCL, r.on(l, addresses)), nil)
	}
	asked, err := r, add(r)
	for step := 1; errors.Is(err, syscall.EEXIST) && asked.Priority == 0 && step <= mostNetworks; step++ {
		r.Priority = step * metricStep
		if is6(r.Dst.Addr()) {
			r.Priority += ipv6Metric
		}
		err = add(r)
	}
	if errors.Is(err, syscall.EEXIST) {
		err = ErrRouteExists
	}
	if err != nil {
		return asked, fmt.Errorf("add route %s to %s: %w", asked, l.Name, err)
	}
	return r, nil
}

// RemoveRoutes takes routes off an interface that stays. What is not there is no error.
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

// on is the route as the kernel shall have it on a link with these addresses.
func (r Route) on(l *Link, addresses []netip.Prefix) Route {
	r.Link = l.Index
	inSubnet := slices.ContainsFunc(addresses, func(p netip.Prefix) bool { return p.Contains(r.GW) })
	r.onLink = r.GW.IsValid() && !inSubnet // the gateway of a /32, or one outside the subnet
	return r
}

func routeRequest(proto, flags int, r Route) *nl.NetlinkRequest {
	req := nl.NewNetlinkRequest(proto, flags|unix.NLM_F_ACK)
	msg := nl.NewRtMsg()
	msg.Family, msg.Dst_len, msg.Scope = uint8(familyOf(r.Dst.Addr())), uint8(r.Dst.Bits()), uint8(r.Scope)
	if r.onLink {
		msg.Flags = unix.RTNH_F_ONLINK
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

// Routes are those of an interface in every table, without what the kernel adds by itself for
// its addresses. It reads all routes of the container: for CHECK, not for the way of an ADD.
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

// AddHostRoute routes a single address to the bridge: a container whose subnet is a /32 or
// /128 is in no subnet that the bridge has. It is idempotent.
func (h *Host) AddHostRoute(b *Bridge, addr netip.Addr) error {
	err := h.socket.execute(routeRequest(unix.RTM_NEWROUTE, unix.NLM_F_CREATE|unix.NLM_F_REPLACE, hostRoute(b.Index, addr)), nil)
	if err != nil {
		return fmt.Errorf("route %s to bridge %s: %w", addr, b.Name, err)
	}
	return nil
}

// RemoveHostRoute takes the route away again, if it is there.
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
		return fmt.Errorf("remove route of %s to bridge %s: %w", addr, bridge, err)
	}
	return nil
}

// HasHostRoute reports whether packets to an address go to the bridge, and no further.
func (h *Host) HasHostRoute(b *Bridge, addr netip.Addr) bool {
	r, err := h.lookUp(addr)
	return err == nil && r.link == b.Index && !r.gateway
}

func hostRoute(index int, addr netip.Addr) Route {
	return Route{Link: index, Dst: netip.PrefixFrom(addr, addr.BitLen()), Scope: scopeOf(addr)}
}

func scopeOf(addr netip.Addr) int {
	if is6(addr) {
		return unix.RT_SCOPE_UNIVERSE
	}
	return unix.RT_SCOPE_LINK
}

// hop is where packets to an address go.
type hop struct {
	kind    uint8 // RTN_UNICAST, RTN_LOCAL, ...
	link    int   // index of the interface
	gateway bool  // through a router
}

// lookUp asks the kernel for the way to one address.
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
	for kind, value := range attributes(body[unix.SizeofRtMsg:]) {
		switch kind {
		case unix.RTA_OIF:
			next.link = number(value)
		case unix.RTA_GATEWAY, unix.RTA_VIA:
			next.gateway = true
		}
	}
	return next
}
