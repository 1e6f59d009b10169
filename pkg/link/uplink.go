package link

import (
	"net/netip"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/nlsock"
)

const (
	ethernetMTU = 1500
	mostMTU     = 1<<16 - 1 // of a bridge and of a veth
)

// Uplink returns the interface by which the host reaches the internet, IPv4 first; nil without one.
func (h *Host) Uplink() *Link {
	for _, is4 := range []bool{true, false} {
		if hops := h.uplinks(is4); len(hops) > 0 {
			return hops[0].link
		}
	}
	return nil
}

// uplinkMTU returns the MTU, in bytes, of a bridge whose network configures none: the smallest of the
// routes to the internet in the families of the network; in the other family if there is no such route;
// 1500 without any. A larger MTU would make the uplink's ICMP errors necessary for every large packet of
// a container, which many networks drop. A network that may have IPv6 addresses gets at least 1280.
//
// The MTU of a bridge that exists is never changed to this value: containers that are
// attached have the old one. The reference plugin does not look: 0 means 1500 there (cni
// issue 356 asks for more).
func (h *Host) uplinkMTU(spec BridgeSpec) int {
	unknown := spec.IPv4 == spec.IPv6
	mtu := 0
	for _, is4 := range []bool{true, false} {
		if unknown || spec.IPv4 == is4 {
			mtu = lesser(mtu, smallestMTU(h.uplinks(is4)))
		}
	}
	if mtu == 0 && !unknown {
		mtu = smallestMTU(h.uplinks(!spec.IPv4))
	}
	if mtu == 0 {
		mtu = ethernetMTU
	}
	if spec.IPv6 || unknown {
		mtu = max(mtu, minMTU6)
	}
	return min(mtu, mostMTU)
}

// FutureMTU returns the MTU, in bytes, that EnsureBridge would give a bridge that does not exist yet.
func (h *Host) FutureMTU(spec BridgeSpec) int {
	if spec.MTU != 0 {
		return spec.MTU
	}
	return h.uplinkMTU(spec)
}

// lesser returns the smaller of two MTUs, where 0 means unknown.
func lesser(a, b int) int {
	if a == 0 || b == 0 {
		return a + b
	}
	return min(a, b)
}

// smallestMTU returns the smallest MTU of some hops, of the interface or the route; 0 without any.
func smallestMTU(hops []uplinkHop) (mtu int) {
	for _, hop := range hops {
		mtu = lesser(mtu, lesser(hop.mtu, hop.link.MTU))
	}
	return mtu
}

// uplinkHop is one interface of the route to the internet, and the MTU in bytes that the route itself
// sets; 0 for none.
type uplinkHop struct {
	link *Link
	mtu  int
}

// uplinks looks up the route to addresses of the internet: this way routing rules, tables, metrics and a
// default route in two halves (0.0.0.0/1 and 128.0.0.0/1, as OpenVPN adds it) count as they do for a
// packet, and a router's million routes are not listed. No packet is sent. Routes that refuse packets
// (unreachable, blackhole, prohibit, throw), lo, and interfaces that are down do not count.
func (h *Host) uplinks(is4 bool) (hops []uplinkHop) {
	for _, addr := range internet(is4) {
		var m matched
		if err := h.socket.execute(matchRequest(addr), func(body []byte) { m = parseMatch(body) }); err != nil || m.kind != unix.RTN_UNICAST {
			continue
		}
		for _, index := range m.links {
			l, err := h.get(index)
			if err == nil && l.Up && !l.loopback {
				hops = append(hops, uplinkHop{link: l, mtu: m.mtu})
			}
		}
	}
	return hops
}

// internet returns one address for each half into which a default route may be split.
//
// The addresses are 1.2.3.4 and that of a root name server (a.root-servers.net); of IPv6
// one in 2600::/12, which is allocated to a regional registry (ARIN). Nothing is sent to
// them.
func internet(is4 bool) []netip.Addr {
	if is4 {
		return []netip.Addr{netip.AddrFrom4([4]byte{1, 2, 3, 4}), netip.AddrFrom4([4]byte{198, 41, 0, 4})}
	}
	return []netip.Addr{netip.AddrFrom16([16]byte{0x26, 0x06, 15: 1})}
}

// matchRequest asks for the route itself with all of its hops, instead of the result for one packet
// (RTM_F_FIB_MATCH, Linux 4.13).
func matchRequest(addr netip.Addr) *nl.NetlinkRequest {
	req := nl.NewNetlinkRequest(unix.RTM_GETROUTE, 0)
	req.AddData(&nl.RtMsg{RtMsg: unix.RtMsg{Family: uint8(familyOf(addr)), Dst_len: uint8(addr.BitLen()), Flags: unix.RTM_F_FIB_MATCH}})
	req.AddData(nl.NewRtAttr(unix.RTA_DST, addr.AsSlice()))
	return req
}

// matched is the route that the kernel selected.
type matched struct {
	kind  uint8 // RTN_*
	links []int // indexes of the interfaces of its hops
	mtu   int   // bytes; 0 unless the route sets one
}

func parseMatch(body []byte) (m matched) {
	if len(body) < unix.SizeofRtMsg {
		return m
	}
	m.kind = nl.DeserializeRtMsg(body).Type
	for kind, value := range nlsock.Attributes(body[unix.SizeofRtMsg:]) {
		switch kind {
		case unix.RTA_OIF:
			m.links = append(m.links, number(value))
		case unix.RTA_MULTIPATH:
			m.links = append(m.links, hopsOf(value)...)
		case unix.RTA_METRICS:
			m.mtu = mtuOf(value)
		}
	}
	return m
}

// hopsOf returns the interface indexes of the usable hops of a multipath route (struct rtnexthop,
// linux/rtnetlink.h).
func hopsOf(data []byte) (links []int) {
	for len(data) >= unix.SizeofRtNexthop {
		next := nl.DeserializeRtNexthop(data)
		length := int(next.RtNexthop.Len)
		if length < unix.SizeofRtNexthop || length > len(data) {
			break
		}
		if next.Flags&(unix.RTNH_F_DEAD|unix.RTNH_F_LINKDOWN) == 0 {
			links = append(links, int(next.Ifindex))
		}
		data = data[min(nlsock.Align(length), len(data)):]
	}
	return links
}

// mtuOf returns the MTU of the attribute RTA_METRICS, in bytes; 0 if it has none.
func mtuOf(metrics []byte) int {
	for kind, value := range nlsock.Attributes(metrics) {
		if kind == unix.RTAX_MTU {
			return number(value)
		}
	}
	return 0
}
