package nft

import (
	"fmt"
	"net/netip"
)

// UsualMarkBit is the bit of the packet mark that the reference portmap uses (0x2000).
const UsualMarkBit = 13

// Port is one published port.
type Port struct {
	Proto     uint8          // unix.IPPROTO_TCP, _UDP or _SCTP
	HostIP    netip.Addr     // an address of the host; the zero Addr for any
	HostPort  uint16         // at least 1
	Container netip.AddrPort // where it leads
}

// String is "8080/tcp of 192.0.2.1", or "8080/tcp" for any address.
func (p Port) String() string {
	if p.HostIP.IsValid() {
		return fmt.Sprintf("%d/%s of %s", p.HostPort, ProtoName(p.Proto), p.HostIP)
	}
	return fmt.Sprintf("%d/%s", p.HostPort, ProtoName(p.Proto))
}

// is4 reports of which family a port is.
func (p Port) is4() bool { return p.Container.Addr().Is4() }

// element is the port's in a map of kind publish or mark.
func (p Port) element(kind string) element {
	e := element{set: kind + family(p.is4()), key: protoBytes(p.Proto) + portBytes(p.HostPort)}
	if p.HostIP.IsValid() {
		e.set, e.key = e.set+"_addr", addrBytes(p.HostIP)+e.key
	}
	return e
}

// target is where the port's element leads.
func (p Port) target() string { return addrBytes(p.Container.Addr()) + portBytes(p.Container.Port()) }

// publications are the elements of the entry's ports, and of the addresses that they lead to: how
// those are masqueraded who come by one.
func (e Entry) publications() []element {
	var all []element
	led := map[netip.Addr]bool{}
	for _, p := range e.Ports {
		one := p.element("publish")
		one.target = p.target()
		all = append(all, one)
		if e.marks() {
			one := p.element("mark")
			one.chain = e.marking()
			all = append(all, one)
		}
		if addr := p.Container.Addr(); !led[addr] {
			led[addr] = true
			all = append(all, e.ways(addr)...)
		}
	}
	return all
}

// ways are the elements that say how those are masqueraded who come to an address by its ports.
func (e Entry) ways(addr netip.Addr) []element {
	n := family(addr.Is4())
	on := ifnameBytes(e.Bridge) + addrBytes(addr)
	if e.Plain {
		return []element{{set: "plain" + n, key: on}}
	}
	self := element{set: "self" + n, key: on + addrBytes(addr)}
	if e.All {
		return []element{self, {set: "all" + n, key: on}}
	}
	return []element{self}
}

// Specific reports whether a port of the entry is of one address of the host, so that it is in the
// way of those who want it of any, and they in its.
func (e Entry) Specific() bool {
	for _, p := range e.Ports {
		if p.HostIP.IsValid() {
			return true
		}
	}
	return false
}
