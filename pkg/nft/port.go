package nft

import (
	"fmt"
	"net/netip"
)

// UsualMarkBit is the bit of the packet mark that the reference portmap plugin uses
// (0x2000).
const UsualMarkBit = 13

// Port is a published port: one host port of one protocol.
type Port struct {
	Proto     uint8          // unix.IPPROTO_TCP, _UDP or _SCTP
	HostIP    netip.Addr     // an address of the host; the zero Addr for all
	HostPort  uint16         // at least 1
	Container netip.AddrPort // address and port in the container
}

// String returns "8080/tcp of 192.0.2.1", or "8080/tcp" for all addresses.
func (p Port) String() string {
	if p.HostIP.IsValid() {
		return fmt.Sprintf("%d/%s of %s", p.HostPort, ProtoName(p.Proto), p.HostIP)
	}
	return fmt.Sprintf("%d/%s", p.HostPort, ProtoName(p.Proto))
}

// family returns the family that the port is published for.
func (p Port) family() ipFamily { return familyOf(p.Container.Addr()) }

// element returns the port's element of a map of a kind, "publish" or "mark".
func (p Port) element(kind string) element {
	e := element{set: kind + p.family().String(), key: protoBytes(p.Proto) + portBytes(p.HostPort)}
	if p.HostIP.IsValid() {
		e.set, e.key = e.set+"_addr", addrBytes(p.HostIP)+e.key
	}
	return e
}

// target returns the encoded address and port of the container.
func (p Port) target() string { return addrBytes(p.Container.Addr()) + portBytes(p.Container.Port()) }

// portElements returns the elements of the entry's ports, and for each address that
// they lead to those that decide how clients are masqueraded.
func (e Entry) portElements() []element {
	var all []element
	targets := map[netip.Addr]bool{}
	for _, p := range e.Ports {
		one := p.element("publish")
		one.target = p.target()
		all = append(all, one)
		if e.marks() {
			one := p.element("mark")
			one.chain = e.marking()
			all = append(all, one)
		}
		if addr := p.Container.Addr(); !targets[addr] {
			targets[addr] = true
			all = append(all, e.masqueradeElements(addr)...)
		}
	}
	return all
}

// masqueradeElements returns the elements that decide which clients of an address's
// published ports are masqueraded: none with snat false, otherwise the container
// itself (its own packet would return with its own address as source and be dropped),
// all with masqAll.
func (e Entry) masqueradeElements(addr netip.Addr) []element {
	n := familyOf(addr).String()
	on := ifnameBytes(e.Bridge) + addrBytes(addr)
	if e.NoMasquerade {
		return []element{{set: "plain" + n, key: on}}
	}
	self := element{set: "self" + n, key: on + addrBytes(addr)}
	if e.MasqueradeAll {
		return []element{self, {set: "all" + n, key: on}}
	}
	return []element{self}
}

// HasHostIP reports whether a port of the entry is published on one host address
// only. Such a port conflicts with the same port of all addresses, which the maps
// cannot express.
func (e Entry) HasHostIP() bool {
	for _, p := range e.Ports {
		if p.HostIP.IsValid() {
			return true
		}
	}
	return false
}
