package conntrack

import (
	"cmp"
	"encoding/binary"
	"net/netip"
	"slices"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// flowsPerDump is the number of flows whose transfer takes as long as a dump that
// finds nothing. A dump walks the whole hash table: 5 ms for the 262144 buckets of
// most hosts; a flow takes 2 us.
const flowsPerDump = 2500

// mostDumps is the maximum number of dumps for the ports of one protocol.
const mostDumps = 8

// query is the filter of one dump. Zero values are not part of it.
type query struct {
	family   uint8 // unix.AF_INET or AF_INET6
	proto    uint8
	to       netip.Addr // IPv4
	port     uint16
	dnatOnly bool // IPS_DST_NAT; looked at by Linux 5.14 and later
}

// queries returns the dumps to run: one for each port if that is less work than to
// receive all flows of the protocol. flows is the number of flows on the host. Flows
// with destination NAT are few, so for these one dump is always enough.
func (j job) queries(flows int) []query {
	ports := map[query]int{}
	for _, m := range j.mappings {
		ports[j.query(m)] += int(m.Count)
	}
	var all []query
	for _, m := range j.mappings {
		q := j.query(m)
		dumps := ports[q]
		enough := j.dnatOnly && dumps > 1 || dumps > mostDumps || flows < (dumps-1)*flowsPerDump
		if enough || m.Proto == unix.IPPROTO_SCTP {
			all = append(all, q)
			continue
		}
		for i := range m.Count {
			q.port = m.HostPort + i
			all = append(all, q)
		}
	}
	slices.SortFunc(all, query.compare)
	return slices.Compact(all)
}

// query returns the query for all ports of a mapping's protocol. It has no IPv6
// address, which the kernel compares wrongly: see the package comment.
func (j job) query(m Mapping) query {
	q := query{family: unix.AF_INET6, proto: m.Proto, dnatOnly: j.dnatOnly}
	if m.Container.Addr().Is4() {
		q.family = unix.AF_INET
	}
	if q.family == unix.AF_INET && !m.isWildcard() && m.HostIP.Is4() {
		q.to = m.HostIP
	}
	return q
}

// compare orders queries.
func (q query) compare(other query) int {
	return cmp.Or(cmp.Compare(q.family, other.family), cmp.Compare(q.proto, other.proto), q.to.Compare(other.to), cmp.Compare(q.port, other.port))
}

// encode encodes the request of a dump: a partial tuple, and flags for the parts that
// it has. The flags are in host byte order, unlike all else.
func (q query) encode() ([]byte, error) {
	flags := uint32(filterProtoNum)
	ae := netlink.NewAttributeEncoder()
	ae.Nested(ctaTupleOrig, func(t *netlink.AttributeEncoder) error {
		t.ByteOrder = binary.BigEndian
		if q.to.IsValid() {
			flags |= filterIPDst
			t.Nested(ctaTupleIP, func(ip *netlink.AttributeEncoder) error {
				ip.Bytes(ctaIPv4Dst, q.to.AsSlice())
				return nil
			})
		}
		t.Nested(ctaTupleProto, func(p *netlink.AttributeEncoder) error {
			p.Uint8(ctaProtoNum, q.proto)
			if q.port != 0 {
				flags |= filterProtoDstPort
				p.Uint16(ctaProtoDstPort, q.port)
			}
			return nil
		})
		return nil
	})
	if q.dnatOnly {
		ae.Bytes(ctaStatus, binary.BigEndian.AppendUint32(nil, statusDstNAT))
	}
	ae.Nested(ctaFilter, func(f *netlink.AttributeEncoder) error {
		f.Uint32(ctaFilterOrigFlags, flags)
		return nil
	})
	return ae.Encode()
}
