package conntrack

import (
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"
)

// Mapping is a published port, or a range of them: HostPort leads to the port of
// Container, the next one to the next one.
type Mapping struct {
	Proto     uint8      // unix.IPPROTO_UDP or IPPROTO_SCTP; others have nothing to be flushed
	HostIP    netip.Addr // invalid or unspecified: any local address of the family of Container
	HostPort  uint16
	Count     uint16 // consecutive ports, at least 1
	Container netip.AddrPort
}

// tracked returns the mappings of the protocols whose flows do not end with the
// connection.
func tracked(mappings []Mapping) []Mapping {
	var all []Mapping
	for _, m := range mappings {
		if m.Proto == unix.IPPROTO_UDP || m.Proto == unix.IPPROTO_SCTP {
			all = append(all, m)
		}
	}
	return all
}

// isWildcard reports whether the mapping is for all local addresses.
func (m Mapping) isWildcard() bool { return !m.HostIP.IsValid() || m.HostIP.IsUnspecified() }

// covers reports whether a flow was begun to a host port of the mapping, apart from
// whether the address is the host's.
func (m Mapping) covers(f flow) bool {
	return f.proto == m.Proto && f.to.Addr().Is4() == m.Container.Addr().Is4() &&
		f.to.Port() >= m.HostPort && int(f.to.Port()) < int(m.HostPort)+int(m.Count) &&
		(m.isWildcard() || m.HostIP == f.to.Addr())
}

// leadsTo reports whether a flow that the mapping covers leads to the container port
// of the mapping.
func (m Mapping) leadsTo(f flow) bool {
	return f.end == netip.AddrPortFrom(m.Container.Addr(), m.Container.Port()+f.to.Port()-m.HostPort)
}

// stale returns a function that picks flows to a host port of the mappings that do
// not lead to its container.
func stale(mappings []Mapping) func(flow) bool {
	return func(f flow) bool {
		covered := slices.ContainsFunc(mappings, func(m Mapping) bool { return m.covers(f) })
		return covered && !own(mappings)(f)
	}
}

// own returns a function that picks flows to a host port of the mappings that lead to
// its container.
func own(mappings []Mapping) func(flow) bool {
	return func(f flow) bool {
		return slices.ContainsFunc(mappings, func(m Mapping) bool { return m.covers(f) && m.leadsTo(f) })
	}
}
