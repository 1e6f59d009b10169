package uplink

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/nlsock"
)

const (
	rtaNextHopID = 30  // RTA_NH_ID, Linux 5.3
	rtaExpires   = 23  // RTA_EXPIRES
	clockTicks   = 100 // USER_HZ: the unit of rta_expires
	hopHeader    = unix.SizeofRtNexthop
)

// route is the body of an RTM_NEWROUTE message.
type route []byte

func (r route) family() byte   { return r[0] }
func (r route) protocol() byte { return r[5] }

func (r route) attribute(kind int) []byte { return attribute(r, routeHeader, kind) }

func (r route) table() uint32 {
	if value := r.attribute(unix.RTA_TABLE); value != nil {
		return number32(value)
	}
	return uint32(r[4])
}

// destination returns the prefix to which the route leads.
func (r route) destination() netip.Prefix {
	addr, ok := netip.AddrFromSlice(r.attribute(unix.RTA_DST))
	if !ok {
		addr = netip.IPv4Unspecified()
		if r.family() == unix.AF_INET6 {
			addr = netip.IPv6Unspecified()
		}
	}
	return netip.PrefixFrom(addr, int(r[1]))
}

// String returns the route as ip(8) prints it, as far as it identifies the route.
func (r route) String() string {
	s := r.destination().String()
	if r[1] == 0 {
		s = "default"
	}
	if gateway := r.gateway(); gateway.IsValid() {
		s += " via " + gateway.String()
	}
	if metric := number32(r.attribute(unix.RTA_PRIORITY)); metric != 0 {
		s += fmt.Sprintf(" metric %d", metric)
	}
	if table := r.table(); table != unix.RT_TABLE_MAIN {
		s += fmt.Sprintf(" table %d", table)
	}
	return s
}

// gateway returns the next hop; the zero Addr without one, or with several.
func (r route) gateway() netip.Addr {
	if value := r.attribute(unix.RTA_GATEWAY); value != nil {
		addr, _ := netip.AddrFromSlice(value)
		return addr
	}
	if via := r.attribute(unix.RTA_VIA); len(via) > 2 { // struct rtvia: a family, then the address
		addr, _ := netip.AddrFromSlice(via[2:])
		return addr
	}
	return netip.Addr{}
}

// gateways returns the next hops by one interface, those of a multipath route included.
func (r route) gateways(index int) (all []netip.Addr) {
	if gateway := r.gateway(); gateway.IsValid() {
		all = append(all, gateway)
	}
	r.hops(func(hop []byte, attributes []byte) {
		if addr, ok := netip.AddrFromSlice(attribute(attributes, 0, unix.RTA_GATEWAY)); ok && hopIndex(hop) == index {
			all = append(all, addr)
		}
	})
	return all
}

func hopIndex(hop []byte) int { return int(int32(binary.NativeEndian.Uint32(hop[4:]))) }

// hops calls do for each hop of a multipath route, with its header (struct rtnexthop) and its attributes.
func (r route) hops(do func(hop, attributes []byte)) {
	for data := r.attribute(unix.RTA_MULTIPATH); len(data) >= hopHeader; {
		length := int(binary.NativeEndian.Uint16(data))
		if length < hopHeader || length > len(data) {
			return
		}
		do(data[:hopHeader], data[hopHeader:length])
		data = data[min((length+3)&^3, len(data)):]
	}
}

// uses reports whether the route leads through an interface.
func (r route) uses(index int) bool {
	used := int(number32(r.attribute(unix.RTA_OIF))) == index
	r.hops(func(hop, _ []byte) { used = used || hopIndex(hop) == index })
	return used
}

// automatic reports whether the kernel makes the route by itself: with an address, or for every interface.
func (r route) automatic() bool {
	if r.protocol() != unix.RTPROT_KERNEL {
		return false
	}
	return r.table() == unix.RT_TABLE_LOCAL || r.family() == unix.AF_INET6 && r.destination().Addr().IsLinkLocalUnicast()
}

// routes returns the routes of all tables that lead through an interface, in the order of the kernel. Those that
// follow from addresses, and cached ones, are left out.
func (k *Kernel) routes(index int) ([]route, error) {
	all, err := k.allRoutes()
	return slices.DeleteFunc(all, func(r route) bool { return !r.uses(index) || r.automatic() }), err
}

