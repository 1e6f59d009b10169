package nft

import (
	"net"
	"net/netip"

	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// The functions of this file return expressions as nft(8) encodes them, so that `nft
// list` prints statements. A key is assembled in 4-byte registers, 8 and the
// following; registers 1 to 4 are the same memory in units of 16 bytes.
func loopback4() netip.Prefix { return netip.MustParsePrefix("127.0.0.0/8") }
func loopback6() netip.Prefix { return netip.MustParsePrefix("::1/128") }

// verdict is `accept`, `drop` or `return`.
func verdict(kind expr.VerdictKind) []expr.Any { return []expr.Any{&expr.Verdict{Kind: kind}} }

// jump is `jump <chain>`.
func jump(chain string) []expr.Any {
	return []expr.Any{&expr.Verdict{Kind: expr.VerdictJump, Chain: chain}}
}

// gotoChain is `goto <chain>`: after the chain the rules behind this one are not
// evaluated.
func gotoChain(chain string) []expr.Any {
	return []expr.Any{&expr.Verdict{Kind: expr.VerdictGoto, Chain: chain}}
}

// masquerade is `masquerade`.
func masquerade() []expr.Any { return []expr.Any{&expr.Masq{}} }

// snat is `snat ip to <address>`, for packets of the address's family.
//
//	[ meta load nfproto => reg 1 ]
//	[ cmp eq reg 1 0x00000002 ]
//	[ immediate reg 1 0x05007163 ]
//	[ nat snat ip addr_min reg 1 ]
func snat(to netip.Addr, fullyRandom bool) []expr.Any {
	family := uint32(unix.NFPROTO_IPV6)
	if to.Is4() {
		family = unix.NFPROTO_IPV4
	}
	return append(isFamily(familyOf(to)),
		&expr.Immediate{Register: unix.NFT_REG_1, Data: to.AsSlice()},
		&expr.NAT{Type: expr.NATTypeSourceNAT, Family: family, RegAddrMin: unix.NFT_REG_1, FullyRandom: fullyRandom},
	)
}

// isFamily is `meta nfproto ipv4`, which nft(8) emits before every comparison of an
// address.
// A chain of family inet sees both versions, and a payload expression loads whatever
// bytes are at its offset: without the comparison a rule for IPv4 would match IPv6
// packets by accident.
//
//	[ meta load nfproto => reg 1 ]
//	[ cmp eq reg 1 0x00000002 ]
func isFamily(f ipFamily) []expr.Any {
	proto := byte(unix.NFPROTO_IPV6)
	if f == ipv4 {
		proto = unix.NFPROTO_IPV4
	}
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyNFPROTO, Register: unix.NFT_REG_1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: unix.NFT_REG_1, Data: []byte{proto}},
	}
}

// address loads the source or the destination address.
func address(f ipFamily, source bool, register uint32) *expr.Payload {
	p := &expr.Payload{DestRegister: register, Base: expr.PayloadBaseNetworkHeader, Offset: 16, Len: 4}
	switch {
	case f == ipv4 && source:
		p.Offset = 12
	case f == ipv6 && source:
		p.Offset, p.Len = 8, 16
	case f == ipv6:
		p.Offset, p.Len = 24, 16
	}
	return p
}

// isTo is `ip daddr <prefix>`.
func isTo(p netip.Prefix) []expr.Any { return isWithin(p, false) }

// isFrom is `ip saddr <prefix>`.
func isFrom(p netip.Prefix) []expr.Any { return isWithin(p, true) }

// isWithin compares an address with a prefix.
//
//	[ payload load 4b @ network header + 16 => reg 1 ]
//	[ bitwise reg 1 = ( reg 1 & 0x0000f0ff ) ^ 0x00000000 ]
//	[ cmp eq reg 1 0x000010ac ]
//
// nft(8) loads fewer bytes for a prefix of whole bytes, and has no bitwise expression
// then. The result is the same, and this form is the same for every prefix length.
func isWithin(p netip.Prefix, source bool) []expr.Any {
	return append(isFamily(familyOf(p.Addr())), compareAddress(p, source)...)
}

