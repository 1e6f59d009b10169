package firewall

import (
	"math"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"
)

// Priorities at prerouting: of connection tracking, and of Patchbay's own translation.
const (
	conntrackAt = -200
	dstNAT      = -100
)

// ephemeralPort is a port from which the host may open a connection (net.ipv4.ip_local_port_range).
const ephemeralPort = 50000

// packets returns the packets that a bridge's traffic consists of: one of each kind
// with its reply, and neighbour solicitations.
func (b Bridge) packets() (all []packet) {
	for _, family := range []struct{ isIPv6, speaks, nfCall bool }{{false, b.IPv4, b.NFCall4}, {true, b.IPv6, b.NFCall6}} {
		if !family.speaks {
			continue
		}
		of := slices.Concat(b.forwarded(family.isIPv6, family.nfCall), b.toHost(family.isIPv6), b.arriving(family.isIPv6))
		for _, p := range of {
			p.isIPv6 = family.isIPv6
			all = append(all, p)
		}
	}
	return all
}

// forwarded returns the packets of the forward hook.
func (b Bridge) forwarded(isIPv6, nfCall bool) (all []packet) {
	bridge, uplink := b.port(), b.uplink()
	if b.Routed {
		all = append(all, packet{what: Leaving, iif: bridge, oif: uplink}, packet{what: Returning, iif: uplink, oif: bridge, isAnswer: true})
	}
	if b.Published {
		for _, protocol := range b.protocols(isIPv6) {
			all = append(
				all,
				packet{what: Published, iif: uplink, oif: bridge, transport: protocol},
				packet{what: Published, iif: bridge, oif: uplink, transport: protocol, isAnswer: true},
			)
		}
	}
	if nfCall {
		all = append(all, packet{what: Neighbours, iif: bridge, oif: bridge}, packet{what: Neighbours, iif: bridge, oif: bridge, isAnswer: true})
	}
	if nfCall && isIPv6 {
		all = append(all, packet{what: Neighbours, iif: bridge, oif: bridge, isSolicit: true})
	}
	return all
}

// toHost returns the packets of the input hook.
func (b Bridge) toHost(isIPv6 bool) (all []packet) {
	here := packet{iif: b.port(), oif: port{isNone: true}, toType: unix.RTN_LOCAL}
	for _, gateway := range b.Gateways {
		if gateway.Is6() != isIPv6 {
			continue
		}
		for _, what := range []Traffic{Replying, Pinging, Resolving} {
			p := here
			p.what, p.to, p.isAnswer, p.isSolicit = what, knownAddr(gateway), what == Replying, what == Resolving
			switch what {
			case Resolving: // to a multicast address
				p.to, p.toType = value{}, unix.RTN_MULTICAST
			case Replying:
				p.toPort = knownPort(ephemeralPort)
			}
			if what != Resolving || isIPv6 {
				all = append(all, p)
			}
		}
		break // one of the host's addresses is like the other
	}
	for _, s := range b.Services {
		if s.Addr.Is6() != isIPv6 {
			continue
		}
		p := here
		p.what, p.service, p.transport, p.to, p.toPort = Asking, s, s.Protocol, knownAddr(s.Addr), knownPort(s.Port)
		if s.Addr == netip.AddrFrom4([4]byte{255, 255, 255, 255}) {
			p.toType = unix.RTN_BROADCAST
		}
		all = append(all, p)
	}
	return all
}

// arriving returns the packets of the prerouting hook, for chains before conntrack, for those before Patchbay's own
// translation, and for those after it.
func (b Bridge) arriving(isIPv6 bool) (all []packet) {
	for _, protocol := range b.protocols(isIPv6) {
		if len(b.Ports) == 0 {
			break
		}
		p := packet{what: Arriving, iif: b.uplink(), oif: port{isNone: true}, transport: protocol, toType: unix.RTN_LOCAL}
		early, late := p, p
		early.isEarly, early.first, early.last = true, math.MinInt32, conntrackAt-1
		p.first, p.last = conntrackAt, dstNAT
		late.toType, late.isLate, late.first, late.last = unix.RTN_UNICAST, true, dstNAT+1, math.MaxInt32
		all = append(all, early, p, late)
	}
	return all
}

// protocols returns the protocols of the published ports of a family; TCP if no ports are known.
func (b Bridge) protocols(isIPv6 bool) (all []byte) {
	for _, s := range b.Ports {
		if s.Addr.Is6() == isIPv6 && !slices.Contains(all, s.Protocol) {
			all = append(all, s.Protocol)
		}
	}
	if len(b.Ports) == 0 {
		return []byte{unix.IPPROTO_TCP}
	}
	return all
}

func (b Bridge) port() port { return port{name: b.Name, index: linkIndex(b.Name), isBridge: true} }

func (b Bridge) uplink() port { return port{name: b.Uplink, index: linkIndex(b.Uplink)} }

// linkIndex returns the index of an interface, 0 if it does not exist.
func linkIndex(name string) uint32 {
	request, err := unix.NewIfreq(name)
	if err != nil || name == "" {
		return 0
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0
	}
	defer unix.Close(fd)
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFINDEX, request); err != nil {
		return 0
	}
	return request.Uint32()
}

// meets reports whether the packet passes a base chain.
func (p packet) meets(c chain) bool {
	if c.hook != p.what.hook() || c.family != unix.NFPROTO_INET && c.family != p.family() {
		return false
	}
	if p.what != Arriving {
		return true
	}
	return p.first <= c.priority && c.priority <= p.last && (!c.isNAT || c.priority <= dstNAT)
}

func knownAddr(addr netip.Addr) value { return known(addr.AsSlice()) }

func knownPort(n uint16) value { return known([]byte{byte(n >> 8), byte(n)}) }
