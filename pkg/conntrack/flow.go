package conntrack

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"syscall"

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

// flow is what connection tracking remembers of one.
type flow struct {
	proto uint8
	to    netip.AddrPort // where its first packet was sent
	end   netip.AddrPort // where its answers come from: what it leads to

	// As the kernel told them, which is how it is told again what to end.
	original []byte // CTA_TUPLE_ORIG, its zone within if it is of that direction only
	zone     []byte // CTA_ZONE; nil: none
	id       []byte // CTA_ID
}

// tuple is one direction of a flow.
type tuple struct {
	proto    uint8
	src, dst netip.AddrPort
}

var errNoFlow = errors.New("a message of connection tracking is no flow")

// decodeFlow reads the body of an IPCTNL_MSG_CT_NEW.
func decodeFlow(body []byte) (flow, error) {
	ad, err := netlink.NewAttributeDecoder(body[min(len(body), headerSize):])
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
		return flow{}, errNoFlow
	}
	return f, nil
}

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

// entries reads the answer to IPCTNL_MSG_CT_GET_STATS: how many flows there are.
func entries(body []byte) (n uint32, ok bool) {
	ad, err := netlink.NewAttributeDecoder(body[min(len(body), headerSize):])
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

// verdict reads the end of a dump, or an error in place of one: a negative errno first.
func verdict(body []byte) error {
	if len(body) >= 4 {
		if errno := int32(binary.NativeEndian.Uint32(body)); errno != 0 {
			return syscall.Errno(-errno)
		}
	}
	return nil
}

const headerSize = 4

// header is struct nfgenmsg (linux/netfilter/nfnetlink.h): family, version 0, no resource.
func header(family uint8) []byte { return []byte{family, unix.NFNETLINK_V0, 0, 0} }

// encode is the body of the request that ends the flow: this one, and not another of the same tuple
// that has begun since.
func (f flow) encode() ([]byte, error) {
	ae := netlink.NewAttributeEncoder()
	ae.Bytes(unix.NLA_F_NESTED|ctaTupleOrig, f.original)
	if f.zone != nil {
		ae.Bytes(ctaZone, f.zone)
	}
	ae.Bytes(ctaID, f.id)
	body, err := ae.Encode()
	family := uint8(unix.AF_INET6)
	if f.to.Addr().Is4() {
		family = unix.AF_INET
	}
	return append(header(family), body...), err
}