// compareAddress is isWithin for packets of the prefix's family.
func compareAddress(p netip.Prefix, source bool) []expr.Any {
	load := address(familyOf(p.Addr()), source, unix.NFT_REG_1)
	is := []expr.Any{load}
	if !p.IsSingleIP() {
		is = append(is, &expr.Bitwise{
			SourceRegister: unix.NFT_REG_1, DestRegister: unix.NFT_REG_1, Len: load.Len,
			Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen()), Xor: make([]byte, load.Len),
		})
	}
	return append(is, &expr.Cmp{Op: expr.CmpOpEq, Register: unix.NFT_REG_1, Data: p.Masked().Addr().AsSlice()})
}

// isToTheHost is `fib daddr type local`.
// The routing table decides, not a set of addresses: an address that the host gets
// later counts at once, and packets that are only routed through the host keep their
// destination. The reference portmap plugin lacked this test in prerouting before
// v1.9.0 and translated forwarded packets.
//
//	[ fib daddr type => reg 1 ]
//	[ cmp eq reg 1 0x00000002 ]
func isToTheHost() []expr.Any {
	return []expr.Any{
		&expr.Fib{Register: unix.NFT_REG_1, ResultADDRTYPE: true, FlagDADDR: true},
		&expr.Cmp{Op: expr.CmpOpEq, Register: unix.NFT_REG_1, Data: binaryutil.NativeEndian.PutUint32(unix.RTN_LOCAL)},
	}
}

// ctBit is `ct state invalid` and the like.
// The state is a bit mask with one bit set, so `ct state invalid` is a test of a bit
// and not a comparison.
//
//	[ ct load state => reg 1 ]
//	[ bitwise reg 1 = ( reg 1 & 0x00000001 ) ^ 0x00000000 ]
//	[ cmp neq reg 1 0x00000000 ]
func ctBit(of expr.CtKey, bit uint32) []expr.Any {
	return []expr.Any{
		&expr.Ct{Key: of, Register: unix.NFT_REG_1},
		&expr.Bitwise{
			SourceRegister: unix.NFT_REG_1, DestRegister: unix.NFT_REG_1, Len: 4,
			Mask: binaryutil.NativeEndian.PutUint32(bit), Xor: make([]byte, 4),
		},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: unix.NFT_REG_1, Data: make([]byte, 4)},
	}
}

// isInvalid is `ct state invalid`.
// Such a packet has no connection, and NAT skips packets without one (nf_nat_inet_fn):
// it would leave the host with the address of the container.
func isInvalid() []expr.Any { return ctBit(expr.CtKeySTATE, expr.CtStateBitINVALID) }

// ipsDstNAT is IPS_DST_NAT of linux/netfilter/nf_conntrack_common.h.
const ipsDstNAT = 1 << 5

// isDNATed is `ct status dnat`, true for every packet, in both directions, of a
// connection whose destination was translated.
// The status outlives the element of the port: packets of connections that were
// translated before DEL match too, until their flows end.
func isDNATed() []expr.Any { return ctBit(expr.CtKeySTATUS, ipsDstNAT) }

// hasMark is `meta mark & bit == bit`.
// Only this bit is compared: kube-proxy and other programs use other bits of the same
// mark.
//
//	[ meta load mark => reg 1 ]
//	[ bitwise reg 1 = ( reg 1 & 0x00002000 ) ^ 0x00000000 ]
//	[ cmp eq reg 1 0x00002000 ]
func hasMark(bit uint32) []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyMARK, Register: unix.NFT_REG_1},
		&expr.Bitwise{
			SourceRegister: unix.NFT_REG_1, DestRegister: unix.NFT_REG_1, Len: 4,
			Mask: binaryutil.NativeEndian.PutUint32(bit), Xor: make([]byte, 4),
		},
		&expr.Cmp{Op: expr.CmpOpEq, Register: unix.NFT_REG_1, Data: binaryutil.NativeEndian.PutUint32(bit)},
	}
}

