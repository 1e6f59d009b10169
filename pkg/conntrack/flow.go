package conntrack

import (
	"encoding/binary"
	"errors"
	"net/netip"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// Attributes and flags of linux/netfilter/nfnetlink_conntrack.h that x/sys has no name for.
const (
	ctaTupleOrig, ctaTupleReply, ctaStatus, ctaID, ctaZone, ctaFilter = 1, 2, 3, 12, 18, 25

	ctaTupleIP, ctaTupleProto                       = 1, 2
	ctaIPv4Src, ctaIPv4Dst, ctaIPv6Src, ctaIPv6Dst  = 1, 2, 3, 4
	ctaProtoNum, ctaProtoSrcPort, ctaProtoDstPort   = 1, 2, 3
	ctaFilterOrigFlags                              = 1
	statusDstNAT                                    = 1 << 5 // IPS_DST_NAT, linux/netfilter/nf_conntrack_common.h
	filterIPDst, filterProtoNum, filterProtoDstPort = 1 << 1, 1 << 3, 1 << 5
)

// flow is an entry of the connection tracking table.
type flow struct {
	proto uint8
	to    netip.AddrPort // destination of its first packet
	end   netip.AddrPort // source of its replies: where it leads

	// Undecoded: a request to delete the flow repeats them.
	original []byte // CTA_TUPLE_ORIG, which contains the zone if it is for this direction only
	zone     []byte // CTA_ZONE; nil: none
	id       []byte // CTA_ID
}

// tuple is one direction of a flow.
type tuple struct {
	proto    uint8
	src, dst netip.AddrPort
}

var errNotAFlow = errors.New("incomplete flow")

// decodeFlow decodes the attributes of an IPCTNL_MSG_CT_NEW.
func decodeFlow(attributes []byte) (flow, error) {
	ad, err := netlink.NewAttributeDecoder(attributes)
	if err != nil {
		return flow{}, err
	}
	var f flow
	var original, reply tuple
	for ad.Next() {
		switch ad.Type() {
		case ctaTupleOrig:
			f.original = ad.Bytes()
			ad.Nested(original.decode)
		case ctaTupleReply:
			ad.Nested(reply.decode)
		case ctaZone:
			f.zone = ad.Bytes()
		case ctaID:
			f.id = ad.Bytes()
		}
	}
	f.proto, f.to, f.end = original.proto, original.dst, reply.src
	switch err := ad.Err(); {
	case err != nil:
		return flow{}, err
	case !f.to.Addr().IsValid() || !f.end.Addr().IsValid() || len(f.id) != 4 || reply.proto != f.proto:
		return flow{}, errNotAFlow
	}
	return f, nil
}

// decode decodes CTA_TUPLE_ORIG or CTA_TUPLE_REPLY.
func (t *tuple) decode(ad *netlink.AttributeDecoder) error {
	ad.ByteOrder = binary.BigEndian
	for ad.Next() {
		switch ad.Type() {
		case ctaTupleIP:
			ad.Nested(t.decodeAddresses)
		case ctaTupleProto:
			ad.Nested(t.decodePorts)
		}
	}
	return ad.Err()
}

// decodeAddresses decodes CTA_TUPLE_IP.
func (t *tuple) decodeAddresses(ad *netlink.AttributeDecoder) error {
	for ad.Next() {
		addr, _ := netip.AddrFromSlice(ad.Bytes())
		switch ad.Type() {
		case ctaIPv4Src, ctaIPv6Src:
			t.src = netip.AddrPortFrom(addr, t.src.Port())
		case ctaIPv4Dst, ctaIPv6Dst:
			t.dst = netip.AddrPortFrom(addr, t.dst.Port())
		}
	}
	return ad.Err()
}

// decodePorts decodes CTA_TUPLE_PROTO.
func (t *tuple) decodePorts(ad *netlink.AttributeDecoder) error {
	for ad.Next() {
		switch ad.Type() {
		case ctaProtoNum:
			t.proto = ad.Uint8()
		case ctaProtoSrcPort:
			t.src = netip.AddrPortFrom(t.src.Addr(), ad.Uint16())
		case ctaProtoDstPort:
			t.dst = netip.AddrPortFrom(t.dst.Addr(), ad.Uint16())
		}
	}
	return ad.Err()
}

// entries decodes the answer to IPCTNL_MSG_CT_GET_STATS: the number of flows.
func entries(attributes []byte) (n uint32, ok bool) {
	ad, err := netlink.NewAttributeDecoder(attributes)
	if err != nil {
		return 0, false
	}
	ad.ByteOrder = binary.BigEndian
	for ad.Next() {
		if ad.Type() == statsEntries && len(ad.Bytes()) == 4 {
			n, ok = ad.Uint32(), true
		}
	}
	return n, ok && ad.Err() == nil
}

// family returns the address family of the flow.
func (f flow) family() byte {
	if f.to.Addr().Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}

// encode encodes the request that deletes the flow. It has the ID, so that a newer
// flow of the same tuple is not deleted in its place.
func (f flow) encode() ([]byte, error) {
	ae := netlink.NewAttributeEncoder()
	ae.Bytes(unix.NLA_F_NESTED|ctaTupleOrig, f.original)
	if f.zone != nil {
		ae.Bytes(ctaZone, f.zone)
	}
	ae.Bytes(ctaID, f.id)
	return ae.Encode()
}