// allRoutes returns the routes of all tables.
func (k *Kernel) allRoutes() (all []route, err error) {
	for _, family := range families() {
		bodies, err := k.dump(unix.RTM_GETROUTE, query(unix.RTM_NEWROUTE, family))
		if err != nil {
			return nil, fmt.Errorf("list routes: %w", err)
		}
		for _, body := range bodies {
			if len(body) >= routeHeader && body[0] == family && binary.NativeEndian.Uint32(body[8:])&unix.RTM_F_CLONED == 0 {
				all = append(all, body)
			}
		}
	}
	return all, nil
}

// on returns the route for another interface; old is the time since it was read. It is nil if its lifetime is over.
func (r route) on(from, to int, old time.Duration) route {
	expires, ok := r.expires(old)
	if !ok {
		return nil
	}
	out := rewrite(r, routeHeader, func(kind int, value []byte) []byte {
		switch kind {
		case unix.RTA_OIF:
			return bytes32(uint32(to))
		case unix.RTA_MULTIPATH:
			return hopsOn(value, from, to)
		case unix.RTA_CACHEINFO, rtaExpires: // statistics, and the lifetime
			return nil
		}
		return value
	})
	if expires != 0 {
		out = nlsock.AppendAttribute(out, rtaExpires, bytes32(expires))
	}
	flags := binary.NativeEndian.Uint32(out[8:]) & unix.RTNH_F_ONLINK // the others are the kernel's
	binary.NativeEndian.PutUint32(out[8:], flags)
	return out
}

// expires returns the lifetime in seconds, 0 for a route without; false if it is over.
func (r route) expires(old time.Duration) (uint32, bool) {
	info := r.attribute(unix.RTA_CACHEINFO) // struct rta_cacheinfo: rta_expires is the third number
	if len(info) < 12 || r.family() != unix.AF_INET6 {
		return 0, true
	}
	left := int32(number32(info[8:]))
	if left == 0 {
		return 0, true
	}
	seconds := left/clockTicks - int32(old/time.Second)
	return uint32(max(seconds, 0)), seconds > 0
}

// hopsOn returns the hops of a multipath route with another interface in place of one.
func hopsOn(hops []byte, from, to int) []byte {
	out := bytes.Clone(hops)
	for data := out; len(data) >= hopHeader; {
		length := int(binary.NativeEndian.Uint16(data))
		if length < hopHeader || length > len(data) {
			break
		}
		data[2] &= unix.RTNH_F_ONLINK
		if hopIndex(data) == from {
			binary.NativeEndian.PutUint32(data[4:], uint32(to))
		}
		data = data[min((length+3)&^3, len(data)):]
	}
	return out
}

func (r route) multipath() bool { return r.attribute(unix.RTA_MULTIPATH) != nil }

// addRoutes adds routes, those without a gateway first: they lead to gateways. A route that exists is no error.
func (k *Kernel) addRoutes(all []route) error {
	for _, behind := range []bool{false, true} {
		for _, r := range all {
			if (r.multipath() || r.gateway().IsValid()) != behind {
				continue
			}
			how := uint16(unix.NLM_F_APPEND)
			if r.multipath() {
				how = unix.NLM_F_REPLACE
			}
			if err := k.send(unix.RTM_NEWROUTE, unix.NLM_F_CREATE|how, r); err != nil && !errors.Is(err, unix.EEXIST) {
				return fmt.Errorf("add route %s: %w", r, err)
			}
		}
	}
	return nil
}

// removeRoutes removes routes, those behind a gateway first; one that does not exist is no error. Of a multipath route
// addRoutes has replaced the whole.
func (k *Kernel) removeRoutes(all []route) error {
	for _, behind := range []bool{true, false} {
		for _, r := range all {
			if r.multipath() || r.gateway().IsValid() != behind {
				continue
			}
			if err := k.send(unix.RTM_DELROUTE, 0, r); err != nil && !errors.Is(err, unix.ESRCH) {
				return fmt.Errorf("remove route %s: %w", r, err)
			}
		}
	}
	return nil
}