// setMark is `meta mark set meta mark & mask ^ xor`.
// The mark of the packet is used and not that of the connection (ct mark): it must
// reach from prerouting to postrouting only, and programs that save and restore
// connection marks would see a bit of ours.
//
//	[ meta load mark => reg 1 ]
//	[ bitwise reg 1 = ( reg 1 & 0xffffdfff ) ^ 0x00002000 ]
//	[ meta set mark with reg 1 ]
func setMark(mask, xor uint32) []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyMARK, Register: unix.NFT_REG_1},
		&expr.Bitwise{
			SourceRegister: unix.NFT_REG_1, DestRegister: unix.NFT_REG_1, Len: 4,
			Mask: binaryutil.NativeEndian.PutUint32(mask), Xor: binaryutil.NativeEndian.PutUint32(xor),
		},
		&expr.Meta{Key: expr.MetaKeyMARK, Register: unix.NFT_REG_1, SourceRegister: true},
	}
}

// ifnameTo loads the name of an interface. Keys have names and not indexes, because
// elements outlive the bridge they are about.
func ifnameTo(key expr.MetaKey, register uint32) expr.Any {
	return &expr.Meta{Key: key, Register: register}
}

// iifnameIn is `iifname @set`.
func iifnameIn(set string) []expr.Any {
	return append([]expr.Any{ifnameTo(expr.MetaKeyIIFNAME, unix.NFT_REG_1)}, lookup(set)...)
}

// oifnameIn is `oifname @set`.
func oifnameIn(set string) []expr.Any {
	return append([]expr.Any{ifnameTo(expr.MetaKeyOIFNAME, unix.NFT_REG_1)}, lookup(set)...)
}

// bothIfnames is the key `iifname . oifname`.
// Interface names take 16 bytes, one of the registers 1 to 4 each.
//
//	[ meta load iifname => reg 1 ]
//	[ meta load oifname => reg 2 ]
func bothIfnames() []expr.Any {
	return []expr.Any{ifnameTo(expr.MetaKeyIIFNAME, unix.NFT_REG_1), ifnameTo(expr.MetaKeyOIFNAME, unix.NFT_REG_2)}
}

// oifnameAndDestination is the key `oifname . ip daddr`.
func oifnameAndDestination(f ipFamily) []expr.Any {
	return append(isFamily(f), ifnameTo(expr.MetaKeyOIFNAME, unix.NFT_REG_1), address(f, false, unix.NFT_REG_2))
}

// oifnameAndBoth is the key `oifname . ip saddr . ip daddr`, for a container that is
// client and server. The input interface is not part of it: a bridged packet that
// br_netfilter passes to these hooks has no bridge as input interface.
//
//	[ meta load oifname => reg 1 ]
//	[ payload load 4b @ network header + 12 => reg 2 ]
//	[ payload load 4b @ network header + 16 => reg 13 ]
//	[ lookup reg 1 set self4 0x0 ]
//
// Register 13 (NFT_REG32_05) is the second word of register 2: the fields of a
// concatenation follow each other in multiples of four bytes. Of IPv6, each address
// fills a register of 16 bytes, so the second one is in register 3.
func oifnameAndBoth(f ipFamily) []expr.Any {
	second := uint32(unix.NFT_REG_3)
	if f == ipv4 {
		second = unix.NFT_REG32_05
	}
	return append(isFamily(f), ifnameTo(expr.MetaKeyOIFNAME, unix.NFT_REG_1), address(f, true, unix.NFT_REG_2), address(f, false, second))
}

