package conntrack

import (
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"
)

// Mapping is one published port, or a run of them: HostPort leads to the port of Container, the next
// to the next.
type Mapping struct {
	Proto     uint8      // unix.IPPROTO_UDP or IPPROTO_SCTP; others have nothing to be flushed
	HostIP    netip.Addr // invalid or unspecified: any local address of the family of Container
	HostPort  uint16
	Count     uint16 // consecutive ports, at least 1
	Container netip.AddrPort
}

// tracked are the mappings whose flows outlive what they lead to.
func tracked(mappings []Mapping) []Mapping {
	var all []Mapping
	for _, m := range mappings {
		if m.Proto == unix.IPPROTO_UDP || m.Proto == unix.IPPROTO_SCTP {
			all = append(all, m)
		}
	}
	return all
}

func (m Mapping) everyAddress() bool { return !m.HostIP.IsValid() || m.HostIP.IsUnspecified() }

// covers reports whether a flow was begun to a host port of the mapping. Whether the address is the
// host's own is another question.
func (m Mapping) covers(f flow) bool {
	return f.proto == m.Proto && f.to.Addr().Is4() == m.Container.Addr().Is4() &&
		f.to.Port() >= m.HostPort && int(f.to.Port()) < int(m.HostPort)+int(m.Count) &&
		(m.everyAddress() || m.HostIP == f.to.Addr())
}

// leads reports whether a flow that the mapping covers goes where the mapping says.
func (m Mapping) leads(f flow) bool {
	return f.end == netip.AddrPortFrom(m.Container.Addr(), m.Container.Port()+f.to.Port()-m.HostPort)
}

// stale picks flows to a host port of the mappings that lead anywhere but to its container.
func stale(mappings []Mapping) func(flow) bool {
	return func(f flow) bool {
		covered := slices.ContainsFunc(mappings, func(m Mapping) bool { return m.covers(f) })
		return covered && !own(mappings)(f)
	}
}

// own picks flows to a host port of the mappings that lead to its container.
func own(mappings []Mapping) func(flow) bool {
	return func(f flow) bool {
		return slices.ContainsFunc(mappings, func(m Mapping) bool { return m.covers(f) && m.leads(f) })
	}
}
