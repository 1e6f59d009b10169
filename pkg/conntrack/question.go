package conntrack

import (
	"cmp"
	"encoding/binary"
	"net/netip"
	"slices"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// A dump walks the whole hash table in the kernel, 5 ms for the 262144 buckets of most hosts: as much
// as it takes to be told of so many flows that are then not wanted (2 us each).
const toldInOneWalk = 2500

// mostWalks is how many dumps there are at most for ports of one kind.
const mostWalks = 8

// question is what one dump is narrowed to. Zero values are not looked at.
type question struct {
	family     uint8 // unix.AF_INET or AF_INET6
	proto      uint8
	to         netip.Addr // IPv4
	port       uint16
	translated bool // IPS_DST_NAT; looked at by Linux 5.14 and later
}

// questions are few, and narrow where that costs less than to be told too much. Flows is how many there
// are in all; of those that are translated there are few enough.
func (j job) questions(flows int) []question {
	ports := map[question]int{}
	for _, m := range j.mappings {
		ports[j.wide(m)] += int(m.Count)
	}
	var all []question
	for _, m := range j.mappings {
		q := j.wide(m)
		walks := ports[q]
		enough := j.translated && walks > 1 || walks > mostWalks || flows < (walks-1)*toldInOneWalk
		if enough || m.Proto == unix.IPPROTO_SCTP {
			all = append(all, q)
			continue
		}
		for i := range m.Count {
			q.port = m.HostPort + i
			all = append(all, q)
		}
	}
	slices.SortFunc(all, question.compare)
	return slices.Compact(all)
}

// wide asks for all ports of the mapping's protocol. IPv6 addresses are left out: see the package.
func (j job) wide(m Mapping) question {
	q := question{family: unix.AF_INET6, proto: m.Proto, translated: j.translated}
	if m.Container.Addr().Is4() {
		q.family = unix.AF_INET
	}
	if q.family == unix.AF_INET && !m.everyAddress() && m.HostIP.Is4() {
		q.to = m.HostIP
	}
	return q
}

func (q question) compare(other question) int {
	return cmp.Or(cmp.Compare(q.family, other.family), cmp.Compare(q.proto, other.proto), q.to.Compare(other.to), cmp.Compare(q.port, other.port))
}

// encode is the body of a dump's request: the part of a tuple that is asked for, and which part that
// is. The flags alone are in the byte order of the machine.
func (q question) encode() ([]byte, error) {
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
	if q.translated {
		ae.Bytes(ctaStatus, binary.BigEndian.AppendUint32(nil, statusDstNAT))
	}
	ae.Nested(ctaFilter, func(f *netlink.AttributeEncoder) error {
		f.Uint32(ctaFilterOrigFlags, flags)
		return nil
	})
	body, err := ae.Encode()
	return append(header(q.family), body...), err
}
