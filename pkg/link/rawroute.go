package link

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"syscall"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/nlsock"
)

// rawRoute is a route as the kernel sent it, with the fields that decide where it belongs. The message
// is kept because a copy in another table has all attributes of the route, known here or not.
type rawRoute struct {
	body []byte // struct rtmsg and attributes

	table, link int
	dst         netip.Prefix
	gw, src     netip.Addr // zero: none
}

// allRoutes returns the routes of both families in every table but the local one, without multipath
// routes.
func (s *Sandbox) allRoutes() (all []rawRoute, err error) {
	for _, family := range families() {
		of, err := dump(s.conn, unix.RTM_GETROUTE, family, parseRawRoute)
		if err != nil {
			return nil, fmt.Errorf("list routes: %w", err)
		}
		all = append(all, of...)
	}
	return all, nil
}

// parseRawRoute reads an RTM_NEWROUTE. Cached routes (RTM_F_CLONED), which IPv6 has for path MTUs, are
// not in tables.
func parseRawRoute(body []byte) (r rawRoute, ok bool) {
	if len(body) < unix.SizeofRtMsg {
		return r, false
	}
	head := nl.DeserializeRtMsg(body)
	r = rawRoute{body: slices.Clone(body), table: int(head.Table)}
	dst := netip.IPv4Unspecified()
	if head.Family == unix.AF_INET6 {
		dst = netip.IPv6Unspecified()
	}
	for kind, value := range nlsock.Attributes(r.body[unix.SizeofRtMsg:]) {
		switch kind {
		case unix.RTA_TABLE:
			r.table = number(value)
		case unix.RTA_OIF:
			r.link = number(value)
		case unix.RTA_DST:
			if addr, ok := netip.AddrFromSlice(value); ok {
				dst = addr
			}
		case unix.RTA_GATEWAY:
			r.gw, _ = netip.AddrFromSlice(value)
		case unix.RTA_PREFSRC:
			r.src, _ = netip.AddrFromSlice(value)
		}
	}
	r.dst = netip.PrefixFrom(dst, int(head.Dst_len))
	return r, r.table != unix.RT_TABLE_LOCAL && head.Flags&unix.RTM_F_CLONED == 0
}

// isMain reports whether a route is one of the interface in the main table that source-based routing
// moves. The kernel needs fe80::/64 there for the link itself.
func (r rawRoute) isMain(l *Link) bool {
	return r.table == unix.RT_TABLE_MAIN && r.link == l.Index && !r.dst.Addr().IsLinkLocalUnicast() && !r.dst.Addr().IsMulticast()
}

// movesTo reports whether a route belongs into the table of a source: its preferred source address or
// its gateway is in the subnet of the source, or it has neither, or they are in no subnet of a source.
func (r rawRoute) movesTo(l *Link, source Source, all []Source) bool {
	if !r.isMain(l) || r.dst.Addr().Is4() != source.Address.Addr().Is4() {
		return false
	}
	claims := func(s Source) bool { return s.Address.Contains(r.src) || s.Address.Contains(r.gw) }
	return claims(source) || !slices.ContainsFunc(all, claims)
}

// copyRoute adds a copy of a route to a table, in place of one with the same destination and metric.
//
// The flags are those of the kernel's answer (RTNH_F_LINKDOWN for example), of which it
// takes RTNH_F_ONLINK only. RTA_CACHEINFO is refused by strict kernels and has counters.
func (s *Sandbox) copyRoute(r rawRoute, table int) error {
	if err := s.socket.execute(r.request(unix.RTM_NEWROUTE, unix.NLM_F_CREATE|unix.NLM_F_REPLACE, table), nil); err != nil {
		return fmt.Errorf("copy the route to %s to table %d: %w", r.dst, table, err)
	}
	return nil
}

// deleteRoute deletes exactly this route. One that no longer exists is no error.
func (s *Sandbox) deleteRoute(r rawRoute) error {
	err := s.socket.execute(r.request(unix.RTM_DELROUTE, 0, r.table), nil)
	if err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("delete the route to %s from table %d: %w", r.dst, r.table, err)
	}
	return nil
}

// request returns a request with all attributes of the route but the table.
func (r rawRoute) request(proto, flags, table int) *nl.NetlinkRequest {
	req := nl.NewNetlinkRequest(proto, flags|unix.NLM_F_ACK)
	head := nl.DeserializeRtMsg(r.body).RtMsg
	head.Flags &= unix.RTNH_F_ONLINK
	head.Table = unix.RT_TABLE_UNSPEC
	req.AddData(&nl.RtMsg{RtMsg: head})
	for kind, value := range nlsock.Attributes(r.body[unix.SizeofRtMsg:]) {
		if kind != unix.RTA_TABLE && kind != unix.RTA_CACHEINFO {
			req.AddData(nl.NewRtAttr(kind, value))
		}
	}
	req.AddData(nl.NewRtAttr(unix.RTA_TABLE, nl.Uint32Attr(uint32(table))))
	return req
}