// byBridgeAndSource is `iifname . ip saddr vmap @set`. iifname is available in
// postrouting since Linux 5.7.
//
//	[ meta load iifname => reg 1 ]
//	[ payload load 4b @ network header + 12 => reg 2 ]
//	[ lookup reg 1 set masq4 dreg 0 0x0 ]
//
// dreg 0 is the verdict register: the element's verdict is executed. If the map has no
// such element the rule ends and the next one is evaluated, so a packet of a container
// that is not masqueraded costs one lookup for each map.
func byBridgeAndSource(f ipFamily, set string) []expr.Any {
	key := append(isFamily(f), ifnameTo(expr.MetaKeyIIFNAME, unix.NFT_REG_1), address(f, true, unix.NFT_REG_2))
	return append(key, lookupVerdict(set)...)
}

// Which part of a packet's destination is the key of a published port.
const (
	portOnly    = false
	addrAndPort = true
)

// key is `meta l4proto . th dport`, with `ip daddr` before it if withAddr.
//
//	[ payload load 4b @ network header + 16 => reg 1 ]
//	[ meta load l4proto => reg 9 ]
//	[ payload load 2b @ transport header + 2 => reg 10 ]
//
// TCP, UDP and SCTP have the destination port at the same offset of their headers, so
// one map serves all three. meta l4proto is the protocol behind extension headers of
// IPv6. Conntrack reassembles fragments before these hooks (nf_defrag_ipv4, _ipv6), so
// each packet has its transport header.
func key(f ipFamily, withAddr bool) []expr.Any {
	loads, proto, port := isFamily(f), uint32(unix.NFT_REG_1), uint32(unix.NFT_REG32_01)
	switch {
	case withAddr && f == ipv4:
		proto, port = unix.NFT_REG32_01, unix.NFT_REG32_02
	case withAddr:
		proto, port = unix.NFT_REG_2, unix.NFT_REG32_05
	}
	if withAddr {
		loads = append(loads, address(f, false, unix.NFT_REG_1))
	}
	return append(loads,
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: proto},
		&expr.Payload{DestRegister: port, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2},
	)
}

// lookup is `@set`: the rule ends unless the key is in the set.
func lookup(set string) []expr.Any {
	return []expr.Any{&expr.Lookup{SourceRegister: unix.NFT_REG_1, SetName: set}}
}

// lookupVerdict is `vmap @map`.
func lookupVerdict(set string) []expr.Any {
	return []expr.Any{&expr.Lookup{SourceRegister: unix.NFT_REG_1, DestRegister: unix.NFT_REG_VERDICT, IsDestRegSet: true, SetName: set}}
}

// lookupTarget loads the address and port that a map has for the key.
//
//	[ lookup reg 1 set publish4_addr dreg 1 0x0 ]
func lookupTarget(set string) []expr.Any {
	return []expr.Any{&expr.Lookup{SourceRegister: unix.NFT_REG_1, DestRegister: unix.NFT_REG_1, IsDestRegSet: true, SetName: set}}
}

// dnat is `dnat ip to` the address and port that a lookup loaded.
//
//	[ nat dnat ip addr_min reg 1 addr_max reg 1 proto_min reg 9 proto_max reg 9 flags 0x3 ]
//
// The family is explicit because table inet has both. Register 9 (NFT_REG32_01) is
// the word behind an IPv4 address; behind an IPv6 address it is NFT_REG32_04, which
// nft(8) prints as reg 2. A range of host ports needs an element for each port: a map
// cannot shift a port by an offset.
func dnat(f ipFamily) []expr.Any {
	n := &expr.NAT{Type: expr.NATTypeDestNAT, Family: unix.NFPROTO_IPV4, RegAddrMin: unix.NFT_REG_1, RegProtoMin: unix.NFT_REG32_01}
	if f == ipv6 {
		n.Family, n.RegProtoMin = unix.NFPROTO_IPV6, unix.NFT_REG32_04
	}
	return []expr.Any{n}
}
